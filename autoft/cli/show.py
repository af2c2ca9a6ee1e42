"""`autoft show`: what a search has found so far, and which searches there are."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoft.cli import options
from autoft.cli.champions import champions_table, crowned
from autoft.records import ranked
from autoft.words import RUNS, resume_command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autoft.records import SearchRecord, TrialRecord
    from autoft.tracking import Champion

    Searches = list[tuple[SearchRecord, tuple[TrialRecord, ...], dict[str, Any] | None]]


def show(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of a search, or its folder.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="List all searches.")] = False,
    runs: options.Runs = RUNS,
    json: options.Json = False,
) -> None:
    """Show the leaderboard of a search, finished or not; without a name, list the searches and the champions.

    Examples:
      autoft show quickstart
      autoft show quickstart --json
      autoft show --all
    """
    from rich.console import Console

    from autoft import api

    console = Console(highlight=False)
    if name is None or everything:
        found = _searches(runs)
        registered, problems = crowned(found, runs)
        if json:
            typer.echo(jsonlib.dumps(_told(found, registered), indent=2, ensure_ascii=False))
        else:
            console.print(listing(found, runs))
            if registered:
                console.print()
                console.print(champions_table(registered))
        for problem in problems:
            typer.echo(f"champions: {problem}", err=True)
        return
    search, trials = api.records(name, runs)
    folder = api.folder_of(name, runs)
    report = _report(folder)
    if json:
        from autoft.report.summary import leaderboard

        said = report or {**_summary(search, trials, None), "leaderboard": leaderboard(search, trials)}
        typer.echo(jsonlib.dumps(said, indent=2, ensure_ascii=False))
        return
    console.print(board(search, trials, report, console.width))
    if report is not None:
        from autoft.cli.final import final

        console.print(final(report, runs, console.width))
    else:
        console.print(f"not finished; go on with: {resume_command(folder)}", markup=False)


def board(
    search: SearchRecord, trials: tuple[TrialRecord, ...], report: dict[str, Any] | None, width: int
) -> RenderableType:
    """The leaderboard, the best on validation first."""
    from autoft.cli.cells import has_more, state_cell, trial_cells, trial_table
    from autoft.report.summary import leaderboard

    models = (report or {}).get("models", {})
    blocks = {ref: info["blocks"] for ref, info in models.items() if info.get("blocks")}
    winner = report["winner"]["trial"] if report else None
    wide = has_more(trials)
    table = trial_table(
        f"{search.name}: {search.task}, validation {search.metric}", search.metric, False, width, wide=wide
    )
    by_number = {trial.number: trial for trial in trials}
    for entry in leaderboard(search, trials):
        trial = by_number[entry["trial"]]
        leader = trial.number == winner if report else entry["rank"] == 1
        table.add_row(
            *trial_cells(trial, search.direction, blocks, leader, wide=wide), state_cell(trial, running=False)
        )
    return table


def listing(found: Searches, runs: Path) -> RenderableType:
    """The searches, the newest first."""
    import time

    from rich.table import Table
    from rich.text import Text

    from autoft.report.labels import between, score

    if not found:
        return Text(f"no searches in {runs}; start one with: autoft search search_spaces/quickstart.yaml")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("search", overflow="fold")
    table.add_column("started", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("outcome")
    for search, trials, report in found:
        summary = _summary(search, trials, report)
        if report is None:
            best = summary["validation"]
            said = "not finished" + (f"; validation {search.metric} {score(best)}" if best is not None else "")
        else:
            interval = between(report["winner"]["test_interval"])
            said = f"test {search.metric} {score(summary['test'])}" + (f" ({interval})" if interval else "")
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(search.started))
        table.add_row(Text(search.name, "bold"), started, str(len(trials)), Text(said))
    return table


def _summary(search: SearchRecord, trials: tuple[TrialRecord, ...], report: dict[str, Any] | None) -> dict[str, Any]:
    leader = next(iter(ranked(trials, search.direction)), None)
    found = leader.best(search.direction) if leader else None
    best = found.value if found else None
    return {
        "search": search.name,
        "task": search.task,
        "metric": search.metric,
        "started": search.started,
        "trials": len(trials),
        "state": "finished" if report else "not finished",
        "validation": best,
        "test": report["winner"]["test"] if report else None,
    }


def _told(found: Searches, registered: list[Champion]) -> list[dict[str, Any]]:
    """What `--all --json` says of each search: its summary, and the champion that bears its name."""
    by_name = {champion.model: asdict(champion) for champion in registered}
    return [{**_summary(*entry), "champion": by_name.get(entry[0].name)} for entry in found]


def _searches(runs: Path) -> Searches:
    from autoft import api
    from autoft.errors import AutoftError, InputError

    if runs.exists() and not runs.is_dir():
        raise InputError(f"--runs {runs}: is no folder, so there are no searches to show")
    found: Searches = []
    for spec in sorted(runs.glob("*/spec.yaml")):
        folder = spec.parent
        try:
            found.append((*api.records(folder.name, runs), _report(folder)))
        except AutoftError:  # a folder that a search began and never filled is no search to list
            continue
    return sorted(found, key=lambda entry: -entry[0].started)


def _report(folder: Path) -> dict[str, Any] | None:
    try:
        report: dict[str, Any] = jsonlib.loads((folder / "report.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return report
