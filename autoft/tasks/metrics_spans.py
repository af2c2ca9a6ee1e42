"""Metrics of labelled spans in a sequence of words, as the CoNLL shared tasks count them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

Span = tuple[str, int, int]
"""Label, first word, and the word behind the last."""

OUTSIDE = "O"
_TAG = re.compile(r"([BIESLU])-(.+)")


def prefixed(tags: Iterable[str]) -> bool:
    """Whether all tags are `O` or have a prefix that says where in its span a word stands, as `B-` does."""
    return all(tag == OUTSIDE or _TAG.fullmatch(tag) for tag in tags)


def spans(tags: Sequence[str], *, prefixes: bool) -> list[Span]:
    """The spans that a row of tags stands for.

    They are read leniently, as conlleval and seqeval do: any scheme of `B`, `I`, `E` (or `L`), `S` (or `U`), and a
    span that begins with `I`, is understood. Without prefixes, equal tags side by side are one span.

    Args:
        tags: One for each word.
        prefixes: Whether the tags have such prefixes.
    """
    found: list[Span] = []
    label, start = "", 0
    for i, tag in enumerate([*tags, OUTSIDE]):
        match = _TAG.fullmatch(tag) if prefixes else None
        here = tag if not prefixes else (match[2] if match else OUTSIDE)
        begins = bool(match) and match[1] in "BSU"  # type: ignore[index]
        if label and (here != label or begins):
            found.append((label, start, i))
            label = ""
        if here != OUTSIDE and not label:
            label, start = here, i
        if match and match[1] in "ELSU" and label:
            found.append((label, start, i + 1))
            label = ""
    return found


@lru_cache(maxsize=2**16)  # a bootstrap meets the same rows a thousand times
def counts(
    predicted: tuple[str, ...], wanted: tuple[str, ...], prefixes: bool
) -> tuple[tuple[str, int, int, int], ...]:
    """For each label in a row: spans that are right, predicted, wanted."""
    ours, theirs = set(spans(predicted, prefixes=prefixes)), set(spans(wanted, prefixes=prefixes))
    right, given, real = (Counter(span[0] for span in some) for some in (ours & theirs, ours, theirs))
    return tuple((label, right[label], given[label], real[label]) for label in sorted(given | real))


def span_f1(
    predicted: Sequence[tuple[str, ...]], wanted: Sequence[tuple[str, ...]], *, prefixes: bool
) -> dict[str, float]:
    """Precision, recall and F1 of whole spans: right is one whose label, beginning and end are right.

    Args:
        predicted: For each row its tags.
        wanted: The same, as they should be.
        prefixes: Whether the tags have prefixes; see `spans`.

    Returns:
        `f1`, `precision` and `recall` over all spans, and `macro_f1`, the mean F1 of the labels that occur; 0 where
        there is nothing to divide by.
    """
    total: dict[str, list[int]] = {}
    for ours, theirs in zip(predicted, wanted, strict=True):
        for label, *numbers in counts(ours, theirs, prefixes):
            sums = total.setdefault(label, [0, 0, 0])
            for i, number in enumerate(numbers):
                sums[i] += number
    right, given, real = (sum(sums[i] for sums in total.values()) for i in range(3))
    by_label = [_share(2 * sums[0], sums[1] + sums[2]) for sums in total.values()]
    return {
        "f1": _share(2 * right, given + real),
        "precision": _share(right, given),
        "recall": _share(right, real),
        "macro_f1": sum(by_label) / len(by_label) if by_label else 0.0,
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
