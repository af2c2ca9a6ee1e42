"""Pieces of Markdown; what stands in a cell can't end it."""

from __future__ import annotations

from collections.abc import Iterable

from autoft.words import visible


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with a line of headings."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(text: str) -> str:
    """A text that stays in its cell: a bar or a line break in it (a label, a reason) would end that."""
    return plain(text).replace("|", "\\|")


def plain(text: str) -> str:
    """A text on one line with nothing active in it: a tag, a link or a picture that a viewer might load."""
    return visible(" ".join(text.split())).replace("<", "&lt;").replace("[", "\\[")


def code(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"
