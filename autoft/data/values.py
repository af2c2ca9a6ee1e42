"""From the values of a table, whatever its format, to texts and labels of one type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from autoft.data.reading import Table
from autoft.data.splits import Column, Kind
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5
_INTEGER = re.compile(r"-?(0|[1-9]\d*)")  # no leading zeros: 007 is a name
_DECIMAL = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def typed_rows(
    tables: Mapping[str, Table], columns: Sequence[Column], data: DataSpec, problems: list[str]
) -> dict[str, pd.DataFrame]:
    """The tables with `columns` only, their cells of the kinds that the columns ask for; missing is None.

    White space alone is missing. Labels are of one type in all parts: whole numbers become int, other numbers float,
    truth values the texts `true` and `false`; where a column mixes numbers and texts, all are texts.

    Args:
        tables: Tables by part; each has all of `columns`.
        columns: Columns to keep, in their order.
        data: Says how the labels of a row are separated.
        problems: A line is added for each table with cells that a column can't hold.

    Returns:
        Frames of objects by part, their index the numbers of the rows.
    """
    import pandas as pd

    found: dict[str, dict[str, list[Any]]] = {part: {} for part in tables}
    numbers = {part: table.numbers or range(1, table.rows + 1) for part, table in tables.items()}
    columns = [Column(name, _settled(kind, tables, name)) for name, kind in columns]
    for name, kind in columns:
        plain = _CELLS.get(kind)
        labels = _labels(tables, name) if plain is None else {}
        for part, table in tables.items():
            if plain is None:
                found[part][name] = labels[part]
            else:
                rows = zip(numbers[part], table.columns[name], strict=True)
                found[part][name], wrong = _each(rows, lambda v, plain=plain: plain(v, data))  # type: ignore[misc]
                problems += [
                    f"{column_key(name, data)}: {table.where} has {some_rows(faulty)} whose {name!r} {what}"
                    for what, faulty in wrong.items()
                ]
    for name, kind in columns:
        if kind is Kind.ANY and not _alike([cell for part in found.values() for cell in part[name]]):
            problems.append(
                f"{column_key(name, data)}: column {name!r} mixes texts, lists and mappings; "
                f"write its cells, and what is in them, all in the same way"
            )
        if kind is Kind.LABEL and any(isinstance(v, _NESTED) for t in tables.values() for v in t.columns[name]):
            problems.append(
                f"{column_key(name, data)}: column {name!r} holds lists, bytes or the like; "
                f"it has to hold words or numbers"
            )
    return {
        part: pd.DataFrame(
            {name: pd.Series(cells, dtype=object, index=pd.Index(numbers[part])) for name, cells in row.items()}
        )
        for part, row in found.items()
    }


def _alike(cells: list[Any]) -> bool:
    """Whether a column can hold all of the cells."""
    import pyarrow as pa

    try:
        pa.array(cells)
    except (pa.ArrowException, TypeError, ValueError):
        return False
    return True


def _settled(kind: Kind, tables: Mapping[str, Table], name: str) -> Kind:
    """The kind, or which of two it is."""
    if kind is not Kind.CLASSES:
        return kind
    cells = [cell for table in tables.values() for cell in table.columns[name] if not _missing(cell)]
    return Kind.LABELS if cells and all(isinstance(cell, list) for cell in cells) else Kind.LABEL


def some_rows(index: Sequence[int]) -> str:
    """The count of rows and the numbers of the first few, counted from 1."""
    shown = ", ".join(str(number) for number in index[:_SHOWN])
    if len(index) == 1:
        return f"1 row (row {shown})"
    return f"{len(index)} rows (rows {shown}{', …' if len(index) > _SHOWN else ''})"


def _each(rows: Iterable[tuple[int, Any]], plain: Callable[[Any], Any]) -> tuple[list[Any], dict[str, list[int]]]:
    """What `plain` makes of numbered values; and what it said of those that it can't take, with their numbers."""
    cells: list[Any] = []
    wrong: dict[str, list[int]] = {}
    for number, value in rows:
        try:
            cells.append(plain(value))
        except ValueError as error:
            cells.append(None)
            wrong.setdefault(str(error), []).append(number)
    return cells, wrong


def _plain_text(value: Any, data: DataSpec) -> str | None:
    if isinstance(value, _NESTED):
        raise ValueError("holds lists, bytes or the like; it has to hold texts")
    return _text(value)


def _number(value: Any, data: DataSpec) -> float | None:
    if _missing(value):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("is no number")
    return number


def _words(value: Any, data: DataSpec) -> list[str] | None:
    if _missing(value) or value == []:
        return None
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str | int | float) for word in words):
        raise ValueError("is no list of words")
    if any(_missing(word) for word in words):
        raise ValueError("has a word without a letter in it")
    return [str(_text(word)) for word in words]


def _label_list(value: Any, data: DataSpec) -> list[str] | None:
    if isinstance(value, str):
        if data.separator is None:
            raise ValueError("is a text; set data.separator to what divides its labels")
        value = value.split(data.separator)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, list) or not all(isinstance(label, str | int | float | None) for label in value):
        raise ValueError("is no list of labels")
    return sorted({str(_text(label)).strip() for label in value if not _missing(label)})


def _anything(value: Any, data: DataSpec) -> Any:
    if _missing(value) or value == {}:
        return None
    return _clean(value)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(entry) for entry in value]
    if isinstance(value, bytes):
        raise ValueError("holds bytes")
    return _text(value) or "" if isinstance(value, str) else value


_NESTED = (list, dict, bytes)
_CELLS: Mapping[Kind, Callable[[Any, DataSpec], Any]] = {
    Kind.TEXT: _plain_text,
    Kind.NUMBER: _number,
    Kind.WORDS: _words,
    Kind.LABELS: _label_list,
    Kind.ANY: _anything,
}


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
