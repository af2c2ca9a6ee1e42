"""The Pareto front of a search on screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autoft.report.front import choice, front_table


def front(report: Mapping[str, Any]) -> list[RenderableType]:
    """The best score at each cost as a small table; nothing where the search had one objective."""
    headings, rows = front_table(report)
    if not rows:
        return []
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for heading, justify in zip(headings, ("left", "left", "right", "right"), strict=True):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(Text, row))
    said = choice(report)
    return [Text("the best at each cost:"), table, Text(), *([Text(said), Text()] if said else [])]
