"""Metrics of extractive question answering, as SQuAD defines them (Rajpurkar et al. 2016 and 2018)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """An answer in small letters, without punctuation, articles and spare spaces."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


@lru_cache(maxsize=2**16)  # a bootstrap meets the same answers a thousand times
def word_f1(given: str, wanted: str) -> float:
    """F1 of the words that two answers share; where one has no words, whether the other has none either."""
    ours, theirs = normalized(given).split(), normalized(wanted).split()
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * sum((Counter(ours) & Counter(theirs)).values()) / (len(ours) + len(theirs))


@lru_cache(maxsize=2**16)
def same(given: str, wanted: str) -> float:
    """Whether two answers are the same but for case, punctuation, articles and spaces: 1.0 or 0.0."""
    return float(normalized(given) == normalized(wanted))


def answers(given: Sequence[str], wanted: Sequence[Sequence[str]]) -> dict[str, float]:
    """The mean over all questions, each against that of its right answers which suits best.

    Args:
        given: For each question the answer, empty for none.
        wanted: For each question all that is right; nothing for a question without an answer.

    Returns:
        `f1` and `exact_match`, fractions in [0, 1].

    Raises:
        ValueError: There are no questions, or their numbers differ.
    """
    if not given or len(given) != len(wanted):
        raise ValueError(f"{len(given)} answers don't fit {len(wanted)} questions")
    pairs = [
        (ours, [text for text in theirs if normalized(text)] or [""])
        for ours, theirs in zip(given, wanted, strict=True)
    ]
    return {
        "f1": sum(max(word_f1(ours, one) for one in theirs) for ours, theirs in pairs) / len(pairs),
        "exact_match": sum(max(same(ours, one) for one in theirs) for ours, theirs in pairs) / len(pairs),
    }
