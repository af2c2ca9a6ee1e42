"""From the values of a table, whatever its format, to texts and labels of one type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from autoft.data.reading import Table
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd

_INTEGER = re.compile(r"-?(0|[1-9]\d*)")  # no leading zeros: 007 is a name
_DECIMAL = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def typed_rows(
    tables: Mapping[str, Table], columns: Sequence[str], data: DataSpec, problems: list[str]
) -> dict[str, pd.DataFrame]:
    """The tables with `columns` only, texts as `str`, labels of one type in all parts; missing is None.

    White space alone is missing. Labels: whole numbers become int, other numbers float, truth values the texts
    `true` and `false`; where a column mixes numbers and texts, all are texts.

    Args:
        tables: Tables by part; each has all of `columns`.
        columns: Columns to keep, in their order.
        data: Says which of them is the label; it may be none of them.
        problems: A line is added for each column that holds lists or the like.

    Returns:
        Frames of objects by part, the rows numbered from 1 by their index.
    """
    import pandas as pd

    for name in columns:
        if any(isinstance(v, list | dict | bytes) for table in tables.values() for v in table.columns[name]):
            problems.append(
                f"{column_key(name, data)}: column {name!r} holds lists, bytes or the like; it has to hold "
                + ("words or numbers" if name == data.label else "texts")
            )
    labels = _labels(tables, data.label) if data.label in columns else {}
    found = {}
    for part, table in tables.items():
        index = pd.Index(table.numbers or range(1, table.rows + 1))
        found[part] = pd.DataFrame(
            {
                name: pd.Series(
                    labels[part] if name == data.label else [_text(value) for value in table.columns[name]],
                    dtype=object,
                    index=index,
                )
                for name in columns
            }
        )
    return found


def _missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str | None:
    if _missing(value):
        return None
    text = value if isinstance(value, str) else str(value)
    if not text.isascii():
        # Half a surrogate pair, which JSON can hold and neither Parquet nor a tokenizer can.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _labels(tables: Mapping[str, Table], name: str) -> dict[str, list[Any]]:
    """The label columns of all parts, brought to one type."""
    values = {part: [None if _missing(v) else v for v in table.columns[name]] for part, table in tables.items()}
    # csv knows texts only, so the numbers among them are found first.
    untyped = [part for part, table in tables.items() if not table.typed]
    parse = _parser([v for part in untyped for v in values[part] if v is not None])
    for part in untyped:
        values[part] = [None if v is None else parse(v) for v in values[part]]
    unify = _unifier([v for column in values.values() for v in column if v is not None])
    return {part: [None if v is None else unify(v) for v in column] for part, column in values.items()}


def _parser(texts: list[str]) -> Callable[[str], Any]:
    """What makes of all `texts` what they stand for."""
    if all(_INTEGER.fullmatch(text) for text in texts):
        return int if all(map(_fits, map(int, texts))) else str
    if all(_DECIMAL.fullmatch(text) for text in texts):
        return float
    if {text.lower() for text in texts} <= {"true", "false"}:
        return lambda text: text.lower() == "true"
    return str


def _fits(number: float | Decimal) -> bool:
    """Whether Arrow has a whole number of that size; a longer one is somebody's name or id."""
    return -(2**63) <= number < 2**63


def _unifier(values: list[Any]) -> Callable[[Any], Any]:
    """What brings all `values` to one type."""
    numbers = all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values)
    if numbers and all(_fits(v) for v in values if isinstance(v, int)):
        return int if all(math.isfinite(v) and v == int(v) and _fits(v) for v in values) else float
    return lambda v: str(v).lower() if isinstance(v, bool) else _text(v)


def column_key(column: str, data: DataSpec) -> str:
    """Where the spec names a column."""
    keys = {
        data.split: "data.split",
        data.label: "data.label",
        data.text_pair: "data.text_pair",
        data.text: "data.text",
    }
    return keys.get(column, f"column {column!r}")
