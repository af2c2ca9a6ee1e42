"""`autoft predict`: the winner of a search at work."""

from __future__ import annotations

import json as jsonlib
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from autoft.cli import options
from autoft.errors import InputError
from autoft.words import RUNS

if TYPE_CHECKING:
    import pandas as pd

    from autoft.data.formats import Formats
    from autoft.data.splits import Column
    from autoft.training.predict import Predictor

_STREAM = Path("-")


def predict(
    search: Annotated[str, typer.Argument(metavar="NAME_OR_FOLDER", help="A search, its folder, or a model folder.")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXTS", help="Texts to be labelled.")] = None,
    *,
    data: Annotated[
        str | None,
        typer.Option(
            help="A table of texts instead, from whatever search takes; - for csv or jsonl on standard input."
        ),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Its column of texts; by default as in training.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Its column of second texts.")] = None,
    encoding: Annotated[
        str, typer.Option(help="Encoding of a text file, and of the lines on standard input.")
    ] = "utf-8",
    clean: Annotated[bool, typer.Option("--clean", help="Leave rows without a text out instead of refusing.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the answers here: csv or jsonl; - for csv on standard output.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also say how likely each label is, not only the likeliest.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts that the model reads at once.")] = 64,
    runs: options.Runs = RUNS,
    json: options.Json = False,
) -> None:
    """Use the winner of a search.

    Texts come as arguments, as a table, or as lines on standard input. For a task on pairs of texts, use a table.
    The columns of a table are kept, and the answers stand beside them.

    Examples:
      autoft predict quickstart "what a film" "two hours of my life, gone"
      autoft predict quickstart --data new.csv --out labelled.csv
      cat lines.txt | autoft predict quickstart --json
      cat new.csv | autoft predict quickstart --data - --probabilities --out - > labelled.csv
    """
    if out is not None and out != _STREAM and out.suffix.lower() not in (".csv", ".jsonl"):
        raise InputError(f"--out {out}: the ending has to be .csv or .jsonl")
    if data is not None and texts:
        raise InputError("--data: texts are given as well; keep one of the two")
    lines = [] if data is not None else texts or _lines(encoding)
    if (
        out is not None
        and data is not None
        and out != _STREAM
        and out.exists()
        and Path(data).exists()
        and out.samefile(data)
    ):
        raise InputError(f"--out {out}: this is the table itself; write the answers to another file")

    from autoft import api

    model = api.model(search, runs)
    inputs: list[dict[str, Any]]
    if data is None:
        shown, answers = ["text"], model.predict(lines, probabilities=probabilities, batch_size=batch_size)
        inputs = [{"text": line} for line in lines]
    else:
        columns = _columns(model, text, text_pair)
        source: AbstractContextManager[str] = nullcontext(data) if data != str(_STREAM) else _given_table()
        with source as path:
            shown, table = list(columns.values()), _table(path, columns, model.task.formats, encoding, clean)
        rows = table[shown].set_axis([column.name for column in columns], axis="columns")
        answers = model.predict(rows, probabilities=probabilities, batch_size=batch_size)
        inputs = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    nested = json if out is None else out.suffix.lower() == ".jsonl"
    answers = [answer if nested else _flat(answer) for answer in answers]
    names = _names(answers[0], inputs[0])
    answers = [{names[key]: value for key, value in answer.items()} for answer in answers]
    labelled = [{**given, **answer} for given, answer in zip(inputs, answers, strict=True)]
    if out == _STREAM:
        _write_csv(labelled, sys.stdout)
    elif out is not None:
        _write(labelled, out)
        typer.echo(f"{len(labelled):,} rows written to {out}", err=True)
    elif json:
        for row in labelled:
            typer.echo(_line(row))
    else:
        _print([" ".join(str(given[column]) for column in shown) for given in inputs], answers)


def _lines(encoding: str) -> list[str]:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("nothing to predict: give texts, --data FILE, or lines on standard input")
    from autoft.data import decoded_input

    text = decoded_input(sys.stdin.buffer.read(), encoding, "standard input")
    # Not splitlines: it also breaks at what a text may hold, such as U+2028.
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    if not lines:
        raise InputError("standard input: there is no text in it")
    return lines


@contextmanager
def _given_table() -> Iterator[str]:
    """A file, for a moment, with the table on standard input: csv, or jsonl where it begins with a brace.

    Raises:
        InputError: Nothing comes in; or, of what is done with the file, as it says, but for the name of it.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("--data -: nothing comes in on standard input")
    raw = sys.stdin.buffer.read()
    with tempfile.TemporaryDirectory() as folder:
        start = raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        path = Path(folder) / f"standard-input.{'jsonl' if start == b'{' else 'csv'}"
        path.write_bytes(raw)
        try:
            yield str(path)
        except InputError as error:
            said = (line.replace(str(path), path.name).replace(path.name, "standard input") for line in error.problems)
            raise type(error)(*said) from None


def _flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with a column for the probability of each label."""
    found = dict(answer)
    chances = found.pop("probabilities", {})
    return found | {f"probability_{label}": chance for label, chance in chances.items()}


def _names(answer: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """The columns of the answers: their own names, with `predicted_` before one that the table has already."""
    names = {}
    for key in answer:
        name = key
        while name in given:
            name = f"predicted_{name}"
        names[key] = name
    return names


def _columns(model: Predictor, text: str | None, text_pair: str | None) -> dict[Column, str]:
    """For each column of texts that the model was trained on, the user's column that stands for it."""
    if text_pair and len(model.inputs) == 1:
        raise InputError("--text-pair: the model was trained on single texts; leave it out")
    return {column: given or column.name for column, given in zip(model.inputs, (text, text_pair), strict=False)}


def _table(source: str, columns: Mapping[Column, str], formats: Formats, encoding: str, clean: bool) -> pd.DataFrame:
    from autoft.data import read_texts

    if len(set(columns.values())) < len(columns):
        raise InputError("--text-pair: is the same column as --text; name another")
    wanted = [column._replace(name=given) for column, given in columns.items()]
    return read_texts(source, wanted, encoding, clean=clean, formats=formats)


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            if out.suffix.lower() == ".jsonl":
                file.writelines(_line(row) + "\n" for row in rows)
            else:
                _write_csv(rows, file)
    except OSError as error:
        raise InputError(f"--out {out}: can't be written: {error.strerror}") from None


def _write_csv(rows: list[dict[str, Any]], file: TextIO) -> None:
    import csv

    writer = csv.DictWriter(file, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _print(texts: list[str], answers: list[dict[str, Any]]) -> None:
    """Text and answer side by side on a terminal; tab-separated where another program reads it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    said = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in answer.values()] for answer in answers]
    if not console.is_terminal:
        for text, cells in zip(texts, said, strict=True):
            typer.echo("\t".join([*cells, " ".join(text.split())]))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in (*answers[0], "text"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for text, cells in zip(texts, said, strict=True):
        table.add_row(*map(Text, cells), Text(" ".join(text.split())))
    console.print(table)


def _line(row: dict[str, Any]) -> str:
    # A table may hold what JSON has no word for, such as a date, and NaN, which it has none for either.
    plain = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()}
    return jsonlib.dumps(plain, ensure_ascii=False, default=str)


def _cell(value: Any) -> Any:
    """What stands for a value in a csv file: a list or a mapping as JSON."""
    return jsonlib.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value
