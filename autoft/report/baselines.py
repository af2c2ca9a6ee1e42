"""The winner against simple models, row by row of the test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from autoft.records import Direction
from autoft.report.interval import paired_interval

Rows = Sequence[Any] | NDArray[Any]


def compare(
    measure: Callable[[Any, Any], Mapping[str, float]],
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
    found = {}
    for name, theirs in others.items():
        metrics = measure(theirs, examples)
        if metric not in metrics:  # it has nothing that could be measured so
            continue

        def gain(said: Any, rows: Any) -> float:
            return direction.gain(measure(said, rows)[metric])

        found[name] = {
            "test": metrics[metric],
            "metrics": dict(metrics),
            "difference_interval": list(paired_interval(gain, scores, theirs, examples)),
        }
    return found
