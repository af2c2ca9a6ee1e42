"""`report.md`: the report for a person, the verdict first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.report.blocks import Block, Code, Items, Section, Shown, Table, Text
from autoft.report.markup import code, plain, table
from autoft.report.sections import sections
from autoft.report.sections.verdict import comparison, verdict

__all__ = ["comparison", "render", "verdict"]


def render(report: Mapping[str, Any]) -> str:
    """The report as Markdown.

    Args:
        report: As `autoft.report.build` makes it.
    """
    return "\n\n".join(_section(part, first=i == 0) for i, part in enumerate(sections(report))) + "\n"


def _section(part: Section, *, first: bool) -> str:
    return "\n\n".join((f"{'#' if first else '##'} {plain(part.title)}", *(_block(block) for block in part.blocks)))


def _block(block: Block) -> str:
    match block:
        case Text(text=text, kind="warning"):
            return f"> {plain(text)}"
        case Text(text=text):
            return plain(text)
        case Items(items=items):
            return "\n".join(f"- {plain(item)}" for item in items)
        case Table():
            return f"{plain(block.caption)}:\n\n{table(block.columns, block.rows)}"
        case Code(language=language, text=text):
            return code(language, text)
        case Shown(key=key, title=title, caption=caption):
            return f"![{plain(title)}](pictures/{key}.png)\n\n*{plain(caption).replace('*', '')}*"
