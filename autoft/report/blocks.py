"""What a written report is made of, before it becomes Markdown or HTML: the sections hold blocks, two set them.

In a text, a pair of backticks marks code; everything else is plain and is escaped by whoever sets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph.

    Attributes:
        text: What it says.
        kind: `plain`; `lead`, the first of all; `note`; or `warning`, which nobody should miss.
    """

    text: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Items:
    """A list of short texts."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: What it shows.
        columns: Its header.
        rows: Cells, as many in each row as there are columns.
        texts: Indices of the columns that hold running text, and may be broken.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.caption}: a row is longer or shorter than the header")

    def long(self, column: int) -> bool:
        """Whether a column holds whole sentences, which need room."""
        return column in self.texts and max((len(row[column]) for row in self.rows), default=0) > 30

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers, and is to be set flush right."""
        cells = [row[column] for row in self.rows if row[column] not in ("", "-")]
        return bool(cells) and all(cell.lstrip("-#")[:1].isdigit() and " to " not in cell for cell in cells)


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be copied.

    Attributes:
        language: As Markdown names it.
        text: The lines.
    """

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture, by its key, title and caption."""

    key: str
    title: str
    caption: str


Block = Text | Items | Table | Code | Shown


@dataclass(frozen=True, slots=True)
class Section:
    """A section.

    Attributes:
        key: Its anchor in a page.
        title: Its heading.
        blocks: What it holds.
    """

    key: str
    title: str
    blocks: tuple[Block, ...]


def section(key: str, title: str, blocks: Sequence[Block | None]) -> Section | None:
    """A section of the blocks that there are; None where there is none."""
    there = tuple(block for block in blocks if block is not None)
    return Section(key, title, there) if there else None
