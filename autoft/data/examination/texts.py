"""What makes two texts the same, and the words of a text, in any script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from autoft.data.splits import DataRules
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
# Of scripts that put no spaces between words each character counts as one. Beyond ASCII what is no punctuation is kept:
# accents that stand alone, and emoji, which carry a meaning.
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+|[^\w\s\x00-\xbf\u2000-\u206f\u3000-\u303f]")
_MARK = re.compile(r"[^\w\s.,;!?'\"\u2010-\u201f\u2026-]")


@dataclass(frozen=True)
class Texts:
    """The texts of a split.

    Attributes:
        part: Name of the split.
        cells: For each row its texts, one for each column that a model reads.
    """

    part: str
    cells: Sequence[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def words(self) -> list[tuple[list[str], ...]]:
        """The words of each text, in lower case."""
        return [tuple(words(text) for text in row) for row in self.cells]

    @cached_property
    def keys(self) -> list[tuple[str, ...]]:
        """For each row what it shares with those that differ in case, punctuation and white space only."""
        return [
            tuple(_key(found) or text.strip() for found, text in zip(row, texts, strict=True))
            for row, texts in zip(self.words, self.cells, strict=True)
        ]

    @cached_property
    def marks(self) -> list[str]:
        """The characters of each row that may turn its meaning, and are in no word: those of `:-)` or `<`, say."""
        return ["".join(mark for text in row for mark in _MARK.findall(text)) for row in self.cells]

    @cached_property
    def lengths(self) -> list[int]:
        """Words in each row."""
        return [sum(map(len, row)) for row in self.words]

    def shown(self, row: int) -> str:
        """A row as the user wrote it."""
        return " | ".join(self.cells[row])


def texts_of(rows: pd.DataFrame, part: str, task: DataRules, data: DataSpec) -> Texts:
    """The texts of a split: its columns, without the label.

    Args:
        rows: The split.
        part: Its name.
        task: Names the columns.
        data: Says which of them is the label.
    """
    names = [column.name for column in task.columns(data) if column.name != data.label]
    columns = [[_text(cell) for cell in rows[name]] for name in names]
    return Texts(part, list(zip(*columns, strict=True)))


def words(text: str) -> list[str]:
    """The words of a text, in lower case and in their one normal form, without its punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _key(found: Sequence[str]) -> str:
    """The words of a text in one piece, so that `well-known`, `well known` and `wellknown` are the same."""
    pieces = [found[0]] if found else []
    for before, word in pairwise(found):
        pieces.append(f" {word}" if before[-1].isdigit() and word[0].isdigit() else word)  # 1 11 is not 11 1
    return "".join(pieces)


def _text(cell: Any) -> str:
    return cell if isinstance(cell, str) else " ".join(_leaves(cell))


def _leaves(cell: Any) -> Iterable[str]:
    """The texts in a cell of lists and mappings, the turns of a dialogue say."""
    if isinstance(cell, dict):
        cell = list(cell.values())
    if isinstance(cell, list | tuple):
        for entry in cell:
            yield from _leaves(entry)
    elif cell is not None:
        yield str(cell)
