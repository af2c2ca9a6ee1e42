"""`report.md`: the report for a person, the verdict first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from autoft.report.blocks import Block, Code, Items, Section, Shown, Table, Text
from autoft.report.sections import sections
from autoft.report.sections.verdict import comparison, verdict

__all__ = ["comparison", "render", "verdict"]

# What would be a tag, a link or a picture: labels and texts are anybody's, and a viewer may load what they point to.
_ACTIVE = re.compile(r"[<\[]")


def render(report: Mapping[str, Any]) -> str:
    """The report as Markdown.

    Args:
        report: As `autoft.report.build` makes it.
    """
    return "\n\n".join(_section(part, first=i == 0) for i, part in enumerate(sections(report))) + "\n"


def _section(part: Section, *, first: bool) -> str:
    return "\n\n".join((f"{'#' if first else '##'} {_plain(part.title)}", *(_block(block) for block in part.blocks)))


def _block(block: Block) -> str:
    match block:
        case Text(text=text, kind="warning"):
            return f"> {_plain(text)}"
        case Text(text=text):
            return _plain(text)
        case Items(items=items):
            return "\n".join(f"- {_plain(item)}" for item in items)
        case Table():
            return f"{_plain(block.caption)}:\n\n{_table(block.columns, block.rows)}"
        case Code(language=language, text=text):
            return f"```{language}\n{text}\n```"
        case Shown(key=key, title=title, caption=caption):
            return f"![{_plain(title)}](pictures/{key}.png)\n\n*{_plain(caption).replace('*', '')}*"


def _plain(text: str) -> str:
    """A text on one line, with nothing active in it. autoft's own code has none of that, so code needs no exception."""
    return _ACTIVE.sub(r"\\\g<0>", " ".join(text.split()))


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    # A bar or a line break in a cell (a label, a reason) would end the cell.
    return "\n".join("| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
