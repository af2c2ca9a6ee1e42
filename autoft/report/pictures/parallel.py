"""What the best trials have in common: a line for each trial through its knobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import Direction, TrialRecord, ranked
from autoft.report.labels import amount, listed, score, winner_number
from autoft.report.pictures.picture import Axis, Label, Line, Marker, Picture, Stroke, Tone
from autoft.report.pictures.varied import Varied, value_of, varied

BEST = 20  # trials that are set apart, at most; else a quarter
CROWD = 150  # of the others, at most: more would be a grey surface
_AXES = 8  # knobs that fit beside each other
_UNUSED = -0.12  # where a trial passes a knob that has no part in its recipe
_NARROW = 0.5  # of all places: what the best trials share
_APART = 0.035  # between trials with the same value, so that their lines can be told apart

Values = Mapping[int, float]  # the objective of each trial, by its number


def parallel_coordinates(
    report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]
) -> Picture | None:
    """A line for each trial through its value of every knob, to its score on the right."""
    direction, metric = Direction(report["direction"]), report["metric"]
    able = ranked(trials, direction)
    knobs = varied([trial.config for trial in able])
    if len(able) < 2 or not knobs:
        return None
    knobs, left_out = knobs[:_AXES], knobs[_AXES:]
    scores = {trial.number: at.value for trial in able if (at := trial.best(direction))}
    low, high = min(scores.values()), max(scores.values())
    best = able[: max(1, min(BEST, round(len(able) / 4)))]
    chosen = [trial for trial in able if trial.number == winner_number(report)]
    apart = {trial.number for trial in (*best, *chosen)}
    others = [trial for trial in able if trial.number not in apart]
    crowd = others[:: -(-len(others) // CROWD) or 1]
    of = f"{len(crowd)} of " if len(crowd) < len(others) else ""
    places = {trial.number: place / (len(able) - 1) for place, trial in enumerate(able)}
    lines = [Line("", ((x, -0.02), (x, 1.02)), tone=Tone.OTHER, width=0.8) for x in range(len(knobs) + 1)]
    for name, group, stroke, tone, width in (
        (f"{of}the other {amount(len(others), 'trial')}", crowd, Stroke.SOLID, Tone.FAINT, 0.8),
        (f"the best {amount(len(best), 'trial')}", best, Stroke.DASHED, Tone.SECOND, 1.8),
        ("the winner", chosen, Stroke.SOLID, Tone.FIRST, 3.0),
    ):
        points: list[tuple[float, float] | None] = []
        texts: list[str] = []
        for trial in group:
            share = (scores[trial.number] - low) / (high - low) if high > low else 0.5
            aside = (places[trial.number] - 0.5) * 2 * _APART
            points += [*_route(trial, knobs, aside), (len(knobs), share), None]
            texts += [*_route_said(trial, knobs, f"{metric} {score(scores[trial.number])}"), ""]
        if group:
            lines.append(Line(name, tuple(points), stroke, Marker.CIRCLE, tone, width, size=4, texts=tuple(texts)))
    labels = [Label(x, y, text, "right") for x, knob in enumerate(knobs) for y, text in knob.ticks()]
    labels += [Label(len(knobs), share, score(at), "right") for share, at in ((0, low), (1, high)) if high > low]
    ticks = (*((float(x), _two_lines(knob.name)) for x, knob in enumerate(knobs)), (float(len(knobs)), "score"))
    caption = _shared(best, knobs, len(able))
    skipped = any(not value_of(trial.config, knob.knob)[1] for trial in able for knob in knobs)
    if skipped:
        caption += " A line passes below a knob that has no part in its trial."
    if left_out:
        caption += f" Not shown: {listed([knob.name for knob in left_out])}."
    return Picture(
        "parallel-coordinates",
        "What the best have in common",
        caption,
        Axis(f"knobs, and validation {metric} on the right", ticks=ticks, bounds=(-0.1, len(knobs) + 0.55)),
        Axis(hidden=True, bounds=(_UNUSED - 0.06 if skipped else -0.08, 1.08)),
        tuple(lines),
        labels=tuple(labels),
        height=430,
    )


def _route(trial: TrialRecord, knobs: Sequence[Varied], aside: float) -> list[tuple[float, float]]:
    """Where a trial passes each knob, `aside` of those with the same value where there are but few values."""
    points = []
    for x, knob in enumerate(knobs):
        value, there = value_of(trial.config, knob.knob)
        y = knob.place(value) if there else _UNUSED
        points.append((float(x), y if there and not knob.few else y + aside))
    return points


def _shared(best: Sequence[TrialRecord], knobs: Sequence[Varied], total: int) -> str:
    """What the best trials have in common that not every trial has, the narrowest first."""
    found = []
    for knob in knobs:
        values = [value_of(trial.config, knob.knob) for trial in best]
        own = [value for value, there in values if there]
        if len(own) < len(best):
            continue
        places = [knob.place(value) for value in own]
        width = max(places) - min(places)
        if knob.numeric and len(knob.values) > 2 and width <= _NARROW:
            low, high = knob.say(min(own)), knob.say(max(own))
            found.append((width, f"{knob.name} {low}" if low == high else f"{knob.name} {low} to {high}"))
        elif len(set(own)) == 1:
            found.append((0.0, f"{knob.name} {knob.say(own[0])}"))
    counts = f"The best {len(best)} of {amount(total, 'trial')}"
    if len(best) < 2:
        return f"{counts} is one example, and no more: there are too few trials to compare."
    if not found:
        return f"{counts} lie all over every knob: none of them decides alone."
    shared = [text for _, text in sorted(found, key=lambda one: one[0])[:3]]
    return f"{counts} have in common: {listed(shared)}."


def _route_said(trial: TrialRecord, knobs: Sequence[Varied], reached: str) -> list[str]:
    said = f"trial {trial.number} ({trial.state}): {reached}"
    texts = []
    for knob in knobs:
        value, there = value_of(trial.config, knob.knob)
        texts.append(f"{said}; {knob.name} {knob.say(value) if there else 'has no part'}")
    return [*texts, said]


def _two_lines(name: str) -> str:
    first, _, rest = name.partition(" ")
    return f"{first}\n{rest}" if rest else first
