"""The Pareto front of a search with two objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.report.blocks import Section, Table, Text, section
from autoft.report.front import choice, front_table


def front(report: Mapping[str, Any]) -> Section | None:
    """The best score at each cost; None where the search had one objective."""
    headings, rows = front_table(report)
    if not rows:
        return None
    here = ", on this machine, with one text at a time" if report["pareto"]["axes"][1] == "latency" else ""
    said = (
        "The best score at each cost: all other trials were no better than one of these, and cost no less. The cost is "
        f"that of the model, measured before it was trained{here}. {choice(report)}"
    )
    table = Table("The front, the cheapest first", tuple(headings), tuple(map(tuple, rows)), texts=(3,))
    return section("front", "The front", (table, Text(said.rstrip())))
