"""The user's rows in their three parts, and what the data layer asks of a task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from autoft.data.reading import Reader
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")


class Kind(StrEnum):
    """What the cells of a column have to hold."""

    TEXT = "text"
    """A text that isn't empty."""
    LABEL = "label"
    """A word or a number, of one type in the whole column."""
    LABELS = "labels"
    """Any number of words, none at all among them: a list, or a text that `data.separator` divides."""
    CLASSES = "classes"
    """Either of the two, the same in the whole column."""
    NUMBER = "number"
    """A finite number."""
    WORDS = "words"
    """A list of texts with at least one in it; a plain text is divided at its spaces."""
    ANY = "any"
    """Whatever the task itself will look at, as lists and mappings."""


class Column(NamedTuple):
    """A column of the user's table, and what its cells have to hold."""

    name: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Splits:
    """The user's rows in their three parts, with the task's columns only, in a fixed order.

    Attributes:
        train: Rows to train on.
        validation: Rows that choose the winner.
        test: Rows that score it, once.
        fingerprint: Changes when any of the rows does.
        notes: What was done to the rows that their owner should know, a line each: rows dropped, say. It is
            for the screen, and is not written to disk.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def test_fingerprint(self) -> str:
        """Fingerprint of the test rows alone: scores on rows with the same one can be compared."""
        return fingerprint({"test": self.test})


class DataRules(Protocol):
    """The part of a task that says what its data have to look like; see `autoft.tasks.Task`."""

    @property
    def formats(self) -> Mapping[str, Reader]:
        """Files that it reads beside tables, by the end of their name."""

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """Columns that the table has to have, and what their cells have to hold."""

    def stratify(self, data: DataSpec) -> str | None:
        """Column whose values every split should hold in the same shares, if there is one."""

    def fault(self, row: Mapping[str, Any], data: DataSpec) -> str:
        """What is wrong with a row, empty where nothing is."""

    def problems(self, splits: Splits, data: DataSpec) -> list[str]:
        """Everything that makes the data unfit, one line each."""


def frame(columns: Mapping[str, list[Any]]) -> pd.DataFrame:
    """A data frame whose texts are plain `str` objects, whatever pandas' own default for them is."""
    import pandas as pd

    return pd.DataFrame(
        {name: pd.Series(values, dtype=None if _numbers(values) else object) for name, values in columns.items()}
    )


def as_read(columns: Mapping[str, list[Any]]) -> pd.DataFrame:
    """A data frame of Python's own objects, so that a whole number beside an empty cell stays one."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def _numbers(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, int | float) for value in values)


def fingerprint(parts: Mapping[str, pd.DataFrame]) -> str:
    """SHA-256 over names, columns, types and values of the parts, in hexadecimal.

    The same on every machine and in every process; independent of the format that the rows came in.
    """
    digest = hashlib.sha256()
    for part in PARTS:
        if part not in parts:
            continue
        rows = parts[part]
        # JSON tells 1 from "1" and from 1.0, and marks where a value ends.
        digest.update(json.dumps([part, len(rows), [str(name) for name in rows.columns]]).encode())
        for name in rows.columns:
            digest.update(json.dumps(rows[name].tolist()).encode())
    return digest.hexdigest()
