"""Words for people: durations, and the nearest of the names that would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str | float) -> float:
    """Seconds of a duration such as `90`, `45s`, `10m`, `1h30m`.

    Raises:
        ValueError: `text` is no duration, or not above zero.
    """
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is no duration; write for example 90s, 10m or 1h30m")
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        match = _DURATION.fullmatch(text.strip().lower().replace(" ", ""))
        if not text.strip() or match is None:
            raise ValueError(f"{text!r} is no duration; write for example 90s, 10m or 1h30m")
        hours, minutes, rest = (float(part or 0) for part in match.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text!r} is no duration above zero")
    return seconds


def format_duration(seconds: float) -> str:
    """`seconds` as a person says them: `45 s`, `3 min 20 s`, `1 h 30 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def nearest(word: str, words: Iterable[str]) -> str:
    """The end of a message about an unknown `word`: the nearest of `words`, or all of them."""
    names = list(words)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else f"; known are {', '.join(names)}"
