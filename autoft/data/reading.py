"""From one file to a `Table`: csv, tsv, jsonl, json, parquet and arrow, each read strictly.

Strictly means: a line with a field too many, a quote that never closes or a byte of another encoding is an
error with its line, never a row that silently shifts or vanishes.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autoft.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Reader = Callable[[Path, str], dict[str, list[Any]]]
"""Makes of a file, in an encoding, values by column name; raises `Unreadable`."""
Formats = Mapping[str, Reader]
"""Readers by the end of a file's name."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as they were read, before anything is made of their values.

    Attributes:
        key: Where the spec names it, such as `data.source`.
        where: Where the rows come from, for people.
        columns: Values by column name, all of the same length; None is missing.
        typed: Whether the format knows numbers from texts; csv and tsv don't.
        numbers: The rows' numbers, for people; from 1 where it is None.
    """

    key: str
    where: str
    columns: Mapping[str, list[Any]]
    typed: bool = True
    numbers: Sequence[int] | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), []))


def read_file(path: Path, key: str, encoding: str = "utf-8", formats: Formats = MappingProxyType({})) -> Table:
    """Reads a table; its format is told by the end of its name.

    Args:
        path: The file.
        key: Where the spec names it.
        encoding: Of csv, tsv, jsonl, json and other formats of text.
        formats: What is read beside tables; goes before them.

    Raises:
        DataError: The file can't be read, in one line; or it has no rows.
    """
    readers = {**_READERS, **formats}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{key}: {path.name} is none of the formats that are read: {', '.join(readers)}")
    try:
        columns = reader(path, encoding)
    except Unreadable as problem:
        raise DataError(f"{key}: {path.name}: {problem}") from None
    except OSError as error:
        raise DataError(f"{key}: {path.name} can't be read: {error.strerror or error}") from None
    table = Table(key, path.name, columns, typed=reader not in (_csv, _tsv))
    if table.rows == 0:
        held = "has a header and no rows" if columns else "is empty"
        raise DataError(f"{key}: {path.name} {held}; a table with rows is needed")
    return table


def is_table(path: Path, formats: Formats = MappingProxyType({})) -> bool:
    """Whether the end of the name is that of a format which `read_file` reads."""
    return path.suffix.lower() in {**_READERS, **formats}


class Unreadable(Exception):  # noqa: N818 - `read_file` makes a DataError of it
    """What is wrong with the contents of a file."""


_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded_input(raw: bytes, encoding: str, what: str) -> str:
    """What came in another way than in a file, without a byte-order mark.

    Args:
        raw: Its bytes.
        encoding: Their encoding.
        what: What is read, for people.

    Raises:
        DataError: There is no such encoding, or the bytes have another one.
    """
    try:
        return _decoded(raw, encoding)
    except Unreadable as problem:
        raise DataError(f"{what}: {problem}") from None


def decoded(path: Path, encoding: str) -> str:
    """The text of a file, line ends as they are, without a byte-order mark.

    Raises:
        Unreadable: There is no such encoding, or the file has another one.
    """
    return _decoded(path.read_bytes(), encoding)


# How files begin that are no texts, whatever their name says.
_BINARY = {
    b"PK\x03\x04": "a zip or Excel file",
    b"\x1f\x8b": "compressed by gzip",
    b"PAR1": "Parquet",
    b"BZh": "compressed by bzip2",
}


def _decoded(raw: bytes, encoding: str) -> str:
    if what := next((what for start, what in _BINARY.items() if raw.startswith(start)), None):
        raise Unreadable(f"is {what}, whatever its name says; a table in one of the formats that are read is needed")
    try:
        utf8 = codecs.lookup(encoding).name == "utf-8"
        text = raw.decode("utf-8-sig" if utf8 else encoding)
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise Unreadable(f"holds a NUL byte in line {line}: it is no text, or --encoding (data.encoding) is utf-16")
        return text
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Unreadable(
            f"is not {encoding}: byte 0x{raw[error.start]:02x} in line {line}; give its own encoding "
            f"with --encoding (data.encoding), such as {'utf-16' if raw.startswith(_UTF16) else 'latin-1 or cp1252'}"
        ) from None
    except (LookupError, ValueError):  # also for what is no encoding of texts, such as hex
        raise Unreadable(f"there is no encoding {encoding!r}; such are utf-8 and latin-1") from None


def _csv(path: Path, encoding: str) -> dict[str, list[Any]]:
    return _separated(decoded(path, encoding), ",", csv.QUOTE_MINIMAL)


def _tsv(path: Path, encoding: str) -> dict[str, list[Any]]:
    text = decoded(path, encoding)
    try:
        return _separated(text, "\t", csv.QUOTE_MINIMAL)
    except Unreadable:
        # Many tsv files know no quoting, and a text may then begin with a quotation mark.
        return _separated(text, "\t", csv.QUOTE_NONE)


def _separated(text: str, separator: str, quoting: Any) -> dict[str, list[Any]]:
    # Python's reader, not pandas': that one takes surplus fields for an index, and a quote that never
    # closes for one long text.
    csv.field_size_limit(2**31 - 1)  # the default of 128 KiB is less than a long document
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    begins = 1  # line on which the record begins: a quoted text may run over several
    try:
        for record in reader:
            if not record:
                pass  # an empty line
            elif not header:
                header = record
                if separator == "," and len(header) == 1 and (other := next((c for c in ";\t|" if c in header[0]), "")):
                    raise Unreadable(f"is separated by {other!r}; save it with commas, or with tabs as .tsv")
            elif len(record) != len(header):
                hint = "quote texts that hold a comma" if separator == "," else "take tabs out of the texts"
                raise Unreadable(f"line {begins} has {len(record)} fields and the header {len(header)}; {hint}")
            else:
                rows.append(record)
            begins = reader.line_num + 1
    except csv.Error as error:
        raise Unreadable(f"malformed at line {begins}: {_QUOTES.get(str(error), error)}") from None
    _refuse_twins(header)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


_QUOTES = {"unexpected end of data": "a quotation mark opens there and never closes; double those inside a text"}


def _refuse_twins(names: list[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise Unreadable(f"has two columns called {twins[0]!r}; rename one of them")


def jsonl_table(path: Path, encoding: str) -> dict[str, list[Any]]:
    """An object in each line, with the columns as its keys.

    Raises:
        Unreadable: A line is something else.
    """
    return _lines(decoded(path, encoding))


def _lines(text: str) -> dict[str, list[Any]]:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"line {number} is not JSON: {_fault(error)}") from None
        if not isinstance(record, dict):
            raise Unreadable(f"line {number} is no JSON object; each line has to be one, with the columns as keys")
        records.append(record)
    return _columns(records)


def json_table(path: Path, encoding: str) -> dict[str, list[Any]]:
    """A list of objects, columns with their values, or JSON lines under the wrong name.

    Raises:
        Unreadable: It is something else.
    """
    text = decoded(path, encoding)
    try:
        content = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("{"):  # JSON lines under the other name, as `datasets` writes them
            return _lines(text)
        raise Unreadable(f"is not JSON: {_fault(error)}") from None
    if isinstance(content, dict) and content and all(isinstance(v, list) for v in content.values()):
        if len({len(values) for values in content.values()}) > 1:
            raise Unreadable("has columns of different lengths")
        return content
    records = [content] if isinstance(content, dict) else content
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise Unreadable("is no list of JSON objects; each row has to be one, with the columns as keys")
    return _columns(records)


def _fault(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def _columns(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _parquet(path: Path, encoding: str) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq

    return _from_file("Parquet", pq.read_table, path)


def _arrow(path: Path, encoding: str) -> dict[str, list[Any]]:
    import pyarrow as pa

    def read(path: Path) -> pa.Table:
        with pa.OSFile(str(path)) as file:
            try:
                return pa.ipc.open_file(file).read_all()
            except pa.ArrowInvalid:  # the streaming format, as `datasets` writes it
                file.seek(0)
                return pa.ipc.open_stream(file).read_all()

    return _from_file("Arrow", read, path)


def _from_file(form: str, read: Callable[[Path], pa.Table], path: Path) -> dict[str, list[Any]]:
    import pyarrow as pa

    if path.stat().st_size == 0:
        return {}
    try:
        table = read(path)
    except (pa.ArrowException, ValueError) as error:
        raise Unreadable(f"is no {form} file, or a damaged one: {' '.join(str(error).split())}") from None
    return from_arrow(table)


def from_arrow(table: pa.Table) -> dict[str, list[Any]]:
    """The columns of an Arrow table as plain Python values."""
    _refuse_twins(list(table.column_names))
    return {name: column.to_pylist() for name, column in zip(table.column_names, table.columns, strict=True)}


_READERS: Formats = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": jsonl_table,
    ".ndjson": jsonl_table,
    ".json": json_table,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".ipc": _arrow,
}
