"""The table of the final round on screen: the winner, what stood against it, and the baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from autoft.report.labels import baseline_name, between, score
from autoft.words import short_name

_WIDE = 122  # columns of a terminal from which there is room for all of it
_VALIDATED = 70  # … for what validation said


def standings(report: Mapping[str, Any], width: int) -> Table:
    """Test scores with their intervals: of the entrants, the winner first, and of the baselines.

    Args:
        report: As `autoft.report.build` makes it.
        width: Width of the terminal in columns; a narrow one loses what can be missed.
    """
    entrants = list(report.get("entrants") or ())
    validated = bool(entrants) and width >= _VALIDATED
    wide = bool(entrants) and width >= _WIDE
    table = Table(box=None, padding=(0, 2 if entrants else 3, 0, 0), header_style="dim")
    metric = str(report["metric"])
    table.add_column("" if entrants else f"{metric} on the test rows", overflow="fold")
    if validated:
        table.add_column("validation", justify="right", no_wrap=True)
    table.add_column(f"test {metric}" if entrants else "", justify="right", no_wrap=not entrants)
    table.add_column("95 % interval", no_wrap=True)
    if wide:
        table.add_column("winner leads by", no_wrap=True)

    kept = [0, *([1] if validated else []), 2, 3, *([4] if wide else [])]
    for cells, style in _rows(report, entrants):
        table.add_row(*(cells[column] for column in kept), style=style)
    return table


def _rows(report: Mapping[str, Any], entrants: list[Mapping[str, Any]]) -> Iterator[tuple[list[Text], str]]:
    """Each row with all five cells, and its style."""
    winner = report["winner"]
    if not entrants:
        span = between(winner["test_interval"]) or "-"
        yield [Text("fine-tuned model"), Text(), Text(score(winner["test"]), "bold green"), Text(span), Text()], ""
    for place, entrant in enumerate(entrants):
        best = "bold green" if place == 0 else ""
        test, span = score(entrant.get("test")), between(entrant.get("test_interval")) or "-"
        lead = "" if place == 0 else _lead(entrant)
        name = Text(_name(entrant, place), best)
        yield [name, Text(_mean(entrant)), Text(test, best), Text(span), Text(lead)], ""
    for key, values in report["baselines"].items():
        test, span = score(values.get("test")), between(values.get("test_interval")) or "-"
        lead = _lead(values, winner.get("test"), report)
        cells = [Text(baseline_name(key)), Text(), Text(test), Text(span), Text(lead)]
        yield cells, "dim" if entrants else ""


def _name(entrant: Mapping[str, Any], place: int) -> str:
    model = short_name(str((entrant.get("params") or {}).get("model") or ""))
    seeds = len(entrant.get("seeds") or ())
    kind = entrant.get("kind")
    name = str(entrant.get("name", ""))
    if kind == "finalist":
        said = f"#{entrant.get('trial')} {model}".rstrip()
    elif kind == "plain":
        said = f"plain recipe {model}".rstrip()
    else:
        parts = dict.fromkeys(str(part).partition("/")[0] for part in entrant.get("ingredients") or ())
        said = f"{name} of {' '.join(part.replace('trial-', '#') for part in parts)}" if parts else name
    return f"{'winner: ' if place == 0 else ''}{said}" + (f", {seeds} seeds" if seeds > 1 else "")


def _mean(entrant: Mapping[str, Any]) -> str:
    mean, spread = entrant.get("mean", entrant.get("score")), entrant.get("spread")
    return score(mean) + (f" ± {score(spread)}" if spread is not None and mean is not None else "")


def _lead(values: Mapping[str, Any], winner: float | None = None, report: Mapping[str, Any] | None = None) -> str:
    lead, test = values.get("difference"), values.get("test")
    if lead is None and winner is not None and test is not None and report is not None:
        lead = winner - test if report.get("direction") != "minimize" else test - winner
    if lead is None:
        return "-"
    span = between(values.get("difference_interval"))
    return score(lead) + (f" ({span})" if span else "")
