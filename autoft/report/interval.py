"""Bootstrap confidence intervals over the rows of the test set: of a metric, and of a difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def bootstrap_interval(  # noqa: PLR0917 - three of them are rarely given
    metric: Callable[[Any, Any], float],
    scores: Sequence[Any] | NDArray[Any],
    targets: Sequence[Any] | NDArray[Any],
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile interval of `metric` when the test rows are drawn again with replacement.

    It says how far the score would move with another test set of the same size and kind; it knows nothing
    of the choice of the winner or of the training seed. See Efron and Tibshirani, An Introduction
    to the Bootstrap (1993), chapter 13.

    A resample for which the metric is undefined (it raises ValueError, or gives NaN or infinity, as
    where a rare class is missing) is left out. With one row, or rows that are all alike, both ends
    are the score itself.

    Args:
        metric: Gives the score of some rows from their scores and targets.
        scores: The model's output for each of n rows.
        targets: What there is to know of each of them.
        resamples: How often the rows are drawn again.
        seed: Seed of the draws.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper end; (nan, nan) where the metric is undefined for half of the resamples or more.

    Raises:
        ValueError: There are no rows, their numbers differ, or `resamples` or `level` make no sense.
    """
    scores, targets = indexable(scores), indexable(targets)
    check_lengths(scores, targets)
    return _interval(lambda rows: metric(scores[rows], targets[rows]), len(scores), resamples, seed, level)


def paired_interval(
    metric: Callable[[Any, Any], float],
    scores: Sequence[Any] | NDArray[Any],
    others: Sequence[Any] | NDArray[Any],
    targets: Sequence[Any] | NDArray[Any],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile interval of how much larger the metric of one model is than that of another.

    Both are measured on the same drawn rows, so what makes a row hard for both cancels out: the interval is far
    narrower than two separate ones.

    Args:
        metric: Gives the score of some rows from their scores and targets.
        scores: The model's output for each of n rows.
        others: The other model's.
        targets: What there is to know of each of them.
        resamples: How often the rows are drawn again.
        seed: Seed of the draws.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper end; (nan, nan) where the difference is undefined for half of the resamples or more.

    Raises:
        ValueError: There are no rows, their numbers differ, or `resamples` or `level` make no sense.
    """
    scores, others, targets = indexable(scores), indexable(others), indexable(targets)
    check_lengths(scores, targets)
    check_lengths(others, targets)

    def difference(rows: NDArray[np.intp]) -> float:
        return metric(scores[rows], targets[rows]) - metric(others[rows], targets[rows])

    return _interval(difference, len(scores), resamples, seed, level)


def check_lengths(scores: NDArray[Any], targets: NDArray[Any]) -> None:
    """Refuses models and rows that don't belong together.

    Raises:
        ValueError: There are no rows, or their numbers differ.
    """
    if len(scores) == 0 or len(scores) != len(targets):
        raise ValueError(f"{len(scores)} scores don't fit {len(targets)} targets")


def _interval(
    statistic: Callable[[NDArray[np.intp]], float], rows: int, resamples: int, seed: int, level: float
) -> tuple[float, float]:
    """The percentile interval of a statistic of row numbers."""
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"can't take {resamples} resamples at level {level}")
    random = np.random.default_rng(seed)
    found = np.empty(resamples)
    # Rows are drawn in chunks: drawing all at once would hold every index of every resample.
    chunk = max(1, 4_000_000 // rows)
    for start in range(0, resamples, chunk):
        drawn = random.integers(rows, size=(min(chunk, resamples - start), rows))
        for i, index in enumerate(drawn, start):
            found[i] = _value(statistic, index)
    found = found[np.isfinite(found)]
    if len(found) * 2 <= resamples:
        return math.nan, math.nan
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _value(statistic: Callable[[NDArray[np.intp]], float], rows: NDArray[np.intp]) -> float:
    try:
        return float(statistic(rows))
    except ValueError:
        return math.nan


def indexable(values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    """`values` as an array with one entry for each row; rows of unequal length stay the objects they are."""
    try:
        return np.asarray(values)
    except ValueError:
        array = np.empty(len(values), dtype=object)
        for i, value in enumerate(values):
            array[i] = value
        return array
