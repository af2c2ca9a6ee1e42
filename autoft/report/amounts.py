"""How a difference between two scores is written for people: in points where the metric is a fraction."""

from __future__ import annotations

import math
from collections.abc import Sequence

FRACTIONS = frozenset(
    {"accuracy", "precision", "recall", "f1", "macro_f1", "weighted_f1", "roc_auc", "exact_match", "token_accuracy"}
    | {"rouge_l", "rouge_1", "rouge_2"}
)
"""Metrics that are a share of something, in [0, 1]: people read their differences as percentage points."""


def is_fraction(metric: str) -> bool:
    """Whether differences of the metric are told in points, a hundredth each; those of others in their own unit."""
    return metric in FRACTIONS


def amounts(values: Sequence[float], metric: str) -> list[str]:
    """Differences of a metric that stand in one sentence, all with as many digits, and none rounded to zero.

    Points have one digit behind the point; other units have three significant digits at the largest value. Where that
    would write zero for what is not, as for the end of an interval that just leaves zero out, there are more.

    Args:
        values: Finite differences, in the metric's own unit.
        metric: Its name.
    """
    scaled = [100 * value if is_fraction(metric) else value for value in values]
    largest = max((abs(value) for value in scaled), default=0.0)
    digits = 1 if is_fraction(metric) else _digits(largest)
    while digits < 6 and any(value and not float(f"{value:.{digits}f}") for value in scaled):
        digits += 1
    return [f"{0.0 if not float(f'{value:.{digits}f}') else value:.{digits}f}" for value in scaled]  # never -0.0


def _digits(largest: float) -> int:
    return 2 if largest == 0 else min(6, max(0, 2 - math.floor(math.log10(largest))))
