"""`autoft predict`: the winner of a search at work."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoft.cli import options
from autoft.errors import DataError, InputError
from autoft.words import RUNS

if TYPE_CHECKING:
    import pandas as pd

    from autoft.data.formats import Formats
    from autoft.data.splits import Column
    from autoft.training.predict import Predictor


def predict(
    search: Annotated[str, typer.Argument(metavar="NAME_OR_FOLDER", help="A search, its folder, or a model folder.")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXTS", help="Texts to be labelled.")] = None,
    *,
    data: Annotated[Path | None, typer.Option(help="A table of texts instead.")] = None,
    text: Annotated[str | None, typer.Option(help="Its column of texts; by default as in training.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Its column of second texts.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the answers here: csv or jsonl.")] = None,
    runs: options.Runs = RUNS,
    json: options.Json = False,
) -> None:
    """Use the winner of a search.

    Texts come as arguments, as a table, or as lines on standard input. For a task on pairs of texts, use a table.

    Examples:
      autoft predict quickstart "what a film" "two hours of my life, gone"
      autoft predict quickstart --data new.csv --out labelled.csv
      cat lines.txt | autoft predict quickstart --json
    """
    if out is not None and out.suffix.lower() not in (".csv", ".jsonl"):
        raise InputError(f"--out {out}: the ending has to be .csv or .jsonl")
    if data is not None and texts:
        raise InputError("--data: texts are given as well; keep one of the two")
    lines = [] if data is not None else texts or _lines()

    if out is not None and data is not None and out.exists() and out.samefile(data):
        raise InputError(f"--out {out}: this is the table itself; write the answers to another file")

    from autoft import api

    model = api.model(search, runs)
    inputs: list[dict[str, Any]]
    if data is None:
        answers = model.predict(lines)
        inputs = [{"text": line} for line in lines]
    else:
        columns = _columns(model, text, text_pair)
        table = _table(data, columns, model.task.formats)
        answers = model.predict(table.set_axis([column.name for column in columns], axis="columns"))
        inputs = [dict(zip(map(str, table), row, strict=True)) for row in table.itertuples(index=False)]
    rows = [{**given, **answer} for given, answer in zip(inputs, answers, strict=True)]
    if out is not None:
        _write(rows, out)
        typer.echo(f"{len(rows):,} rows written to {out}", err=True)
    elif json:
        for row in rows:
            typer.echo(_line(row))
    else:
        _print(rows, answers)


def _lines() -> list[str]:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("nothing to predict: give texts, --data FILE, or lines on standard input")
    lines = [line for line in sys.stdin.read().splitlines() if line.strip()]
    if not lines:
        raise InputError("standard input: there is no text in it")
    return lines


def _columns(model: Predictor, text: str | None, text_pair: str | None) -> dict[Column, str]:
    """For each column of texts that the model was trained on, the user's column that stands for it."""
    if text_pair and len(model.inputs) == 1:
        raise InputError("--text-pair: the model was trained on single texts; leave it out")
    return {column: given or column.name for column, given in zip(model.inputs, (text, text_pair), strict=False)}


def _table(path: Path, columns: Mapping[Column, str], formats: Formats) -> pd.DataFrame:
    from autoft.data import read_texts

    if len(set(columns.values())) < len(columns):
        raise InputError("--text-pair: is the same column as --text; name another")
    wanted = [column._replace(name=given) for column, given in columns.items()]
    table = read_texts(path, wanted, formats=formats)
    if not len(table):
        raise DataError(f"--data: {path} has no rows")
    return table


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    import csv

    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            if out.suffix.lower() == ".jsonl":
                file.writelines(_line(row) + "\n" for row in rows)
            else:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
    except OSError as error:
        raise InputError(f"--out {out}: can't be written: {error.strerror}") from None


def _print(rows: list[dict[str, Any]], answers: list[dict[str, Any]]) -> None:
    """Text and answer side by side on a terminal; tab-separated where another program reads it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    said = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in answer.values()] for answer in answers]
    first = [" ".join(str(value) for key, value in row.items() if key not in answers[0]) for row in rows]
    if not console.is_terminal:
        for text, cells in zip(first, said, strict=True):
            typer.echo("\t".join([*cells, " ".join(text.split())]))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in (*answers[0], "text"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for text, cells in zip(first, said, strict=True):
        table.add_row(*map(Text, cells), Text(" ".join(text.split())))
    console.print(table)


def _line(row: dict[str, Any]) -> str:
    return jsonlib.dumps(row, ensure_ascii=False)
