"""Metrics of written text: ROUGE by Google's rouge-score, BLEU and chrF by sacreBLEU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any


def lacking(module: str) -> list[str]:
    """A line about a library that isn't installed; nothing where it is."""
    if find_spec(module) is not None:
        return []
    return [f"task: its metrics need {module.replace('_', '-')}; run: pip install 'autoft[generation]'"]


def rouge(given: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """F-measures of ROUGE-L, ROUGE-1 and ROUGE-2, the mean over the rows, words brought to their stems (Lin 2004).

    Args:
        given: What was written.
        wanted: What should have been.

    Returns:
        `rouge_l`, `rouge_1` and `rouge_2`, fractions in [0, 1].
    """
    rows = [_rouge(ours, theirs) for ours, theirs in zip(given, wanted, strict=True)]
    names = ("rouge_l", "rouge_1", "rouge_2")
    return {name: sum(row[i] for row in rows) / len(rows) for i, name in enumerate(names)}


def translation(given: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Corpus scores chrF and BLEU (Popović 2015, Papineni et al. 2002), one reference for each row.

    Args:
        given: The translations.
        wanted: The references.

    Returns:
        `chrf` and `bleu`, from 0 to 100 as is their custom.
    """
    found = {}
    for name, metric in _metrics().items():
        rows = [_statistics(name, ours, theirs) for ours, theirs in zip(given, wanted, strict=True)]
        found[name] = float(metric._aggregate_and_compute(rows).score)
    return found


def signatures() -> list[str]:
    """How the scores of `translation` were made, as sacreBLEU asks to have it said."""
    translation(["a"], ["a"])
    return [f"{name}: sacreBLEU {metric.get_signature()}" for name, metric in _metrics().items()]


# A bootstrap meets the same rows a thousand times, so that what is known of a row is kept. sacreBLEU resamples in the
# same way, from statistics by row, but gives them to nobody.
@lru_cache(maxsize=2**15)
def _statistics(name: str, given: str, wanted: str) -> Any:
    return _metrics()[name]._extract_corpus_statistics([given], [[wanted]])[0]


@lru_cache(maxsize=1)
def _metrics() -> dict[str, Any]:
    from sacrebleu.metrics import BLEU, CHRF

    bleu, chrf = BLEU(), CHRF()
    for metric in (bleu, chrf):
        metric.corpus_score(["a"], [["a"]])  # only then is the number of references known
    return {"chrf": chrf, "bleu": bleu}


@lru_cache(maxsize=2**15)
def _rouge(given: str, wanted: str) -> tuple[float, float, float]:
    found = _scorer().score(wanted, given)
    return found["rougeL"].fmeasure, found["rouge1"].fmeasure, found["rouge2"].fmeasure


@lru_cache(maxsize=1)
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL", "rouge1", "rouge2"], use_stemmer=True)
