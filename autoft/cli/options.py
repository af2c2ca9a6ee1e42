"""Options that several subcommands share, and how they become keywords of `autoft.api.make_spec`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from autoft.errors import SpecError
from autoft.words import nearest, public_uri

_SEARCHED, _HOW, _WHERE = "What is searched", "How it is searched", "Where it goes"

SpecFile = Annotated[
    Path | None, typer.Argument(metavar="SPEC", help="A search spec in YAML. An option takes precedence.")
]
Task = Annotated[
    str | None,
    typer.Option(
        help="Name of the task; `autoft tasks` lists them. One of your own: MODULE:CLASS.", rich_help_panel=_SEARCHED
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="Labelled table (csv, tsv, jsonl, json, parquet, arrow), folder saved by datasets, asset:NAME or hub id.",
        rich_help_panel=_SEARCHED,
    ),
]
Text = Annotated[str | None, typer.Option(help="Column of the text.", rich_help_panel=_SEARCHED)]
TextPair = Annotated[
    str | None, typer.Option(help="Column of a second text, for tasks on pairs.", rich_help_panel=_SEARCHED)
]
Label = Annotated[str | None, typer.Option(help="Column of the label.", rich_help_panel=_SEARCHED)]
Split = Annotated[
    str | None,
    typer.Option(help="Column that says train, validation or test for each row.", rich_help_panel=_SEARCHED),
]
Encoding = Annotated[
    str | None, typer.Option(help="Encoding of a text file, where it is not utf-8.", rich_help_panel=_SEARCHED)
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Pretrained model: a folder, asset:NAME or hub id. Repeat it to choose among several.",
        rich_help_panel=_SEARCHED,
    ),
]
Metric = Annotated[str | None, typer.Option(help="Metric to optimise.", rich_help_panel=_SEARCHED)]
Against = Annotated[
    str | None,
    typer.Option(
        help="Second objective: parameters or latency of the model. The best score at every cost is found.",
        rich_help_panel=_SEARCHED,
    ),
]
Clean = Annotated[
    bool | None,
    typer.Option(
        "--clean/--no-clean", help="Drop empty and repeated rows instead of refusing them.", rich_help_panel=_SEARCHED
    ),
]
Limit = Annotated[int | None, typer.Option(help="Use at most this many rows.", rich_help_panel=_SEARCHED)]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any other entry of the spec, as in space.learning_rate=3e-5. Repeatable.",
        rich_help_panel=_SEARCHED,
    ),
]
Budget = Annotated[str | None, typer.Option(help="Wall clock for everything: 90s, 10m, 1h30m.", rich_help_panel=_HOW)]
Trials = Annotated[int | None, typer.Option(help="Number of configurations to try.", rich_help_panel=_HOW)]
Workers = Annotated[int | None, typer.Option(help="Trials at once; by default as many as fit.", rich_help_panel=_HOW)]
Seed = Annotated[int | None, typer.Option(help="Seed of the split and of every trial.", rich_help_panel=_HOW)]
Name = Annotated[
    str | None, typer.Option(help="Name of the search, and of its folder in the runs.", rich_help_panel=_WHERE)
]
Runs = Annotated[Path, typer.Option(help="Folder that holds the searches.", rich_help_panel=_WHERE)]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Delete a search of the same name, and its runs in MLflow.", rich_help_panel=_WHERE),
]
TrackingUri = Annotated[
    str | None, typer.Option(help="MLflow tracking URI; by default a store in the runs.", rich_help_panel=_WHERE)
]
Experiment = Annotated[str | None, typer.Option(help="Name of the MLflow experiment.", rich_help_panel=_WHERE)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]


def given(settings: Sequence[str] | None = None, **options: Any) -> dict[str, Any]:
    """The options that the user gave, as keywords of `autoft.api.make_spec`.

    `--set search.eta=4` becomes `search={"eta": 4}`, to be merged into that section of the spec; the entries of
    `data` are keywords of their own.

    Raises:
        SpecError: An entry of `settings` is not KEY=VALUE, or sets what another one sets.
    """
    found = {key: value for key, value in options.items() if value is not None}
    problems: list[str] = []
    for setting in settings or ():
        try:
            _set(found, setting)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(*problems)
    return found


def _set(found: dict[str, Any], setting: str) -> None:
    path, equals, text = setting.partition("=")
    setting = public_uri(setting)  # from here on it is only for messages
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise SpecError(f"--set {setting}: not KEY=VALUE, as in --set space.learning_rate=3e-5")
    if keys[0] == "data" and len(keys) > 1:
        keys = _data_keyword(setting, keys[1:])
    target = found
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise SpecError(f"--set {setting}: {key} is given by an option already; keep one of the two")
    if keys[-1] in target:
        raise SpecError(f"--set {setting}: {path.strip()} is given twice; keep one of the two")
    target[keys[-1]] = _value(setting, text)


def _data_keyword(setting: str, keys: list[str]) -> list[str]:
    from autoft.spec import DataSpec

    if len(keys) > 1 or keys[0] not in DataSpec.model_fields:
        raise SpecError(f"--set {setting}: data.{keys[0]} is unknown{nearest(keys[0], DataSpec.model_fields)}")
    return ["data" if keys[0] == "source" else keys[0]]


def _value(setting: str, text: str) -> Any:
    from autoft.spec import read_value

    try:
        return read_value(text)
    except ValueError as error:
        raise SpecError(f"--set {setting}: {error}") from None
