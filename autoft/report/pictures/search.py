"""How the search went: the best so far over time, and the learning curves with the rungs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import Direction, TrialRecord, TrialState, ranked
from autoft.report.labels import amount, score, winner_number
from autoft.report.pictures.picture import Axis, Line, Marker, Picture, Rule, Stroke, Tone, log_axis
from autoft.words import format_duration, short_name

_STYLES = (
    (Stroke.DASHED, Marker.SQUARE),
    (Stroke.DOTTED, Marker.DIAMOND),
    (Stroke.SOLID, Marker.TRIANGLE),
    (Stroke.DASHED, Marker.OPEN_CIRCLE),
)
NAMED = len(_STYLES)  # trials beside the winner whose curves can be told apart
_CROWD = 150  # points or curves above which they are drawn smaller
_LATE = 0.9  # of the time: what is found after it says that there may be more to find
_WIDE = 10  # times the smallest number of samples: then a logarithmic axis

Points = list[tuple[float, float] | None]


def best_so_far(report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]) -> Picture | None:
    """Every report of every trial, and the best of them so far, over the seconds of the search."""
    direction, metric = Direction(report["direction"]), report["metric"]
    found = sorted(
        (entry.time, trial.number, entry)
        for trial in trials
        if trial.state is not TrialState.FAILED
        for entry in trial.reports
    )
    if not found:
        return None
    length = (report.get("cost") or {}).get("search_seconds") or report.get("seconds")
    seconds = without_pauses([time for time, _, _ in found], report.get("started"), length)
    unit, divisor = _unit(seconds[-1])
    steps: list[tuple[float, float, int]] = []
    for at, (_, number, entry) in zip(seconds, found, strict=True):
        if not steps or direction.better(entry.value, steps[-1][1]):
            steps.append((at, entry.value, number))
    best_at, best, number = steps[-1]
    last = seconds[-1]
    later = len({trial for at, (_, trial, _) in zip(seconds, found, strict=True) if at > best_at})
    caption = f"After trial {number} ({format_duration(best_at)}) nothing better than {score(best)} was found"
    if later and best_at < _LATE * last:
        caption += f", in another {format_duration(last - best_at)} with reports of {amount(later, 'trial')}."
    else:
        caption += ", but that was close to the end: a longer search may find more."
    lines = [
        Line(
            "report of a trial",
            tuple((at / divisor, entry.value) for at, (_, _, entry) in zip(seconds, found, strict=True)),
            Stroke.NONE,
            Marker.OPEN_CIRCLE,
            Tone.FAINT,
            size=5 if len(found) <= _CROWD else 2.5,
            texts=tuple(f"trial {n}, {e.samples:,} samples: {score(e.value)}" for _, n, e in found),
        ),
        Line(
            "best so far",
            (*((at / divisor, value) for at, value, _ in steps), (last / divisor, best)),
            step=True,
            width=2.5,
        ),
        Line(
            "a better one",
            tuple((at / divisor, value) for at, value, _ in steps),
            Stroke.NONE,
            Marker.CIRCLE,
            size=7,
            texts=tuple(f"trial {n} after {format_duration(at)}: {score(value)}" for at, value, n in steps),
        ),
    ]
    plain = next((one for one in report.get("entrants") or () if one.get("kind") == "plain"), None)
    at_first = plain["seeds"][0].get("validation") if plain and plain.get("seeds") else None
    rules: tuple[Rule, ...] = ()
    if at_first is not None:
        rules = (Rule(at_first, f"the plain recipe, trained to its end: {score(at_first)}", level=True),)
        ahead = next((at for at, value, _ in steps if direction.better(value, at_first)), None)
        caption += (
            f" The plain recipe was overtaken after {format_duration(ahead)}."
            if ahead is not None
            else " Nothing overtook the plain recipe."
        )
    return Picture(
        "best-so-far",
        "The best so far",
        caption,
        Axis(f"time since the search began ({unit})", bounds=(0, last / divisor * 1.02 or 1)),
        Axis(f"validation {metric}"),
        tuple(lines),
        rules=rules,
    )


def learning_curves(report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]) -> Picture | None:
    """The objective of each trial over the samples that it has seen, and the rungs."""
    direction, metric = Direction(report["direction"]), report["metric"]
    seen = [trial for trial in trials if trial.reports]
    if not seen:
        return None
    winner = winner_number(report)
    named = [trial for trial in ranked(seen, direction) if trial.number != winner][:NAMED]
    groups = {
        "completed": [t for t in seen if t.state in (TrialState.COMPLETE, TrialState.OPEN)],
        "pruned": [t for t in seen if t.state is TrialState.PRUNED],
        "failed": [t for t in seen if t.state is TrialState.FAILED],
    }
    strokes = {"completed": Stroke.SOLID, "pruned": Stroke.DASHED, "failed": Stroke.DOTTED}
    lines = []
    for name, group in groups.items():
        rest = [trial for trial in group if trial not in named and trial.number != winner]
        points: Points = []
        texts: list[str] = []
        for trial in rest:
            points += [*_curve(trial), None]
            texts += [*_said(trial), ""]
        if rest:
            label = f"{amount(len(rest), 'trial')} {name}"
            marker = Marker.CIRCLE if name == "completed" else Marker.CROSS
            width = 1.0 if len(rest) <= _CROWD else 0.5
            lines.append(
                Line(label, tuple(points), strokes[name], marker, Tone.FAINT, width, size=4 * width, texts=tuple(texts))
            )
    for trial, (stroke, marker) in reversed(list(zip(named, _STYLES, strict=False))):
        name = f"#{trial.number} {short_name(trial.config.model)}"
        lines.append(Line(name, tuple(_curve(trial)), stroke, marker, Tone.OTHER, 1.5, texts=tuple(_said(trial))))
    for trial in seen:
        if trial.number == winner:
            name = f"#{trial.number} {short_name(trial.config.model)}, the winner"
            lines.append(
                Line(name, tuple(_curve(trial)), marker=Marker.CIRCLE, width=3, size=7, texts=tuple(_said(trial)))
            )
    samples = [entry.samples for trial in seen for entry in trial.reports]
    low, high = min(samples), max(samples)
    log = high > _WIDE * low
    marks = [rung for rung in rungs if rung <= high]
    return Picture(
        "learning-curves",
        "Learning curves",
        _curves_caption(seen, marks, winner, direction),
        log_axis("training samples seen", low, high) if log else Axis("training samples seen"),
        Axis(f"validation {metric}"),
        tuple(lines),
        rules=tuple(Rule(rung, f"rung {rung:,}") for rung in marks),
        height=440,
    )


def without_pauses(times: Sequence[float], started: float | None, length: float | None) -> list[float]:
    """Seconds of work at each of some moments.

    A search may be stopped and go on days later. What lies between its start and its last report above `length` was
    no work; it is taken from the longest gaps.

    Args:
        times: Unix times, rising.
        started: Unix time of the start.
        length: Seconds that the search has worked in all; None where it is not known.
    """
    start = times[0] if started is None else min(started, times[0])
    gaps = [after - before for before, after in zip([start, *times[:-1]], times, strict=True)]
    idle = sum(gaps) - length if length else 0.0
    for place in sorted(range(len(gaps)), key=lambda i: -gaps[i]):
        cut = min(max(idle, 0.0), gaps[place])
        gaps[place] -= cut
        idle -= cut
    at, seconds = 0.0, []
    for gap in gaps:
        at += gap
        seconds.append(at)
    return seconds


def _unit(seconds: float) -> tuple[str, float]:
    """The unit of a time axis of that length, and its seconds."""
    if seconds < 240:
        return "seconds", 1
    return ("minutes", 60) if seconds < 4 * 3600 else ("hours", 3600)


def _curve(trial: TrialRecord) -> list[tuple[float, float] | None]:
    return [(entry.samples, entry.value) for entry in trial.reports]


def _said(trial: TrialRecord) -> list[str]:
    ended = f"; {trial.reason}" if trial.reason else ""
    return [
        f"trial {trial.number} after {entry.samples:,} samples: {score(entry.value)}"
        + (f" ({trial.state}{ended})" if entry is trial.reports[-1] else "")
        for entry in trial.reports
    ]


def _curves_caption(seen: Sequence[TrialRecord], rungs: Sequence[int], winner: int | None, direction: Direction) -> str:
    said = []
    if rungs:
        out = [sum(t.state is TrialState.PRUNED and t.samples <= rung for t in seen) for rung in rungs]
        counts = f"{out[0]} of {amount(len(seen), 'trial')} went no further than the first rung ({rungs[0]:,} samples)"
        if len(rungs) > 1:
            reached = sum(t.samples >= rungs[-1] for t in seen)
            counts += f", {reached} reached the last ({rungs[-1]:,})"
        said.append(f"{counts}.")
    chosen = next((trial for trial in seen if trial.number == winner), None)
    best = chosen.best(direction) if chosen else None
    if chosen and best:
        said.append(
            f"The winner was best after {best.samples:,} of its {chosen.samples:,} samples."
            if best.samples < chosen.samples
            else f"The winner was best at its end, after {best.samples:,} samples."
        )
    return " ".join(said) or f"The objective of {amount(len(seen), 'trial')} as training went on."
