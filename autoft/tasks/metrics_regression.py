"""Metrics of regression, with their degenerate cases settled: each is a finite number for any input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.floating[Any]]


def regression(scores: _Floats, labels: _Floats) -> dict[str, float]:
    """The usual metrics of regression, as SciPy and scikit-learn define them.

    Args:
        scores: Shape (n,), predictions.
        labels: Shape (n,), in the same unit.

    Returns:
        `pearson` and `spearman` in [-1, 1], 0 where one side is constant; `rmse` and `mae` in the labels' unit; `r2` at
        most 1, and where all labels are equal 1 for a perfect prediction and 0 for any other; `loss`, the mean squared
        error.

    Raises:
        ValueError: `labels` is empty or its length differs from that of `scores`.
    """
    from scipy.stats import rankdata

    if len(labels) == 0 or len(labels) != len(scores):
        raise ValueError(f"{len(scores)} scores don't fit {len(labels)} labels")
    scores, labels = scores.astype(np.float64), labels.astype(np.float64)
    errors = scores - labels
    squared = float((errors**2).mean())
    spread = float(((labels - labels.mean()) ** 2).mean())
    constant = bool((labels == labels[0]).all())  # not by the spread: the mean may be off by a rounding
    return {
        "pearson": _correlation(scores, labels),
        "spearman": _correlation(rankdata(scores), rankdata(labels)),
        "rmse": float(np.sqrt(squared)),
        "mae": float(np.abs(errors).mean()),
        "r2": float(squared == 0) if constant else 1.0 - squared / spread,
        "loss": squared,
    }


def _correlation(a: _Floats, b: _Floats) -> float:
    if (a == a[0]).all() or (b == b[0]).all():
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    # Each is brought to length 1 before they are multiplied: very small numbers would vanish otherwise.
    return float(np.clip((a / np.linalg.norm(a)) @ (b / np.linalg.norm(b)), -1.0, 1.0))
