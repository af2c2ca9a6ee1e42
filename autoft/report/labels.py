"""How names and numbers of a search are written for people, the same on screen and in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

BASELINES: Mapping[str, str] = {
    "majority": "always the commonest label",
    "tfidf": "logistic regression on TF-IDF words",
}


def short_name(ref: str) -> str:
    """The last part of a model's reference: `asset:minilm-l6` and `org/minilm-l6` are both `minilm-l6`."""
    return ref.rstrip("/").rpartition("/")[2].rpartition(":")[2] or ref


def baseline_name(key: str) -> str:
    """A baseline in words."""
    return BASELINES.get(key, key.replace("_", " "))


def compact(value: float | None) -> str:
    """A hyperparameter with two digits, `3.2e-4` style where it is small; `own` for None."""
    if value is None:
        return "own"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def score(value: float | None) -> str:
    """A metric with four digits after the point; `-` where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4f}"


def between(interval: Sequence[float | None] | None) -> str:
    """A confidence interval as `0.8110 to 0.8720`; empty where it is not known."""
    if interval is None or any(end is None or not math.isfinite(end) for end in interval):
        return ""
    low, high = interval
    return f"{score(low)} to {score(high)}"


def freeze(depth: int, blocks: int | None) -> str:
    """A freeze depth; `all` where it is every block of the model."""
    return "all" if blocks is not None and depth >= blocks > 0 else str(depth)


def recipe(params: Mapping[str, Any], blocks: int | None = None) -> str:
    """The searched part of a configuration in one line."""
    return (
        f"{short_name(params['model'])}, lr {compact(params['learning_rate'])}, batch {params['batch_size']}, "
        f"{params['epochs']} {'epoch' if params['epochs'] == 1 else 'epochs'}, "
        f"freeze {freeze(params['freeze_depth'], blocks)}"
    )
