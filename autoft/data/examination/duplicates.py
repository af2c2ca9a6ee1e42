"""Texts that stand in two splits, so that a score says how well they were learnt by heart; and twice in training.

The same are texts that differ in case, punctuation and white space only. Nearly the same are those whose sets of words
and pairs of neighbouring words have a Jaccard similarity of `NEAR` or more, in every column. Candidates for that are
found by locality-sensitive hashing of MinHash signatures (Broder, 1997; Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, chapter 3), and each is checked: a text that is not that similar is never reported.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from autoft.data.examination.findings import SHOWN, Example, Finding, Place, Severity, percent, rows_of
from autoft.data.examination.texts import Texts

NEAR = 0.8  # Jaccard similarity of near duplicates
MEANINGLESS = 0.5  # share of the test rows above which a score on them says nothing
GRAVE = 0.01  # share of a split's rows from which a leak is a warning
MOST = 50_000  # different texts of a split among which near duplicates are looked for
_BANDS, _ROWS = 16, 4  # of the signature: a pair with similarity 0.8 is missed once in 5,000 times, with 0.9 never
_CANDIDATES = 4_000_000  # looked at in all: rows made by one template are all like each other
_CHECKED = 200  # candidates of a text that are compared with it
_WORDS = 2_000  # of a text that are compared

_Key = tuple[str, ...]
_Shingles = tuple[frozenset[str], ...]


@dataclass
class Twins:
    """What is the same, and nearly the same, in two splits.

    Attributes:
        earlier: Name of the split that is trained or chosen on.
        later: Name of the split that is scored.
        same: Rows of `later` with a row of `earlier` that they are the same as.
        near: Rows of `later` with a row of `earlier` that they are nearly the same as; none that is in `same`.
    """

    earlier: str
    later: str
    same: dict[int, int] = field(default_factory=dict)
    near: dict[int, int] = field(default_factory=dict)


def leaks(splits: Sequence[Texts]) -> tuple[list[Twins], dict[int, int], bool]:
    """Looks for texts that stand in two splits, and for those that stand nearly the same in training twice.

    Args:
        splits: Training, validation, test.

    Returns:
        The twins of each two splits; rows of training with an earlier one that they are nearly the same as; whether
        near duplicates were looked for in a part of the rows only.
    """
    places = {split.part: _first(split) for split in splits}
    found = {
        (earlier.part, later.part): Twins(earlier.part, later.part)
        for i, earlier in enumerate(splits)
        for later in splits[i + 1 :]
    }
    for twins in found.values():
        known = places[twins.earlier]
        later = next(split for split in splits if split.part == twins.later)
        twins.same = {row: known[key] for row, key in enumerate(later.keys) if key in known}
    search = _Search(splits, places)
    for (part, row), (other, twin) in search.between():
        rows = found[other, part]
        if row not in rows.same:
            rows.near.setdefault(row, twin)
    for twins in found.values():  # all rows of a text, not its first one only
        later = next(split for split in splits if split.part == twins.later)
        near = {later.keys[row]: twin for row, twin in twins.near.items()}
        twins.near = {row: near[key] for row, key in enumerate(later.keys) if key in near and row not in twins.same}
    return list(found.values()), search.within(), search.partial


def described(twins: Twins, splits: Mapping[str, Texts], *, partial: bool, given: bool) -> Finding | None:
    """What is to be said of two splits; None where they have nothing in common.

    Args:
        twins: What they have in common.
        splits: All splits by name.
        partial: Near duplicates were looked for in a part of the rows only.
        given: The splits are the user's; else one table was split.
    """
    same, near = len(twins.same), len(twins.near)
    count, rows = same + near, len(splits[twins.later])
    if not count:
        return None
    share = count / rows
    where = twins.earlier if twins.earlier != "train" else "training"
    alike = "the same but for case, punctuation and white space"
    kinds = f"{same} {alike}, {near} nearly the same" if same and near else alike if same else "nearly the same"
    advice = f"take them out of {where}" if given else "keep one of each in the table"
    what = f"{rows_of(count)} of {twins.later} ({percent(share)}) {'stands' if count == 1 else 'stand'} in {where} too"
    sentence = f"{what} ({kinds})"
    if partial:
        sentence += ", or more: near duplicates were looked for among a part of the rows only"
    severity = Severity.WARNING if share >= GRAVE else Severity.NOTE
    if twins.earlier == "train" and twins.later == "test" and same > MEANINGLESS * rows:
        severity = Severity.REFUSAL
        sentence = f"data.test: {sentence}, so that a score on test would say nothing; {advice}"
    elif severity is Severity.WARNING:
        read = "the score on test" if twins.later == "test" else "the choice by validation"
        sentence += f", which flatters {read}; {advice}"
    examples = [
        Example.of(splits[twins.later].shown(row), [(twins.earlier, twin), (twins.later, row)])
        for row, twin in [*twins.same.items(), *twins.near.items()][:SHOWN]
    ]
    return Finding("leak", severity, sentence, count, share, tuple(examples))


def repeated(train: Texts, near: Mapping[int, int]) -> Finding | None:
    """What is to be said of texts that stand in training more than once.

    Args:
        train: Training.
        near: Rows that are nearly the same as an earlier one.
    """
    first = _first(train)
    twice = {row: first[key] for row, key in enumerate(train.keys) if first[key] != row}
    twice |= {row: twin for row, twin in near.items() if row not in twice}
    if not twice:
        return None
    share = len(twice) / len(train)
    verb = "repeats" if len(twice) == 1 else "repeat"
    sentence = f"{rows_of(len(twice))} of training ({percent(share)}) {verb} an earlier one, exactly or nearly"
    examples = [Example.of(train.shown(row), [("train", twin), ("train", row)]) for row, twin in sorted(twice.items())]
    return Finding("duplicate", Severity.NOTE, sentence, len(twice), share, tuple(examples[:SHOWN]))


def similarity(one: _Shingles, other: _Shingles) -> float:
    """The least Jaccard similarity of two rows over their columns, in [0, 1]."""
    return min(
        (len(a & b) / len(a | b) if a or b else 1.0 for a, b in zip(one, other, strict=True)),
        default=0.0,
    )


def shingles(row: Sequence[Sequence[str]]) -> _Shingles:
    """The words, and pairs of neighbouring words, of each text of a row."""
    found = []
    for words in row:
        some = words[:_WORDS]
        found.append(frozenset([*some, *(f"{a} {b}" for a, b in pairwise(some))]))
    return tuple(found)


def _first(split: Texts) -> dict[_Key, int]:
    """The first row of each text."""
    found: dict[_Key, int] = {}
    for row, key in enumerate(split.keys):
        found.setdefault(key, row)
    return found


class _Search:
    """Looks for texts that are nearly the same, among the first rows of the different ones."""

    def __init__(self, splits: Sequence[Texts], places: Mapping[str, Mapping[_Key, int]]) -> None:
        from datasketch import MinHash, MinHashLSH

        self.partial = False
        self._splits, self._left = splits, _CANDIDATES
        self._shingles: dict[Place, _Shingles] = {}
        self._signatures: dict[Place, Any] = {}
        self._index = MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
        for split in splits:
            rows = list(places[split.part].values())
            if len(rows) > MOST:
                rows, self.partial = rows[:: -(-len(rows) // MOST)], True
            for row in rows:
                if any(split.words[row]):  # signs only have no words to be compared by
                    self._shingles[split.part, row] = shingles(split.words[row])
        tokens = (
            [f"{column} {token}".encode() for column, found in enumerate(row) for token in found]
            for row in self._shingles.values()
        )
        # A CRC will do: a signature only suggests pairs. The library's own SHA-1 takes ten times as long.
        signed = MinHash.generator(tokens, num_perm=_BANDS * _ROWS, hashfunc=zlib.crc32)
        self._signatures = dict(zip(self._shingles, signed, strict=True))

    def between(self) -> Iterator[tuple[Place, Place]]:
        """Texts of a later split, each with one of each earlier split that it is nearly the same as."""
        by_part: dict[str, list[Place]] = defaultdict(list)
        for place in self._shingles:
            by_part[place[0]].append(place)
        for i, split in enumerate(self._splits):
            if i:
                for place in by_part[split.part]:
                    seen: set[str] = set()
                    for other in self._alike(place):
                        if other[0] not in seen:
                            seen.add(other[0])
                            yield place, other
            for place in by_part[split.part]:
                self._index.insert(place, self._signatures[place], check_duplication=False)

    def within(self) -> dict[int, int]:
        """Rows of the first split that are nearly the same as an earlier one; after `between`."""
        part = self._splits[0].part
        found = {}
        for place in self._shingles:
            if place[0] == part:
                twin = next((row for other, row in self._alike(place) if other == part and row < place[1]), None)
                if twin is not None:
                    found[place[1]] = twin
        return found

    def _alike(self, place: Place) -> Iterator[Place]:
        """Texts in the index that are nearly the same as one, its own among them, in a fixed order."""
        if self._left <= 0:
            self.partial = True
            return
        candidates: list[Place] = sorted(self._index.query(self._signatures[place]))
        self._left -= len(candidates)
        own = self._shingles[place]
        if len(candidates) > _CHECKED:
            mine = self._signatures[place]
            candidates.sort(key=lambda other: -mine.jaccard(self._signatures[other]))
        for other in candidates[:_CHECKED]:
            if other != place and similarity(own, self._shingles[other]) >= NEAR:
                yield other
