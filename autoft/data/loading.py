"""From the spec's data to checked splits, every problem found on the way in one error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from autoft.data.checking import missing_columns, odd_labels, tidy, too_few
from autoft.data.reading import Formats, Table
from autoft.data.sources import read_source, read_sources, within_reach
from autoft.data.splits import Column, DataRules, Splits, as_read, fingerprint, frame
from autoft.data.splitting import by_column, draw, split, unused_split
from autoft.data.values import some_rows, typed_rows
from autoft.errors import DataError
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd


def load(spec: DataSpec, task: DataRules, seed: int) -> Splits:
    """Reads, checks and splits the data of a spec.

    Splits that are given stay as they are; those that are missing are taken from the training rows, in the
    shares of `task.stratify`. A named split of a source without any label counts as missing; for a test without
    labels the validation rows stand in. The rows keep the order of their table, which doesn't depend on its format.

    Args:
        spec: The `data` section of a search spec.
        task: Says which columns there have to be, and what else is wrong.
        seed: Seed of the limit and of the split.

    Returns:
        The splits, each with an index from 0, their fingerprint, and notes on what was dropped.

    Raises:
        DataError: One line for each problem.
    """
    problems: list[str] = []
    tables = read_sources(spec, problems, task.formats)
    columns = task.columns(spec)
    names = [column.name for column in columns]
    stratify = task.stratify(spec)
    notes: list[str] = []
    if spec.split:
        if spec.split in names:
            problems.append(f"data.split: column {spec.split!r} is named for two things; each needs its own")
        else:
            tables = by_column(tables, spec, problems)
    elif spec.source:
        notes += unused_split(tables, names)
    if spec.source:
        notes += _drop_unlabelled(tables, spec)
    for part, table in list(tables.items()):
        if lacking := missing_columns(table, names, spec):
            problems += [line for line in lacking if line not in problems]
            del tables[part]
    parts = typed_rows(tables, columns, spec, problems)
    if stratify and any(isinstance(cell, list) for rows in parts.values() for cell in rows.get(stratify, ())):
        stratify = None  # a row of several classes can't be in the share of each
    problems += _faults(parts, tables, task, spec)
    complete = not problems
    parts, dropped = tidy(parts, tables, spec, problems)
    if complete:  # else the counts would mislead
        problems += too_few(parts, tables, stratify)
    if problems:
        raise DataError(*problems)
    if spec.limit:
        whole, parts = parts, draw(parts, spec.limit, stratify, seed)
        if few := too_few(parts, tables, stratify, whole):
            raise DataError(*few)
    try:
        parts = split(parts, spec, stratify, seed)
    except ValueError:
        raise DataError(
            f"{tables['train'].key}: data.test_size {spec.test_size:g} and data.validation_size "
            f"{spec.validation_size:g} leave some class too few rows; make them smaller or add rows"
        ) from None
    frames = {part: frame({name: rows[name].tolist() for name in names}) for part, rows in parts.items()}
    notes += dropped
    if stratify is not None:
        notes += odd_labels(frames, stratify)
    splits = Splits(frames["train"], frames["validation"], frames["test"], fingerprint(frames), tuple(notes))
    if unfit := task.problems(splits, spec):
        raise DataError(*unfit)
    return splits


def glance(spec: DataSpec, task: DataRules | None, seed: int) -> None:
    """Looks for problems with the data without fetching any.

    Args:
        spec: The `data` section of a search spec.
        task: As in `load`; None where it is not known.
        seed: As in `load`.

    Raises:
        DataError: One line for each problem.
    """
    problems: list[str] = []
    formats = {} if task is None else task.formats
    if within_reach(spec, problems, formats):
        if task is not None:
            load(spec, task, seed)
            return
        read_sources(spec, problems, formats)
    if problems:
        raise DataError(*problems)


def read_texts(
    source: str | Path,
    columns: Sequence[Column],
    encoding: str = "utf-8",
    *,
    clean: bool = False,
    formats: Formats = MappingProxyType({}),
) -> pd.DataFrame:
    """A table of texts to predict for, from whatever `data.source` can name; no label is needed.

    Args:
        source: The table.
        columns: Columns of the texts.
        encoding: Of csv, tsv, jsonl and json.
        clean: Leave rows without a text out, instead of refusing them.
        formats: What is read beside tables.

    Returns:
        Every column of the table in its order, one row for each of its rows: `columns` as they ask for, the others
        as they were read.

    Raises:
        DataError: One line for each problem: no such table, no such column, rows without a text.
    """
    tables = read_source(str(source), encoding, "--data", formats)
    if len(tables) > 1:
        raise DataError(f"--data: {source} comes in {', '.join(tables)}; save the one you want as a file")
    table = tables["train"]
    spec = DataSpec(source=str(source), label="")  # no column is the label
    names = [column.name for column in columns]
    problems = [f"--data: {line.partition(': ')[2]}" for line in missing_columns(table, names, spec)]
    if problems:
        raise DataError(*problems)
    texts = typed_rows({"test": table}, columns, spec, problems)["test"]
    problems = [f"--data: {line.partition(': ')[2]}" for line in problems]
    empty = texts.isna()
    for name in names:
        if not clean and empty[name].any():
            numbers = texts.index[empty[name]].tolist()
            problems.append(
                f"--data: {table.where} has {some_rows(numbers)} with an empty {name!r}; "
                f"fill them, or pass --clean to leave them out"
            )
    kept = ~empty.any(axis=1)
    if not kept.any():
        problems.append(f"--data: {table.where} has no row with a text")
    if problems:
        raise DataError(*dict.fromkeys(problems))
    whole = {**table.columns, **{name: texts[name].tolist() for name in names}}
    return as_read(whole)[kept.to_numpy()].reset_index(drop=True)


def _faults(
    parts: Mapping[str, pd.DataFrame], tables: Mapping[str, Table], task: DataRules, spec: DataSpec
) -> list[str]:
    """What the task says of single rows, a line for each fault in each table."""
    lines = []
    for part, rows in parts.items():
        found: dict[str, list[int]] = {}
        for number, *cells in rows[~rows.isna().any(axis=1)].itertuples(name=None):
            if fault := task.fault(dict(zip(rows.columns, cells, strict=True)), spec):
                found.setdefault(fault, []).append(number)
        table = tables[part]
        lines += [
            f"{table.key}: {table.where} has {some_rows(numbers)} where the row {what}"
            for what, numbers in found.items()
        ]
    return lines


def _drop_unlabelled(tables: dict[str, Table], spec: DataSpec) -> list[str]:
    """Takes out parts that hold no label at all, as the test sets of benchmarks do; a note for each.

    Validation then is the test: that is what others report of such a benchmark, and its training rows may be like
    each other (SST-2's are phrases of the same sentences), so that a test made of them would flatter.
    """
    if "train" not in tables or spec.label not in tables["train"].columns:
        return []
    known = tables["train"].columns[spec.label]
    empty = {
        part: table
        for part, table in tables.items()
        if part != "train"
        and all(label is None or (label == -1 and -1 not in known) for label in table.columns.get(spec.label, []))
    }
    for part in empty:
        del tables[part]
    notes = [f"{table.where} has no labels; {part} is taken from the training rows" for part, table in empty.items()]
    if "test" in empty and "validation" in tables:
        notes = [
            f"{empty['test'].where} has no labels; the rows of validation are the test instead, and validation is "
            f"taken from the training rows"
        ]
        tables["test"] = tables.pop("validation")
    return notes
