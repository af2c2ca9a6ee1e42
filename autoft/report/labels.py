"""How names and numbers of a search are written for people, the same on screen and in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import TrialConfig
from autoft.words import compact, frozen, short_name

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


def known(value: Any) -> bool:
    """Whether a number stands there, and a finite one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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
    said = [
        short_name(params["model"]),
        f"lr {compact(params['learning_rate'])}",
        f"batch {params['batch_size']}",
        f"{params['epochs']} {'epoch' if params['epochs'] == 1 else 'epochs'}",
        f"{'' if params.get('adapter') == 'lora' else 'freeze '}{frozen(params, blocks)}",
        more(params),
    ]
    return ", ".join(filter(None, said))


def more(params: Mapping[str, Any]) -> str:
    """What else of a configuration isn't the default: `schedule cosine, dropout 0`; LoRA's rank is said elsewhere."""
    unusual = TrialConfig(**params).unusual()
    return ", ".join(
        f"{knob} {compact(value) if isinstance(value, float | None) else value}"
        for knob, value in unusual.items()
        if knob not in ("adapter", "lora_rank")
    )
