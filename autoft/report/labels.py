"""How names and numbers of a search are written for people, the same on screen and in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import TrialConfig
from autoft.words import compact, frozen, short_name, visible

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


def amount(number: int, noun: str) -> str:
    """A number with its noun: `1 trial`, `1,200 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Words one after another: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def short(text: str, length: int) -> str:
    """A text on one line with its control characters written out, cut after `length` characters."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= length else f"{line[: length - 1]}…"


def sentence(text: str) -> str:
    """What is said of the winner as a whole sentence: `better than x` → `It is better than x.`."""
    whole = " ".join(text.split())
    if whole.startswith(("better", "worse")):
        whole = f"It is {whole}"
    return whole[:1].upper() + whole[1:] + ("" if whole.endswith((".", "!", "?")) else ".")


def percent(value: float) -> str:
    """A fraction in whole per cent: `97 %`."""
    return f"{value * 100:.0f} %"


def share(value: float | None) -> str:
    """A fraction in per cent: `97.1 %`; `-` where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.1%}".replace("%", " %")


def blocks_of(report: Mapping[str, Any], model: str) -> int | None:
    """The number of blocks of a model, where the report knows it."""
    blocks: int | None = ((report.get("models") or {}).get(model) or {}).get("blocks")
    return blocks


def entrant_name(name: str) -> str:
    """An entrant of the finals in words: `trial 7`, `the plain recipe`, `the soup`."""
    if name.startswith("trial-"):
        return f"trial {name.removeprefix('trial-')}"
    return {"plain": "the plain recipe", "soup": "the soup"}.get(name, name.replace("-", " "))


def winner_number(report: Mapping[str, Any]) -> int | None:
    """The number of the trial that won."""
    number: int | None = (report.get("winner") or {}).get("trial")
    return number


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
