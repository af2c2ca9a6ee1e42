"""What a picture shows, before anything draws it: axes, series, units, and a sentence that says what to see.

Two renderers draw the same description: `interactive` with plotly for a browser, `still` with matplotlib for a PNG.
Series differ in stroke, marker or hatching and not by colour alone, so that a black and white print can be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Stroke(StrEnum):
    """How a line is drawn."""

    SOLID = "solid"
    DASHED = "dash"
    DOTTED = "dot"
    NONE = "none"


class Marker(StrEnum):
    """What stands at the points of a line."""

    CIRCLE = "circle"
    OPEN_CIRCLE = "circle-open"
    SQUARE = "square"
    OPEN_SQUARE = "square-open"
    DIAMOND = "diamond"
    TRIANGLE = "triangle-up"
    CROSS = "x-thin"
    STAR = "star"
    NONE = "none"


class Tone(StrEnum):
    """What a series is in the picture; `COLOURS` has a colour for each."""

    FIRST = "first"  # what the picture is about
    SECOND = "second"  # what it is compared with
    OTHER = "other"
    FAINT = "faint"  # the crowd


COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#ffffff",
        "ink": "#1f2328",
        "muted": "#57606a",
        "grid": "#e4e7eb",
        Tone.FIRST: "#0b4f9c",
        Tone.SECOND: "#c2570c",
        Tone.OTHER: "#4d6b7f",
        Tone.FAINT: "#a3abb4",
    }
)
DARK: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#15181c",
        "ink": "#e6e8eb",
        "muted": "#a1a9b3",
        "grid": "#2d333b",
        Tone.FIRST: "#7db8ff",
        Tone.SECOND: "#ffa25c",
        Tone.OTHER: "#93b1c4",
        Tone.FAINT: "#666f7a",
    }
)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis.

    Attributes:
        title: What it measures, with the unit.
        log: Its scale is logarithmic.
        ticks: Where its ticks stand and what they say; empty leaves that to the renderer.
        bounds: Its two ends, in data units; the first may be the larger one.
        hidden: Neither ticks nor grid lines are drawn.
    """

    title: str = ""
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()
    bounds: tuple[float, float] | None = None
    hidden: bool = False


def log_axis(title: str, low: float, high: float) -> Axis:
    """A logarithmic axis for values from `low` to `high`, with round numbers at its ticks."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    shown = tuple((at, f"{at:,.10g}") for at in ticks if low * 0.8 <= at <= high * 1.25)
    return Axis(f"{title}, logarithmic", log=True, ticks=shown, bounds=(low / 1.25, high * 1.25))


@dataclass(frozen=True, slots=True)
class Line:
    """Points, and the line through them.

    Attributes:
        name: What the legend calls it; empty keeps it out of the legend.
        points: (x, y) in data units; None is a gap between two lines of the same name.
        stroke: How the line is drawn.
        marker: What stands at the points.
        tone: What it is in the picture.
        width: Of the line, in points.
        size: Of a marker, in points.
        step: The line stays level until the next point.
        texts: What a browser says of each point under the mouse.
    """

    name: str
    points: tuple[tuple[float, float] | None, ...]
    stroke: Stroke = Stroke.SOLID
    marker: Marker = Marker.NONE
    tone: Tone = Tone.FIRST
    width: float = 1.5
    size: float = 6
    step: bool = False
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.texts and len(self.texts) != len(self.points):
            raise ValueError(f"{self.name}: {len(self.texts)} texts for {len(self.points)} points")


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars.

    Attributes:
        name: What the legend calls them.
        lengths: One for each tick of the vertical axis.
        tone: What they are in the picture.
        hatched: Drawn with hatching.
    """

    name: str
    lengths: tuple[float, ...]
    tone: Tone = Tone.FIRST
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class Cells:
    """A table of shaded cells.

    Attributes:
        shades: Rows from the top, each with a share in [0, 1] for each column.
        texts: What stands in the cells, in the same shape; empty where they are too many to be read.
        hovers: What a browser says of each under the mouse, in the same shape.
    """

    shades: tuple[tuple[float, ...], ...]
    texts: tuple[tuple[str, ...], ...] = ()
    hovers: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A dotted line across the whole picture.

    Attributes:
        at: Where it crosses its axis, in data units.
        text: What stands at its lower or left end.
        level: It runs from left to right, not from top to bottom.
    """

    at: float
    text: str = ""
    level: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A few words beside a point, or centred on it.

    Attributes:
        x: Where, in data units.
        y: Where, in data units.
        text: The words.
        side: `left`, `right`, `above` or `below` the point.
        strong: Set in bold.
    """

    x: float
    y: float
    text: str
    side: str = "above"
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, whoever draws it.

    Attributes:
        key: Name of its files, without the ending.
        title: What it is.
        caption: A sentence or two that say what to see, computed from what is shown.
        x: The horizontal axis.
        y: The vertical axis.
        lines: Lines and points, the later ones on top.
        bars: Bars, side by side.
        cells: A table of cells, at whole numbers of both axes.
        rules: Dotted lines across.
        labels: Words at points.
        height: In pixels, for a picture of 760 pixels in width.
        square: One unit is as long on both axes.
    """

    key: str
    title: str
    caption: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    bars: tuple[Bars, ...] = ()
    cells: Cells | None = None
    rules: tuple[Rule, ...] = ()
    labels: tuple[Label, ...] = ()
    height: int = 400
    square: bool = False

    def __post_init__(self) -> None:
        if not self.title or not self.caption:
            raise ValueError(f"{self.key}: a picture needs a title and a caption")
        if any(len(bars.lengths) != len(self.y.ticks) for bars in self.bars):
            raise ValueError(f"{self.key}: a bar for each tick of the vertical axis is needed")

    @property
    def named(self) -> int:
        """How many series the legend lists."""
        return sum(bool(line.name) for line in self.lines) + len(self.bars)
