"""Draws a picture as PNG, with matplotlib: unlike plotly's own export it needs no browser on the user's machine."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

from autoft.report.pictures.picture import COLOURS, Bars, Cells, Label, Line, Marker, Picture, Rule, Stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 760  # pixels, as in a browser
_DPI = 100
_COLUMNS = 4  # of the legend
_SCALE = 2  # dots for each pixel
_STROKES = {Stroke.SOLID: "-", Stroke.DASHED: (0, (6, 3)), Stroke.DOTTED: (0, (1.5, 2)), Stroke.NONE: "none"}
_MARKERS = {
    Marker.CIRCLE: "o",
    Marker.OPEN_CIRCLE: "o",
    Marker.SQUARE: "s",
    Marker.OPEN_SQUARE: "s",
    Marker.DIAMOND: "D",
    Marker.TRIANGLE: "^",
    Marker.CROSS: "x",
    Marker.STAR: "*",
    Marker.NONE: "none",
}
_OPEN = (Marker.OPEN_CIRCLE, Marker.OPEN_SQUARE)
_SIDES = {
    "above": ((0, 7), "center", "bottom"),
    "below": ((0, -7), "center", "top"),
    "right": ((8, 0), "left", "center"),
    "left": ((-8, 0), "right", "center"),
}
_BEHIND = {"facecolor": COLOURS["paper"], "edgecolor": "none", "pad": 0.8, "alpha": 0.8}  # words over lines
# `$` in a label is a dollar, not the start of a formula.
_STYLE: Any = {
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["ink"],
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
    "text.color": COLOURS["ink"],
    "hatch.linewidth": 1.0,
    "axes.unicode_minus": False,
}


def png(picture: Picture) -> bytes:
    """The picture with its title and caption, twice as many dots as a browser has pixels."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # whatever a user's own matplotlibrc says
        mpl.rcParams.update(_STYLE)
        warnings.simplefilter("ignore")  # no glyph for a character of a label: it stands in the HTML
        caption = textwrap.wrap(picture.caption, 118)
        # The title and the caption have room of their own above and below what a browser draws.
        named = picture.named if picture.named > 1 else 0
        above = 1 + 19 * math.ceil(named / _COLUMNS)
        height = picture.height + above + 20 + 17 * len(caption)
        figure = Figure((_WIDTH / _DPI, height / _DPI), dpi=_DPI * _SCALE, layout="constrained")
        FigureCanvasAgg(figure)
        place, axes = figure.subplots(2, height_ratios=(above, picture.height))
        _draw(axes, picture)
        _legend(place, axes, picture) if named else place.set_axis_off()
        figure.suptitle(picture.title, x=0.012, ha="left", weight="bold", size=11.5)
        figure.supxlabel("\n".join(caption), x=0.012, ha="left", size=8.8, color=COLOURS["muted"], linespacing=1.35)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None, "Title": picture.title})
        return file.getvalue()


def _draw(axes: Axes, picture: Picture) -> None:
    if picture.cells:
        _cells(axes, picture.cells)
    _scale(axes, picture)
    for rule in picture.rules:
        _rule(axes, rule)
    for line in picture.lines:
        _line(axes, line)
    for place, bars in enumerate(picture.bars):
        _bars(axes, bars, picture, place)
    for label in picture.labels:
        _label(axes, label)


def _legend(place: Axes, axes: Axes, picture: Picture) -> None:
    """The legend in a place of its own above the axes, which it would otherwise squeeze where it is wide."""
    place.set_axis_off()
    handles, names = axes.get_legend_handles_labels()
    if picture.bars:  # the first of a group is drawn lowest
        handles, names = handles[::-1], names[::-1]
    legend = place.legend(
        handles, names, loc="upper left", ncols=_COLUMNS, frameon=False, fontsize=8.5, borderaxespad=0, borderpad=0
    )
    legend.set_in_layout(False)


def _scale(axes: Axes, picture: Picture) -> None:
    for axis, described, log, bound in (
        (axes.xaxis, picture.x, axes.set_xscale, axes.set_xlim),
        (axes.yaxis, picture.y, axes.set_yscale, axes.set_ylim),
    ):
        if described.log:
            log("log")
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        elif not described.ticks and not described.hidden:
            axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        if described.ticks:
            axis.set_ticks([at for at, _ in described.ticks], [text for _, text in described.ticks])
            axis.set_ticks([], minor=True)
        elif described.hidden:
            axis.set_ticks([])
        if described.bounds:
            bound(*described.bounds)
        axis.set_label_text(described.title)
        if not picture.cells and not described.hidden:
            axis.grid(True, color=COLOURS["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    for side, described in (("bottom", picture.x), ("left", picture.y)):
        axes.spines[side].set_visible(not described.hidden and not picture.cells)
        if described.hidden:
            axes.tick_params(axis="x" if side == "bottom" else "y", length=0)
    if picture.square:
        axes.set_aspect("equal")


def _line(axes: Axes, line: Line) -> None:
    colour = COLOURS[line.tone]
    nan = float("nan")
    points = [point or (nan, nan) for point in line.points]
    axes.plot(
        [x for x, _ in points],
        [y for _, y in points],
        label=line.name or "_",
        color=colour,
        linestyle=_STROKES[line.stroke],
        linewidth=line.width,
        drawstyle="steps-post" if line.step else "default",
        marker=_MARKERS[line.marker],
        markersize=line.size * (1.5 if line.marker is Marker.STAR else 0.8),
        markerfacecolor=COLOURS["paper"] if line.marker in _OPEN else colour,
        markeredgecolor=colour,
        markeredgewidth=1.2,
    )


def _bars(axes: Axes, bars: Bars, picture: Picture, place: int) -> None:
    thick = 0.8 / len(picture.bars)
    # Plotly puts the first of a group nearest to the axis' lower end; so does this.
    offset = (place - (len(picture.bars) - 1) / 2) * thick
    axes.barh(
        [at + offset for at, _ in picture.y.ticks],
        bars.lengths,
        height=thick,
        label=bars.name,
        color=COLOURS["paper"] if bars.hatched else COLOURS[bars.tone],
        edgecolor=COLOURS[bars.tone],
        hatch="////" if bars.hatched else None,
    )


def _cells(axes: Axes, cells: Cells) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shading = LinearSegmentedColormap.from_list("shading", [COLOURS["paper"], COLOURS["first"]])
    edges = [[i - 0.5 for i in range(size + 1)] for size in (len(cells.shades[0]), len(cells.shades))]
    axes.pcolormesh(*edges, cells.shades, cmap=shading, vmin=0, vmax=1, edgecolors=COLOURS["grid"], linewidth=0.8)
    for i, row in enumerate(cells.texts):
        for j, text in enumerate(row):
            dark = cells.shades[i][j] > 0.55
            axes.text(
                j, i, text, ha="center", va="center", size=8.5, color=COLOURS["paper"] if dark else COLOURS["ink"]
            )


def _rule(axes: Axes, rule: Rule) -> None:
    style: dict[str, Any] = {"color": COLOURS["muted"], "linewidth": 0.9, "linestyle": _STROKES[Stroke.DOTTED]}
    across = {"textcoords": "offset points", "size": 8, "color": COLOURS["muted"], "bbox": _BEHIND}
    if rule.level:
        axes.axhline(rule.at, zorder=1, **style)
        place = {"xy": (0, rule.at), "xycoords": ("axes fraction", "data"), "xytext": (3, 2), "ha": "left"}
    else:
        axes.axvline(rule.at, zorder=1, **style)
        place = {"xy": (rule.at, 0), "xycoords": ("data", "axes fraction"), "xytext": (3, 3), "ha": "left"}
    if rule.text:
        axes.annotate(rule.text, va="bottom", **place, **across)  # type: ignore[arg-type]


def _label(axes: Axes, label: Label) -> None:
    offset, horizontal, vertical = _SIDES[label.side]
    axes.annotate(
        label.text,
        (label.x, label.y),
        offset,
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        size=9,
        weight="bold" if label.strong else "normal",
        bbox=_BEHIND,
    )
