"""Draws a picture for a browser, with plotly.

Plotly reads a few HTML tags in the texts that it draws, links among them: what comes from data is escaped here.
"""

from __future__ import annotations

import html
import math
from functools import cache
from typing import TYPE_CHECKING, Any

from autoft.report.pictures.picture import COLOURS, Axis, Bars, Cells, Label, Line, Marker, Picture, Rule, Stroke

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_SIDES = {
    "above": ("center", "bottom", 0, 6),
    "below": ("center", "top", 0, -6),
    "right": ("left", "middle", 8, 0),
    "left": ("right", "middle", -8, 0),
}


def figure(picture: Picture) -> Figure:
    """The picture as plotly's figure. Its title and caption are left to the page around it."""
    from plotly import graph_objects

    drawn = graph_objects.Figure()
    if picture.cells:
        drawn.add_trace(_cells(picture.cells))
    for line in picture.lines:
        drawn.add_trace(_line(line))
    for bars in picture.bars:
        drawn.add_trace(_bars(bars, picture.y))
    for rule in picture.rules:
        _rule(drawn, rule, picture)
    for label in picture.labels:
        _label(drawn, label, picture)
    drawn.update_layout(
        template=None,
        font={"family": _FONT, "size": 13, "color": COLOURS["ink"]},
        paper_bgcolor=COLOURS["paper"],
        plot_bgcolor=COLOURS["paper"],
        height=picture.height,
        margin={"l": 8, "r": 16, "t": 28, "b": 8},
        showlegend=picture.named > 1,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}}
        # The first of a group of bars is drawn lowest.
        | ({"traceorder": "reversed"} if picture.bars else {}),
        hovermode="closest",
        hoverlabel={"bgcolor": COLOURS["paper"], "bordercolor": COLOURS["muted"], "align": "left"},
        barmode="group",
        xaxis=_axis(picture.x),
        yaxis=_axis(picture.y),
    )
    if picture.cells:
        drawn.update_layout(xaxis={"showgrid": False}, yaxis={"showgrid": False})
    if picture.square:
        drawn.update_yaxes(scaleanchor="x", constrain="domain")
        drawn.update_xaxes(constrain="domain")
    return drawn


def as_json(picture: Picture) -> str:
    """Plotly's figure as JSON; `plotly.io.from_json` reads it back."""
    return str(figure(picture).to_json())


@cache
def library() -> str:
    """The source of plotly.js, to be put into a page: nothing is ever fetched from a network."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _axis(axis: Axis) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "title": {"text": html.escape(axis.title), "standoff": 10, "font": {"size": 13}},
        "type": "log" if axis.log else "linear",
        "automargin": True,
        "tickfont": {"size": 12},
        "zeroline": False,
        "showgrid": not axis.hidden,
        "showticklabels": bool(axis.ticks) or not axis.hidden,
        "gridcolor": COLOURS["grid"],
        "linecolor": COLOURS["muted"],
        "tickcolor": COLOURS["muted"],
        "showline": not axis.hidden,
        "ticks": "" if axis.hidden else "outside",
        "separatethousands": True,
    }
    if axis.ticks:
        drawn |= {
            "tickmode": "array",
            "tickvals": [at for at, _ in axis.ticks],
            "ticktext": [html.escape(text).replace("\n", "<br>") for _, text in axis.ticks],
        }
    if axis.bounds:
        drawn["range"] = [math.log10(end) for end in axis.bounds] if axis.log else list(axis.bounds)
    return drawn


def _line(line: Line) -> Any:
    from plotly import graph_objects

    colour = COLOURS[line.tone]
    modes = [mode for mode, there in (("lines", line.stroke), ("markers", line.marker)) if there != "none"]
    marker = {"symbol": "circle" if line.marker is Marker.NONE else line.marker.value, "size": line.size + 1}
    return graph_objects.Scatter(
        x=[point[0] if point else None for point in line.points],
        y=[point[1] if point else None for point in line.points],
        name=html.escape(line.name),
        showlegend=bool(line.name),
        mode="+".join(modes) or "none",
        line={
            "dash": "solid" if line.stroke is Stroke.NONE else line.stroke.value,
            "color": colour,
            "width": line.width,
            "shape": "hv" if line.step else "linear",
        },
        marker={**marker, "color": colour, "line": {"color": colour, "width": 1.5}},
        connectgaps=False,
        hovertext=[html.escape(text) for text in line.texts] or None,
        hoverinfo="text" if line.texts else "skip",
    )


def _bars(bars: Bars, axis: Axis) -> Any:
    from plotly import graph_objects

    colour = COLOURS[bars.tone]
    names = [text for _, text in axis.ticks]
    return graph_objects.Bar(
        x=list(bars.lengths),
        y=[at for at, _ in axis.ticks],
        orientation="h",
        name=html.escape(bars.name),
        marker={
            "color": COLOURS["paper"] if bars.hatched else colour,
            "line": {"color": colour, "width": 1},
            "pattern": {"shape": "/" if bars.hatched else "", "fgcolor": colour, "size": 6},
        },
        hovertext=[
            html.escape(f"{name}: {length:.2f} ({bars.name})") for name, length in zip(names, bars.lengths, strict=True)
        ],
        hoverinfo="text",
    )


def _cells(cells: Cells) -> Any:
    from plotly import graph_objects

    return graph_objects.Heatmap(
        z=[list(row) for row in cells.shades],
        zmin=0,
        zmax=1,
        colorscale=[[0, COLOURS["paper"]], [1, COLOURS["first"]]],
        showscale=False,
        xgap=1,
        ygap=1,
        text=[list(row) for row in cells.texts] or None,
        texttemplate="%{text}" if cells.texts else None,
        hovertext=[[html.escape(text) for text in row] for row in cells.hovers] or None,
        hoverinfo="text" if cells.hovers else "skip",
    )


def _rule(drawn: Figure, rule: Rule, picture: Picture) -> None:
    axis = picture.y if rule.level else picture.x
    at = {"y0": rule.at, "y1": rule.at} if rule.level else {"x0": rule.at, "x1": rule.at}
    across = {"x0": 0, "x1": 1, "xref": "paper"} if rule.level else {"y0": 0, "y1": 1, "yref": "paper"}
    line = {"color": COLOURS["muted"], "width": 1, "dash": "dot"}
    drawn.add_shape(type="line", line=line, layer="below", **at, **across)
    if rule.text:
        place = math.log10(rule.at) if axis.log else rule.at  # annotations, unlike shapes, want the logarithm
        end = (
            {"x": 0, "xref": "paper", "xanchor": "left", "xshift": 2, "y": place, "yanchor": "bottom"}
            if rule.level
            else {"x": place, "xanchor": "left", "xshift": 2, "y": 0, "yref": "paper", "yanchor": "bottom"}
        )
        font = {"size": 11, "color": COLOURS["muted"]}
        drawn.add_annotation(text=html.escape(rule.text), showarrow=False, font=font, bgcolor=COLOURS["paper"], **end)


def _label(drawn: Figure, label: Label, picture: Picture) -> None:
    horizontal, vertical, right, up = _SIDES[label.side]
    text = html.escape(label.text)
    drawn.add_annotation(
        x=math.log10(label.x) if picture.x.log else label.x,
        y=math.log10(label.y) if picture.y.log else label.y,
        text=f"<b>{text}</b>" if label.strong else text,
        showarrow=False,
        xanchor=horizontal,
        yanchor=vertical,
        xshift=right,
        yshift=up,
        bgcolor=COLOURS["paper"],
        borderpad=1,
        font={"size": 12, "color": COLOURS["ink"]},
    )
