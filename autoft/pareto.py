"""Two objectives, the score and what a model costs: who is better in one and no worse in the other.

Pure, and shared by those who decide on trials and those who report on them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from autoft.records import Direction, TrialRecord, ranked

_ROUNDING = 1e-9  # 0.91 - 0.9 is a little more than 0.01


def ranks(points: Sequence[tuple[tuple[float, ...], float]]) -> list[int]:
    """The non-domination rank of each point: 0 on the front, 1 on the front of the rest, and so on.

    A point dominates another one when it is no worse in both objectives and better in one (Deb et al., "NSGA-II",
    2002). With two objectives one pass in the order of the second is enough, so it takes n log n steps.

    Args:
        points: Two objectives of each of n points, both the better the smaller; the first is compared as a tuple.

    Returns:
        n ranks. Points that are equal in both have the same one.
    """
    found = [0] * len(points)
    least: list[tuple[float, ...]] = []  # the best of each front so far in the first objective; never falling
    before: int | None = None
    for i in sorted(range(len(points)), key=lambda i: (points[i][1], points[i][0])):
        if before is not None and points[before] == points[i]:
            found[i] = found[before]
        else:
            # All fronts whose best is no worse hold one that dominates this point: it is no dearer.
            rank = found[i] = bisect_right(least, points[i][0])
            least[rank : rank + 1] = [points[i][0]]
        before = i
    return found


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
