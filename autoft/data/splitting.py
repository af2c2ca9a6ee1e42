"""Draws and splits rows: as a column says, or seeded, in the shares of the classes and in the order they came in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autoft.data.checking import missing_columns
from autoft.data.reading import Table
from autoft.data.splits import PARTS
from autoft.data.values import some_rows
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd


# What a column may call the parts.
_NAMES = {"training": "train", "dev": "validation", "val": "validation", "valid": "validation", "testing": "test"}
_NAMES |= {part: part for part in PARTS}


def by_column(tables: Mapping[str, Table], data: DataSpec, problems: list[str]) -> dict[str, Table]:
    """The parts that the column `data.split` of a table names.

    Args:
        tables: The table, as `train`.
        data: Names the column.
        problems: A line is added for whatever can't be split by it.

    Returns:
        Tables by part, each with the numbers that its rows have in the whole.
    """
    table, column = tables.get("train"), str(data.split)
    if table is None:  # it could not be read
        return dict(tables)
    if len(tables) > 1:
        problems.append(f"data.split: {data.source} comes in {', '.join(tables)} already; leave it out")
        return dict(tables)
    if column not in table.columns:
        problems += missing_columns(table, [column], data)
        return dict(tables)
    rows: dict[str, list[int]] = {part: [] for part in PARTS}
    strange: dict[str, list[int]] = {}
    for i, value in enumerate(table.columns[column]):
        part = _part(value)
        (rows[part] if part else strange.setdefault("empty" if value in (None, "") else repr(value), [])).append(i)
    for value, found in strange.items():
        problems.append(
            f"data.split: {table.where} has {some_rows([i + 1 for i in found])} whose {column!r} is {value}; "
            f"it has to be train, validation (or dev, val, valid) or test"
        )
    if not strange and not rows["train"]:
        problems.append(f"data.split: {table.where} has no row whose {column!r} is train")
    return {
        part: Table(
            table.key,
            table.where,
            {name: [values[i] for i in found] for name, values in table.columns.items()},
            table.typed,
            numbers=[i + 1 for i in found],
        )
        for part, found in rows.items()
        if found
    }


def unused_split(tables: Mapping[str, Table], used: Sequence[str]) -> list[str]:
    """A note on a column that names a part for each row, where nobody has said that it should be used."""
    if set(tables) != {"train"}:
        return []
    return [
        f"column {name!r} says train, validation or test for each row, and is not used: autoft splits the rows "
        f"itself; to keep the split, pass --split {name} (data.split)"
        for name, values in tables["train"].columns.items()
        if name not in used and len(parts := set(map(_part, values))) > 1 and None not in parts and "train" in parts
    ]


def _part(value: object) -> str | None:
    return _NAMES.get(value.strip().lower()) if isinstance(value, str) else None


def draw(parts: Mapping[str, pd.DataFrame], limit: int, stratify: str | None, seed: int) -> dict[str, pd.DataFrame]:
    """At most `limit` rows of all parts together, in the shares of the parts and of their classes.

    Args:
        parts: Rows by part.
        limit: Most rows to keep.
        stratify: Column of the classes, if there is one.
        seed: Seed of the draw.
    """
    total = sum(map(len, parts.values()))
    if total <= limit:
        return dict(parts)
    sizes = {part: max(1, len(rows) * limit // total) for part, rows in parts.items() if part != "train"}
    sizes["train"] = max(1, min(len(parts["train"]), limit - sum(sizes.values())))
    found = {}
    for part, rows in parts.items():
        # Classes with one row can't keep their share; then the draw is plain.
        column = stratify if stratify and _divisible(rows[stratify], len(rows) - sizes[part]) else None
        found[part] = _divide(rows, len(rows) - sizes[part], column, seed)[0]
    return found


def split(
    parts: Mapping[str, pd.DataFrame], data: DataSpec, stratify: str | None, seed: int
) -> dict[str, pd.DataFrame]:
    """All three parts: those that are missing are taken from `train`, the test first.

    Args:
        parts: Rows by part, `train` among them.
        data: Gives the sizes, as shares of the rows in `parts["train"]`.
        stratify: Column of the classes, if there is one; each has a row for every part that it has to stand in.
        seed: Seed of the split.

    Raises:
        ValueError: The sizes leave a class too few rows.
    """
    found = dict(parts)
    rows = parts["train"]
    for part, share in (("test", data.test_size), ("validation", data.validation_size)):
        if part not in parts:
            size = max(round(share * len(rows)), 1 if stratify is None else rows[stratify].nunique())
            found["train"], found[part] = _divide(found["train"], size, stratify, seed)
    return {part: found[part] for part in PARTS}


def _divide(rows: pd.DataFrame, size: int, stratify: str | None, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`rows` without `size` of them, and those, each in the order of `rows`."""
    from sklearn.model_selection import train_test_split

    if size == 0:
        return rows, rows[:0]
    classes = None if stratify is None else [str(label) for label in rows[stratify]]
    left, right = train_test_split(range(len(rows)), test_size=size, random_state=seed, stratify=classes)
    return rows.iloc[sorted(left)], rows.iloc[sorted(right)]


def _divisible(labels: pd.Series[Any], size: int) -> bool:
    """Whether scikit-learn can divide the rows in the shares of their classes."""
    counts = Counter(labels.tolist())
    return min(counts.values()) > 1 and len(counts) <= min(size, len(labels) - size)
