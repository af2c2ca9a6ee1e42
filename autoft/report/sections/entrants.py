"""Who stood in the finals: the finalists, the plain recipe and the soup, trained with several seeds and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.report.blocks import Items, Section, Table, Text, section
from autoft.report.labels import amount, between, blocks_of, entrant_name, listed, recipe, score

NONE = "no difference shown"


def entrants(report: Mapping[str, Any]) -> Section | None:
    """The table of all entrants, and how the winner was chosen among them."""
    found: Sequence[Mapping[str, Any]] = report.get("entrants") or ()
    selection = report.get("selection") or {}
    read = report.get("test_read") or {}
    metric = report["metric"]
    rows = tuple(
        (
            entrant_name(one["name"]) + (" (winner)" if one["name"] == winner_name(report) else ""),
            str(len(one.get("seeds") or ()) or "-"),
            score(one.get("mean")),
            score(one.get("spread")),
            score(one.get("searched")),
            score(one.get("test")),
            between(one.get("test_interval")) or "-",
            difference(one),
        )
        for one in found
    )
    columns = (
        "entrant",
        "seeds",
        f"validation {metric}, mean",
        "spread",
        "in the search",
        f"test {metric}",
        "95 % interval",
        "the winner against it, on the test rows (95 % interval)",
    )
    return section(
        "entrants",
        "The entrants of the finals",
        (
            Text(f"How the winner was chosen: {selection['rule']}") if selection.get("rule") else None,
            Text(selection["sentence"]) if selection.get("sentence") else None,
            Table("Entrants, the winner first", columns, rows, texts=(7,)) if rows else None,
            Text(
                "The spread is the standard deviation of the validation score between seeds. “No difference shown” "
                "says that the interval of the difference holds zero, not that the two are equally good."
            )
            if rows
            else None,
            Items(tuple(_made(one, report) for one in found)) if rows else None,
            Text(f"The test rows were read for {amount(read['entrants'], 'entrant')}, once each.")
            if read.get("entrants")
            else None,
        ),
    )


def winner_name(report: Mapping[str, Any]) -> str:
    """The entrant that won."""
    winner = report["winner"]
    return str(winner.get("entrant") or f"trial-{winner['trial']}")


def difference(entrant: Mapping[str, Any]) -> str:
    """How the winner does against an entrant, in words, with the 95 % interval where it is known.

    Args:
        entrant: `verdict` says it; else `difference` does, the winner's lead, positive where the winner is better.
    """
    if entrant.get("verdict"):
        return str(entrant["verdict"])
    lead = entrant.get("difference")
    if lead is None:
        return "-"
    low, high = entrant.get("difference_interval") or (None, None)
    if low is None or high is None:
        return f"{'better' if lead > 0 else 'not better'} by {score(abs(lead))}; how sure that is can't be said"
    if low > 0:
        return f"better by {score(lead)} ({score(low)} to {score(high)})"
    if high < 0:
        return f"worse by {score(-lead)} ({score(-high)} to {score(-low)})"
    side = "ahead" if lead >= 0 else "behind"
    return f"{NONE} ({side} by {score(abs(lead))}; {score(low)} to {score(high)})"


def _made(entrant: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """What an entrant is made of."""
    name = entrant_name(entrant["name"])
    if entrant.get("ingredients"):
        parts = [f"`{part}`" for part in entrant["ingredients"]]
        return f"{name}: the mean of the weights of {listed(parts)} (trial/seed)"
    params = entrant.get("params") or {}
    seeds = ", ".join(f"seed {one['seed']}: {score(one.get('validation'))}" for one in entrant.get("seeds") or ())
    made = recipe(params, blocks_of(report, params["model"])) if "model" in params else "-"
    return f"{name}: {made}" + (f"; validation with {seeds}" if seeds else "")
