"""What a score costs: the trials by score and cost, and those that nothing beats in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import Direction, TrialRecord, ranked
from autoft.report.labels import amount, score, winner_number
from autoft.report.pictures.picture import Axis, Label, Line, Marker, Picture, Stroke, Tone, log_axis
from autoft.words import format_duration, short_name

UNITS = {"parameters": "parameters of the model", "latency": "milliseconds per text, one at a time"}
_WIDE = 20  # times the cheapest: then a logarithmic axis
_MOST = 0.9  # of the way from the worst score to the best
SHAPES = (Marker.OPEN_CIRCLE, Marker.OPEN_SQUARE, Marker.DIAMOND, Marker.TRIANGLE, Marker.CROSS)

Point = tuple[float, float, TrialRecord]  # cost, score, of whom


def score_against_cost(
    report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]
) -> Picture | None:
    """The best score of each trial against what it cost.

    The cost is the second of the search's two objectives where it had two and their values are known; else the
    seconds that the trial trained.
    """
    direction, metric = Direction(report["direction"]), report["metric"]
    able = ranked(trials, direction)
    axis, unit, costs = _costs(report, able)
    points = [(costs[trial.number], _best(trial, direction), trial) for trial in able if trial.number in costs]
    if len(points) < 2:
        return None
    given = (report.get("pareto") or {}).get("front") if axis != "seconds" else None
    efficient = sorted(
        front(points, direction) if given is None else [point for point in points if point[2].number in given],
        key=lambda point: point[:2],
    )
    near, top = nearest(points, direction)
    winner = winner_number(report)
    lines = [
        Line(
            "nothing is better and cheaper (Pareto front)",
            tuple((cost, value) for cost, value, _ in efficient),
            Stroke.DASHED,
            tone=Tone.SECOND,
            step=True,
        )
    ]
    models = list(dict.fromkeys(trial.config.model for _, _, trial in sorted(points, key=lambda p: p[2].number)))
    for place, model in enumerate(models):
        own = [point for point in points if point[2].config.model == model]
        lines.append(
            Line(
                short_name(model),
                tuple((cost, value) for cost, value, _ in own),
                Stroke.NONE,
                SHAPES[place % len(SHAPES)],
                Tone.OTHER,
                size=7,
                texts=tuple(f"trial {t.number}: {score(value)} for {said(cost, axis)}" for cost, value, t in own),
            )
        )
    chosen = [point for point in points if point[2].number == winner]
    if chosen:
        cost, value, trial = chosen[0]
        text = f"trial {trial.number}, the winner: {score(value)} for {said(cost, axis)}"
        lines.append(Line("the winner", ((cost, value),), Stroke.NONE, Marker.STAR, size=10, texts=(text,)))
    low, high = min(cost for cost, _, _ in points), max(cost for cost, _, _ in points)
    log = low > 0 and high > _WIDE * low
    return Picture(
        "score-against-cost",
        "Score against cost",
        _caption(points, len(efficient), near, top, axis),
        log_axis(unit, low, high) if log else Axis(unit, bounds=(0, high * 1.08)),
        Axis(f"best validation {metric}"),
        tuple(lines),
        labels=() if near[2].number == winner else (Label(near[0], near[1], f"#{near[2].number}"),),
    )


def front(points: Sequence[Point], direction: Direction) -> list[Point]:
    """The points that no other one beats in one respect and equals or beats in the other, by rising cost."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda one: (one[0], -direction.gain(one[1]))):
        if not kept or direction.better(point[1], kept[-1][1]):
            kept.append(point)
    return kept


def nearest(points: Sequence[Point], direction: Direction) -> tuple[Point, Point]:
    """The cheapest point with most of what there is to gain over the worst, and the best point."""
    top = max(points, key=lambda point: (direction.gain(point[1]), -point[0]))
    worst = min(direction.gain(value) for _, value, _ in points)
    enough = worst + _MOST * (direction.gain(top[1]) - worst)
    able = [point for point in points if direction.gain(point[1]) >= enough or point is top]
    return min(able, key=lambda point: (point[0], -direction.gain(point[1]))), top


def said(cost: float, axis: str) -> str:
    """A cost in words: `31 s`, `4.4 million parameters`."""
    if axis == "latency":
        return f"{cost:.3g} ms per text"
    if axis == "seconds":
        return format_duration(cost) if cost >= 10 else f"{cost:.2g} s"
    name = axis.replace("_", " ")
    return f"{cost / 1e6:.3g} million {name}" if cost >= 1e6 else f"{cost:,.4g} {name}"


def _costs(report: Mapping[str, Any], trials: Sequence[TrialRecord]) -> tuple[str, str, dict[int, float]]:
    """The name of the cost, the title of its axis, and each trial's."""
    axes = tuple((report.get("pareto") or {}).get("axes") or ())
    if len(axes) == 2:
        name = str(axes[1])
        known = {one["trial"]: float(one["cost"]) for one in report["pareto"].get("points") or ()}
        if known:
            return name, UNITS.get(name, name.replace("_", " ")), known
    return "seconds", "training of the trial, seconds", {t.number: t.seconds for t in trials}


def _best(trial: TrialRecord, direction: Direction) -> float:
    best = trial.best(direction)
    assert best is not None  # noqa: S101 - `ranked` gives none without a report
    return best.value


def _caption(points: Sequence[Point], efficient: int, near: Point, top: Point, axis: str) -> str:
    """How many are on the front, and what most of the way to the best costs."""
    best = f"trial {top[2].number}, has {score(top[1])} for {said(top[0], axis)}"
    text = f"For {efficient} of {amount(len(points), 'trial')} there is none that is both better and cheaper."
    if near[0] < top[0]:
        text += (
            f" Trial {near[2].number} gets nine tenths of the way from the worst score to the best ({score(near[1])}) "
            f"for {said(near[0], axis)}; the best, {best}."
        )
    else:
        text += f" The best, {best}; for less, none gets nine tenths of the way from the worst score to it."
    return f"{text} A pruned trial is cheap for having stopped early." if axis == "seconds" else text
