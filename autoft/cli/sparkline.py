"""The best score so far over time, as a line of blocks on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from autoft.records import Direction, TrialRecord, TrialState

BLOCKS = "▁▂▃▄▅▆▇█"


def improvements(trials: Sequence[TrialRecord], direction: Direction) -> list[tuple[float, float]]:
    """Each report that was the best of the search so far: its Unix time and its objective, in the order of time.

    A trial that failed counts for nothing, as it can't win.
    """
    able = (trial for trial in trials if trial.state is not TrialState.FAILED)
    found: list[tuple[float, float]] = []
    for time, value in sorted((report.time, report.value) for trial in able for report in trial.reports):
        if not found or direction.better(value, found[-1][1]):
            found.append((time, value))
    return found


def sparkline(steps: Sequence[tuple[float, float]], until: float, width: int, direction: Direction) -> str:
    """The best so far as `width` blocks over time, the better the higher.

    Args:
        steps: As `improvements` gives them.
        until: Unix time at the right end; the left end is the first step.
        width: Number of blocks.
        direction: Direction of the objective.
    """
    if not steps:
        return ""
    start, gains = steps[0][0], [direction.gain(value) for _, value in steps]
    span = max(until - start, 1e-9)
    low, high = gains[0], gains[-1]
    line, step = "", 0
    for column in range(width):
        moment = start + span * (column + 1) / width
        while step + 1 < len(steps) and steps[step + 1][0] <= moment + 1e-9 * span:
            step += 1
        share = (gains[step] - low) / (high - low) if high > low else 0.0
        line += BLOCKS[round(share * (len(BLOCKS) - 1))]
    return line
