"""Two objectives, the score and what a model costs: the trials of the front, and the one to hand over.

Pure, and shared by those who run a search and those who report on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from autoft.records import Direction, TrialRecord, ranked

_ROUNDING = 1e-9  # 0.91 - 0.9 is a little more than 0.01


def front(trials: Iterable[TrialRecord], direction: Direction, costs: Mapping[str, float]) -> list[TrialRecord]:
    """The trials that none is better than at the same cost or a lower one, the cheapest first.

    Args:
        trials: All trials; those that can't win are passed over.
        direction: Direction of the score.
        costs: What each model costs; empty where the score is the only objective, and there is no front.
    """
    best: dict[float, TrialRecord] = {}
    for trial in ranked(trials, direction) if costs else ():
        best.setdefault(costs[trial.config.model], trial)
    found: list[TrialRecord] = []
    for _, trial in sorted(best.items(), key=lambda item: item[0]):
        if not found or _gain(trial, direction) > _gain(found[-1], direction):
            found.append(trial)
    return found


def preferred(
    trials: Iterable[TrialRecord], direction: Direction, costs: Mapping[str, float], within: float | None = None
) -> list[TrialRecord]:
    """The trials that may win, the one to hand over first.

    Args:
        trials: All trials.
        direction: Direction of the score.
        costs: What each model costs; empty where the score is the only objective.
        within: Trials that score less than the best by no more than this are ordered by their costs; None orders all
            by their scores.
    """
    order = ranked(trials, direction)
    if within is None or not costs or not order:
        return order
    least = _gain(order[0], direction) - within - _ROUNDING
    near = [trial for trial in order if _gain(trial, direction) >= least]
    return sorted(near, key=lambda trial: costs[trial.config.model]) + order[len(near) :]


def _gain(trial: TrialRecord, direction: Direction) -> float:
    best = trial.best(direction)
    return -math.inf if best is None else direction.gain(best.value)
