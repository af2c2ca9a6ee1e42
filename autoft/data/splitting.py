"""Draws and splits rows: seeded, in the shares of the classes, and back in the order they came in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autoft.data.splits import PARTS
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd


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
