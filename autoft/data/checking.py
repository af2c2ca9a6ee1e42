"""What can be wrong with a user's rows: each finding is one line with its count, its rows and what to do."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autoft.data.reading import Table
from autoft.data.splits import PARTS
from autoft.data.values import column_key, some_rows
from autoft.spec import DataSpec
from autoft.words import nearest

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 20
_SHOWN = 5
_NO_LABEL = {"nan", "null", "n/a", "<na>", "#n/a"}  # what programs write for nothing; `none` may be a class
_CLEAN = "set data.clean: true or pass --clean to drop them"


def missing_columns(table: Table, columns: Sequence[str], data: DataSpec) -> list[str]:
    """A line for each of `columns` that `table` lacks, and for one that is named for two things."""
    names = list(table.columns)
    found = [
        f"{column_key(column, data)}: column {column!r} is named for two things; each needs its own"
        for column in dict.fromkeys(columns)
        if columns.count(column) > 1
    ]
    for column in dict.fromkeys(columns):
        if column not in names:
            said = [name if name and name == name.strip() else repr(name) for name in names]  # else not to be seen
            hint = nearest(column, said)
            known = f" Its columns are {', '.join(said)}" if "did you mean" in hint else ""
            found.append(f"{column_key(column, data)}: {table.where} has no column {column!r}{hint}{known}")
    return found


def tidy(
    parts: Mapping[str, pd.DataFrame], tables: Mapping[str, Table], data: DataSpec, problems: list[str]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Finds and drops rows with an empty cell, repeated rows, and rows that stand in two parts.

    The rows are dropped in any case, so that later checks see what would remain. With `data.clean` that is the
    result, and each finding a note; without, each is a problem.

    Args:
        parts: Rows by part, numbered from 1 by their index; an empty cell is None.
        tables: Where the parts come from.
        data: Gives `clean`, and the names of the columns.
        problems: Findings are added here, unless `data.clean`.

    Returns:
        The rows that remain, and the notes.
    """
    findings: list[str] = []
    dropped = "dropped" if data.clean else _CLEAN
    kept: dict[str, pd.DataFrame] = {}
    for part, rows in parts.items():
        empty = rows.isna()
        for column in rows.columns:
            if empty[column].any():
                numbers = rows.index[empty[column]].tolist()
                findings.append(
                    f"{column_key(column, data)}: {tables[part].where} has {some_rows(numbers)} "
                    f"with an empty {column!r}; {dropped}"
                )
        full = rows[~empty.any(axis=1)]
        seen: set[Any] = set()
        fresh = [row not in seen and not seen.add(row) for row in _hashable(full)]  # type: ignore[func-returns-value]
        if not all(fresh):
            repeated = full.index[[not first for first in fresh]].tolist()
            findings.append(
                f"{tables[part].key}: {tables[part].where} has {some_rows(repeated)} "
                f"that repeat an earlier one; {dropped}"
            )
        kept[part] = full[fresh]
    # A row in two parts is taken out of the earlier one: what scores the winner stays as it was given.
    order = [part for part in PARTS if part in kept]
    for i, part in enumerate(order):
        for other in order[i + 1 :]:
            known = set(_hashable(kept[other]))
            shared = [row in known for row in _hashable(kept[part])]
            if any(shared):
                numbers = kept[part].index[shared].tolist()
                findings.append(
                    f"data.{part}: {tables[part].where} has {some_rows(numbers)} that stand in {other} too; "
                    f"{dropped}{f' from {part}' if data.clean else ''}"
                )
                kept[part] = kept[part][[not s for s in shared]]
    if not data.clean:
        problems += findings
    return kept, findings if data.clean else []


def too_few(
    parts: Mapping[str, pd.DataFrame],
    tables: Mapping[str, Table],
    stratify: str | None,
    whole: Mapping[str, pd.DataFrame] | None = None,
) -> list[str]:
    """Lines for too few rows at all, and for classes that can't stand in every part.

    Args:
        parts: Rows by part, without those that can't be used.
        tables: Where the parts come from.
        stratify: Column of the classes, if there is one.
        whole: The rows that `parts` were drawn from, where `data.limit` left some out.
    """
    table = tables["train"]
    total = sum(map(len, parts.values()))
    if total < MIN_ROWS:
        return [f"{table.key}: {total} usable rows in all are too few; at least {MIN_ROWS} are needed"]
    found = [
        f"{tables[part].key}: {tables[part].where} has no usable row" for part, rows in parts.items() if rows.empty
    ]
    needed = 1 + len(PARTS) - len(parts)  # one row for train, and one for each part that is taken from it
    if stratify is None or needed == 1 or found:
        return found
    counts = Counter(parts["train"][stratify].tolist())
    before = Counter((whole or parts)["train"][stratify].tolist())  # a class that the limit left out counts 0
    rare = [
        f"{label!r} ({counts[label]})" for label in sorted(before, key=before.__getitem__) if counts[label] < needed
    ]
    if rare:
        shown = ", ".join(rare[:_SHOWN]) + (f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else "")
        if whole is None:
            hint = "add rows of them or take them out"
        else:
            enough = math.ceil(needed * sum(map(len, whole.values())) / min(before.values()))
            hint = f"raise data.limit to about {enough}"
        found.append(f"data.label: classes with fewer than {needed} rows, too few to be split: {shown}; {hint}")
    return found


def _hashable(rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The rows as tuples that can stand in a set, lists and mappings among their cells as JSON."""
    return [
        tuple(json.dumps(cell, sort_keys=True) if isinstance(cell, list | dict) else cell for cell in row)
        for row in rows.itertuples(index=False, name=None)
    ]


def odd_labels(parts: Mapping[str, pd.DataFrame], label: str) -> list[str]:
    """Notes on classes that are probably none, or probably one: `nan`, or `yes` and `Yes`."""
    counts = Counter(value for rows in parts.values() for value in rows[label] if isinstance(value, str))
    notes = [
        f"{n} {'row has' if n == 1 else 'rows have'} the label {value!r}, which counts as a class; if it means that "
        f"there is none, empty those cells and pass --clean"
        for value, n in sorted(counts.items())
        if value.strip().casefold() in _NO_LABEL
    ]
    alike: dict[str, list[str]] = {}
    for value in sorted(counts):
        alike.setdefault(" ".join(value.split()).casefold(), []).append(value)
    same = [values for values in alike.values() if len(values) > 1]
    if same:
        shown = "; ".join(", ".join(map(repr, values)) for values in same[:_SHOWN])
        more = f" and {len(same) - _SHOWN} more" if len(same) > _SHOWN else ""
        notes.append(f"labels that differ only in case or in spaces are classes of their own: {shown}{more}")
    return notes
