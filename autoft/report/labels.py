"""How names and numbers of a search are written for people, the same on screen and in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autoft.words import compact, freeze, short_name

BASELINES: Mapping[str, str] = {
    "majority": "always the commonest label",
    "tfidf": "logistic regression on TF-IDF words",
    "probe": "linear model on a frozen model's features",
    "ridge": "ridge regression on TF-IDF words",
    "mean": "always the mean",
    "whole_text": "always the whole text",
    "no_answer": "never an answer",
    "unigram": "each token as often as in training",
    "lead": "the first words of the text",
    "copy": "the text as it is",
    "lexicon": "each word's commonest tag",
}


def baseline_name(key: str) -> str:
    """A baseline in words."""
    return BASELINES.get(key, key.replace("_", " "))


def score(value: float | None) -> str:
    """A metric with four digits after the point; `-` where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4f}"


def between(interval: Sequence[float | None] | None) -> str:
    """A confidence interval as `0.8110 to 0.8720`; empty where it is not known."""
    if interval is None or any(end is None or not math.isfinite(end) for end in interval):
        return ""
    low, high = interval
    return f"{score(low)} to {score(high)}"


def recipe(params: Mapping[str, Any], blocks: int | None = None) -> str:
    """The searched part of a configuration in one line."""
    return (
        f"{short_name(params['model'])}, lr {compact(params['learning_rate'])}, batch {params['batch_size']}, "
        f"{params['epochs']} {'epoch' if params['epochs'] == 1 else 'epochs'}, "
        f"freeze {freeze(params['freeze_depth'], blocks)}"
    )
