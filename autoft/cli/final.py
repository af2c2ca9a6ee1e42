"""The outcome of a search on screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from autoft.cli.front import front
from autoft.report.labels import baseline_name, between, recipe, score
from autoft.report.markdown import comparison
from autoft.words import RUNS, format_duration, runs_option


def final(report: Mapping[str, Any], runs: Path = RUNS) -> RenderableType:
    """The panel with the winner, its honest score, the baselines next to it, and what to do now.

    Args:
        report: As `autoft.report.build` makes it.
        runs: Folder that holds the searches.
    """
    winner, counts = report["winner"], report["trials"]
    blocks = report.get("models", {}).get(winner["params"]["model"], {}).get("blocks")
    scores = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for heading, justify in (
        (f"{report['metric']} on the test rows", "left"),
        ("", "right"),
        ("95 % interval", "left"),
    ):
        scores.add_column(heading, justify=justify)  # type: ignore[arg-type]
    scores.add_row(
        "fine-tuned model", Text(score(winner["test"]), "bold green"), between(winner["test_interval"]) or "-"
    )
    for key, values in report["baselines"].items():
        scores.add_row(baseline_name(key), score(values.get("test")), between(values.get("test_interval")))
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    where = runs_option(runs)
    example = "--data new.csv" if report.get("pairs") else '"a text"'
    facts.add_row("winner", Text(f"#{winner['trial']}: {recipe(winner['params'], blocks)}"))
    facts.add_row("", f"validation {score(winner['validation'])}")
    facts.add_row(
        "trials",
        f"{counts['total']} in {format_duration(report['seconds'])}: {counts['complete']} complete, "
        f"{counts['pruned']} pruned, {counts['failed']} failed",
    )
    facts.add_row("model", Text(str(report["model_dir"])))
    facts.add_row("predict", Text(f"autoft predict {report['search']}{where} {example}", "cyan"))
    facts.add_row("browse", Text(f"autoft ui {report['search']}{where}", "cyan"))
    parts: list[RenderableType] = [scores, Text()]
    if said := comparison(report):
        parts += [Text(said), Text()]
    parts += [*front(report), facts]
    for note in report.get("notes", ()):
        parts += [Text(), Text(f"note: {note}", "yellow")]
    return Panel(
        Group(*parts),
        title=f"[bold]{report['search']}[/bold]: done",
        title_align="left",
        border_style="green",
        padding=(1, 2),
        expand=False,
    )
