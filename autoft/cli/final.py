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
from autoft.cli.standings import standings
from autoft.report.labels import recipe, score
from autoft.report.markdown import comparison
from autoft.words import RUNS, format_duration, runs_option

_COMPARED = ("plain", "runner_up", "baseline")
_WARNINGS = 5  # of the examination of the data; the report has all of them


def final(report: Mapping[str, Any], runs: Path = RUNS, width: int = 100) -> RenderableType:
    """The panel with the winner, its honest score, what stood against it, and what to do now.

    Args:
        report: As `autoft.report.build` makes it; parts of it that are missing are left out.
        runs: Folder that holds the searches.
        width: Width of the terminal in columns.
    """
    parts: list[RenderableType] = [standings(report, width), Text()]
    if sentences := _sentences(report):
        said = Table.grid(padding=(0, 1, 0, 0))
        for sentence in sentences:
            said.add_row(Text("•", "dim"), Text(sentence))
        parts += [said, Text()]
    parts += [*front(report), _facts(report, runs)]
    for warning in _warnings(report):
        parts += [Text(), Text.assemble(("! ", "bold yellow"), (warning, "yellow"))]
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


def _sentences(report: Mapping[str, Any]) -> list[str]:
    """The verdict: against the plain recipe, the runner-up and the best baseline, and how far validation flattered."""
    compared = report.get("comparisons") or {}
    said = [(compared.get(key) or {}).get("sentence") for key in _COMPARED]
    if not said[-1]:
        said[-1] = comparison(report)
    said.append((report.get("selection") or {}).get("sentence"))
    if earlier := (report.get("test_read") or {}).get("earlier"):
        said.append(f"The test rows had been read {earlier} times before, so these scores flatter.")
    return [" ".join(str(sentence).split()) for sentence in said if sentence]


def _facts(report: Mapping[str, Any], runs: Path) -> RenderableType:
    winner, counts = report["winner"], report["trials"]
    blocks = report.get("models", {}).get(winner["params"]["model"], {}).get("blocks")
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    where = runs_option(runs)
    example = "--data new.csv" if report.get("pairs") else '"a text"'
    facts.add_row("winner", Text(f"{_who(report)}: {recipe(winner['params'], blocks)}"))
    facts.add_row("", f"validation {score(winner['validation'])}")
    facts.add_row(
        "trials",
        f"{counts['total']} in {format_duration(report['seconds'])}: {counts['complete']} complete, "
        f"{counts['pruned']} pruned, {counts['failed']} failed",
    )
    if cost := _cost(report.get("cost") or {}):
        facts.add_row("cost", Text(cost))
    facts.add_row("model", Text(str(report["model_dir"])))
    if registered := _registered(report.get("mlflow") or {}):
        facts.add_row("registry", Text(registered))
    facts.add_row("predict", Text(f"autoft predict {report['search']}{where} {example}", "cyan"))
    facts.add_row("browse", Text(f"autoft ui {report['search']}{where}", "cyan"))
    return facts


def _who(report: Mapping[str, Any]) -> str:
    winner = report["winner"]
    entrant, seed = winner.get("entrant"), winner.get("seed")
    if entrant in ("soup", "plain"):
        return {"soup": f"soup, from #{winner['trial']}", "plain": "plain recipe"}[entrant]
    return f"#{winner['trial']}" + (f" seed {seed}" if seed is not None and report.get("entrants") else "")


def _cost(cost: Mapping[str, Any]) -> str:
    said = []
    if finals := cost.get("finals_seconds"):
        said.append(f"final round {format_duration(finals)} of training")
    if parameters := cost.get("parameters"):
        said.append(f"{parameters / 1e6:.1f} million parameters")
    single = ((cost.get("latency") or {}).get("1") or {}).get("median_ms")
    if single:
        said.append(f"{single:.3g} ms for a text" + (f" ({cost['device']})" if cost.get("device") else ""))
    if energy := cost.get("energy_joules"):
        said.append(f"{energy / 3600:.3g} Wh")
    return ", ".join(said)


def _registered(flow: Mapping[str, Any]) -> str:
    if not flow.get("model_name") or not flow.get("model_version"):
        return ""
    return (
        f"{flow['model_name']} version {flow['model_version']}. {flow.get('champion_reason') or ''}".rstrip(" .") + "."
    )


def _warnings(report: Mapping[str, Any]) -> list[str]:
    findings = (report.get("examination") or {}).get("findings") or ()
    said = [" ".join(str(one.get("sentence") or "").split()) for one in findings if one.get("severity") != "note"]
    said = [sentence for sentence in said if sentence]
    rest = len(said) - _WARNINGS
    return said[:_WARNINGS] + ([f"and {rest} more about the data, in the report"] if rest > 0 else [])
