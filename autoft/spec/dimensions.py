"""From what a user wrote of a knob to a `Dimension`: a range, a list of choices, or one fixed value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from autoft.space import ALL, KNOBS, Choice, Dimension, Range
from autoft.words import nearest, shown

MOST_POINTS = 1000


def parse_dimensions(path: str, raw: Any, problems: list[str]) -> dict[str, Dimension]:
    """The dimensions in a mapping from knobs; what is wrong with it is added to `problems`."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        problems.append(f"{path}: {shown(raw)} is not a mapping from a knob to what is searched of it")
        return {}
    found: dict[str, Dimension] = {}
    for knob, value in raw.items():
        if knob == "model" and path == "space":
            continue
        if knob not in KNOBS:
            problems.append(f"{path}.{knob}: unknown key{nearest(str(knob), [*KNOBS, 'model'])}")
            continue
        dimension = _dimension(f"{path}.{knob}", knob, value, problems)
        if dimension is not None:
            found[knob] = dimension
    return found


def _dimension(path: str, knob: str, raw: Any, problems: list[str]) -> Dimension | None:
    if isinstance(raw, Range | Choice):
        return raw
    if isinstance(raw, Mapping):
        return _points(path, knob, raw, problems) if "points" in raw else _range(path, knob, raw, problems)
    values = raw if isinstance(raw, list | tuple) else [raw]
    if not values:
        problems.append(f"{path}: an empty list; name at least one value")
        return None
    wrong = [
        f"{path}: {problem}"
        for value in values
        if not (knob == "freeze_depth" and value == ALL) and (problem := KNOBS[knob].problem(value))
    ]
    problems += wrong
    kind = KNOBS[knob].kind
    return None if wrong else Choice(tuple(dict.fromkeys(v if v is None or v == ALL else kind(v) for v in values)))


def _points(path: str, knob: str, raw: Mapping[Any, Any], problems: list[str]) -> Choice | None:
    """A range with `points`: so many values from end to end, at even distances on its scale, as a list."""
    points = raw["points"]
    before = len(problems)
    if isinstance(points, bool) or not isinstance(points, int) or not 2 <= points <= MOST_POINTS:
        problems.append(f"{path}.points: {points!r} is not a whole number from 2 to {MOST_POINTS}")
    if raw.get("step") is not None:
        problems.append(f"{path}: `points` and `step` don't go together; keep one of the two")
    if raw.get("high") == ALL:
        problems.append(f"{path}: `points` needs a number for `high`, not {ALL!r}")
    if len(problems) > before:
        return None
    ends = _range(path, knob, {key: value for key, value in raw.items() if key != "points"}, problems)
    if ends is None:
        return None
    shares = [i / (points - 1) for i in range(points)]
    if ends.log:
        values = [ends.low * (ends.high / ends.low) ** share for share in shares]
    else:
        values = [ends.low + (ends.high - ends.low) * share for share in shares]
    values[-1] = ends.high
    if KNOBS[knob].kind is int:
        return Choice(tuple(dict.fromkeys(round(value) for value in values)))
    return Choice(tuple(dict.fromkeys(float(f"{value:.6g}") for value in values)))


def _range(path: str, knob: str, raw: Mapping[Any, Any], problems: list[str]) -> Range | None:
    before = len(problems)
    keys = ("low", "high", "log", "step", "points")
    problems += [f"{path}.{key}: unknown key{nearest(str(key), keys)}" for key in raw if key not in keys]
    if KNOBS[knob].kind is str:
        problems.append(f"{path}: a range needs numbers; list the choices instead")
        return None
    low, high, log, step = raw.get("low"), raw.get("high"), raw.get("log", False), raw.get("step")
    if knob == "freeze_depth" and high == ALL:
        high = KNOBS[knob].high  # clipped to each model's number of blocks
    for key, value in (("low", low), ("high", high)):
        if value is None:
            problems.append(f"{path}: a range needs `{key}`")
        elif problem := KNOBS[knob].problem(value):
            problems.append(f"{path}.{key}: {problem}")
    if not isinstance(log, bool):
        problems.append(f"{path}.log: {log!r} is neither true nor false")
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or not step > 0):
        problems.append(f"{path}.step: {step!r} is not a number above zero")
    if len(problems) > before:
        return None
    assert low is not None and high is not None  # noqa: S101 - for the type checker; both were checked above
    if low >= high:
        problems.append(f"{path}: low {low:g} is not below high {high:g}; for one fixed value write it as it is")
    if log and low <= 0:
        problems.append(f"{path}: a logarithmic range has to start above 0, not at {low:g}")
    if log and step is not None:
        problems.append(f"{path}: `log` and `step` don't go together; keep one of the two")
    if step is not None and KNOBS[knob].kind is int and not float(step).is_integer():
        problems.append(f"{path}.step: {step!r} is not a whole number")
    if len(problems) > before:
        return None
    if step is not None:  # the last value a step reaches, so that samplers and people agree on the end
        # Not `//`, by which 0.3 holds 0.1 only twice; rounded, because 3 * 0.1 is not 0.3.
        high = min(high, round(low + math.floor((high - low) / step + 1e-9) * step, 12))
    return Range(float(low), float(high), log, step)
