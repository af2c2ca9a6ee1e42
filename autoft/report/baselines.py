"""The winner against simple models, row by row of the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import Direction
from autoft.report.resampling import Measure, Resampling, Rows


def compare(
    measure: Measure,
    metric: str,
    direction: Direction,
    *,
    scores: Rows,
    others: Mapping[str, Rows],
    examples: Sequence[Any],
) -> dict[str, dict[str, Any]]:
    """What simple models score on the test rows, and how much better the winner is on the same rows.

    Args:
        measure: Gives all metrics of some rows from their scores and examples.
        metric: The objective.
        direction: Its direction.
        scores: The winner's output for each of n rows.
        others: That of each simple model, by its name.
        examples: What there is to know of each row.

    Returns:
        For each model `test`, its objective; `metrics`, all of them; and `difference_interval`, the 95 % interval of
        the winner's lead, positive where the winner is better.
    """
    drawn, found = Resampling(measure, metric, examples), {}
    for name, theirs in others.items():
        metrics = measure(theirs, examples)
        if metric not in metrics:  # it has nothing that could be measured so
            continue
        low, high = drawn.difference(scores, theirs)
        found[name] = {
            "test": metrics[metric],
            "metrics": dict(metrics),
            "difference_interval": [low, high] if direction is Direction.MAXIMIZE else [-high, -low],
        }
    return found
