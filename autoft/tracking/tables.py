"""Tables on the MLflow page of a search: the entrants of the final round, and the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import SearchRecord, TrialRecord, TrialState, ranked
from autoft.tracking import projection
from autoft.words import compact, format_duration, frozen, short_name

NONE = "-"
LEADERBOARD = ("rank", "trial", "model", "lr", "batch", "epochs", "freeze", "validation", "state", "samples", "time")
ENTRANTS = ("entrant", "model", "validation", "seeds", "test", "95 % interval", "the winner leads by")
_REASON = 80  # characters of a reason; the page of the trial has all of it


def leaderboard(
    search: SearchRecord, order: Sequence[TrialRecord], rows: int, blocks: Mapping[str, int], links: Mapping[int, str]
) -> str:
    """The first `rows` trials of `order`, and how many more there are."""
    able = {record.number for record in ranked(order, search.direction)}
    lines = []
    for rank, record in enumerate(order[:rows], start=1):
        best, config = record.best(search.direction), record.config
        name = f"#{record.number}"
        lines.append(
            (
                str(rank) if record.number in able else NONE,
                f"[{name}]({links[record.number]})" if record.number in links else name,
                cell(short_name(config.model)),
                compact(config.learning_rate),
                str(config.batch_size),
                str(config.epochs),
                frozen(config.as_dict(), blocks.get(config.model)),
                number(best.value if best else None),
                _state(record),
                f"{record.samples:,}",
                format_duration(record.seconds),
            )
        )
    rest = len(order) - rows
    return table(LEADERBOARD, lines) + (f"\n\n… and {rest} more, in the list of child runs." if rest > 0 else "")


def entrants(report: Mapping[str, Any], links: Mapping[int, str]) -> str:
    """Who stood for the final, the winner first, each with its own test score; empty where nobody did."""
    lines = []
    for place, entrant in enumerate(report.get("entrants") or ()):
        name = projection.entrant_name(str(entrant.get("name", "")))
        link = links.get(entrant.get("trial")) if entrant.get("kind") == "finalist" else None
        shown = f"[{name}]({link})" if link else cell(name)
        spread = entrant.get("spread")
        mean = entrant.get("mean", entrant.get("score"))
        lead = entrant.get("difference")
        lines.append(
            (
                f"**{shown}**" if place == 0 else shown,
                cell(short_name(str((entrant.get("params") or {}).get("model", NONE)))),
                number(mean) + (f" ± {number(spread)}" if isinstance(spread, int | float) else ""),
                str(len(entrant.get("seeds") or ()) or NONE),
                number(entrant.get("test")),
                score_interval(entrant.get("test_interval")) or NONE,
                "the winner"
                if place == 0
                else number(lead)
                + (f" ({span})" if (span := score_interval(entrant.get("difference_interval"))) else ""),
            )
        )
    return table(ENTRANTS, lines) if lines else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join((_padded(head), _row(["---"] * len(head)), *map(_padded, rows)))


def cell(text: str) -> str:
    """A text as a cell of a table: on one line, and no bar ends it."""
    return " ".join(text.split()).replace("|", "\\|")


def number(value: object) -> str:
    """A score with four digits behind the point, or four in all where it is large; `-` where there is none."""
    if not isinstance(value, int | float):
        return NONE
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.4g}"


def score_interval(interval: Sequence[object] | None) -> str:
    """An interval as `0.7012 to 0.7601`; empty where it is not known."""
    low, high = interval or (None, None)
    known = isinstance(low, int | float) and isinstance(high, int | float)
    return f"{number(low)} to {number(high)}" if known else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _padded(cells: Sequence[str]) -> str:
    # MLflow draws tables without any space between the columns, and drops alignment and styles.
    return _row([f"{cell}&emsp;" for cell in cells])


def _state(record: TrialRecord) -> str:
    """The state of a trial, and for one that failed the reason."""
    if record.state is not TrialState.FAILED or not record.reason:
        return str(record.state)
    reason = " ".join(record.reason.split())
    return f"{record.state}: {cell(reason if len(reason) <= _REASON else f'{reason[: _REASON - 1]}…')}"
