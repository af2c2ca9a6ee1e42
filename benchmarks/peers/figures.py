"""The arithmetic of the benchmark: from runs to figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.contest import LONGER, OURS, REFERENCE
from benchmarks.peers.runs import Run, by_cell

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one contestant's winners are than another's on the same test rows.

    Attributes:
        mean: Mean difference of the accuracies, over all rows of all pairs of runs.
        low: Lower end of its 95 % interval.
        high: Upper end.
        each: The difference of each pair of runs.
    """

    mean: float
    low: float
    high: float
    each: tuple[float, ...]


def best_so_far(run: Run) -> list[tuple[float, float]]:
    """The steps of the best accuracy on validation: `(seconds since the start, accuracy)`, rising in both."""
    steps: list[tuple[float, float]] = []
    for seconds, _, value in sorted(run.evaluations):
        if not steps or value > steps[-1][1]:
            steps.append((seconds, value))
    return steps


def final_best(run: Run) -> float:
    """The best accuracy on validation that any of its trials had at any evaluation."""
    return best_so_far(run)[-1][1]


def time_to(run: Run, value: float) -> float:
    """Seconds until its best accuracy on validation is at least `value`; infinite where it never is."""
    return next((seconds for seconds, best in best_so_far(run) if best >= value), math.inf)


def reach_share(run: Run, reference: Run) -> float:
    """The time in which a run reaches the reference's final best, as a share of the reference's whole wall clock.

    A run that never reaches it was for nothing, and the reference has to be run after it: its share is that of
    both together, above 1.
    """
    seconds = time_to(run, final_best(reference))
    if math.isinf(seconds):
        seconds = run.wall + reference.wall
    return seconds / reference.wall


def pairs(runs: Sequence[Run], a: str, b: str) -> list[tuple[Run, Run]]:
    """The runs of `a` and `b` on the same data set and seed."""
    cells = by_cell(runs)
    return [(cells[key][a], cells[key][b]) for key in sorted(cells) if a in cells[key] and b in cells[key]]


def per_run(runs: Sequence[Run]) -> dict[str, list[float]]:
    """Figures that each pair of runs gives one number of, by key; only keys with a number."""
    compared = pairs(runs, OURS, REFERENCE)
    found: dict[str, list[float]] = {}
    for ours, reference in compared:
        found.setdefault("wall_ratio", []).append(reference.wall / ours.wall)
    # The search of as many configurations as the reference's ends early; the one with a budget goes on.
    longer = {(ours.data_set, ours.seed): ours for ours, _ in pairs(runs, LONGER, REFERENCE)}
    for ours, reference in compared:
        share = reach_share(longer.get((ours.data_set, ours.seed), ours), reference)
        found.setdefault("reach_share", []).append(share)
        found.setdefault(f"reach_share_{ours.data_set.replace('-', '_')}", []).append(share)
    return found


def compare(runs: Sequence[Run], a: str = OURS, b: str = REFERENCE) -> Difference | None:
    """How much better `a`'s winners are than `b`'s, pooled over data sets and seeds; None without a pair of runs.

    The interval is a paired percentile bootstrap over rows (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 13). A row of the data set that is in the test of several seeds is drawn with all its
    differences at once, for they are not independent; each data set keeps its number of rows.

    Raises:
        ValueError: Two runs of a pair were tested on different rows.
    """
    compared = pairs(runs, a, b)
    if not compared:
        return None
    rows: dict[str, dict[int, list[int]]] = {}
    each = []
    for ours, other in compared:
        if (ours.test_rows, ours.targets) != (other.test_rows, other.targets):
            raise ValueError(f"{ours.name} and {other.name} were tested on different rows; measure one of them again")
        gains = [int(x) - int(y) for x, y in zip(ours.correct, other.correct, strict=True)]
        each.append(sum(gains) / len(gains))
        known = rows.setdefault(ours.data_set, {})
        for row, gain in zip(ours.test_rows, gains, strict=True):
            known.setdefault(row, []).append(gain)
    random = np.random.default_rng(0)
    gained, counted = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    total = count = 0
    for data_set in sorted(rows):
        sums = np.array([sum(gains) for gains in rows[data_set].values()])
        counts = np.array([len(gains) for gains in rows[data_set].values()])
        total, count = total + int(sums.sum()), count + int(counts.sum())
        drawn = random.integers(len(sums), size=(RESAMPLES, len(sums)))
        gained += sums[drawn].sum(axis=1)
        counted += counts[drawn].sum(axis=1)
    low, high = np.quantile(gained / counted, (0.025, 0.975))
    return Difference(total / count, float(low), float(high), tuple(each))
