"""Words for people: durations, short names and numbers, commands to copy, addresses without their secrets."""

from __future__ import annotations

import difflib
import re
import reprlib
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RUNS = Path("runs")
"""Where searches are kept, unless the user says otherwise."""

_SECRET = re.compile(r"(?i)([?&](?:password|passwd|pwd|token|secret|sslpassword|access_key)=)[^&\s'\"]*")
_LOGIN = re.compile(
    # Greedy up to the last @ before a slash or a space: a password may hold an @ of its own,
    r"(?<=://)(?:[^/\s'\"]*@"
    # or a slash; what follows the colon is then no port,
    r"|[^/:@\[\s'\"]*:(?!\d*(?:[/?#\s'\"]|$))[^@\s'\"]*@"
    # though in a database's URI even what looks like one is a password where an @ comes later.
    r"|(?<!http://)(?<!https://)[^/:@\[\s'\"]*:[^@\s'\"]*@)"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# Not `repr`: YAML can name a value of a few lines that is written out in gigabytes.
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 10_000  # whole: half of a URI may be the half with the password
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
    elif not isinstance(text, str):  # a list, say, from a file
        raise ValueError(f"{text!r} is no duration; write for example 90s, 10m or 1h30m")
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


def short_name(ref: str) -> str:
    """The part of a model's reference that people call it by: `asset:a` → `a`, `org/b` → `b`, `x/y/c/` → `c`."""
    return re.split(r"[/:\\]", ref.rstrip("/\\:"))[-1] or ref


def compact(value: float | None) -> str:
    """A hyperparameter with two or three digits, `3.2e-4` style where it is small; `own` for None."""
    if value is None:
        return "own"
    if value == 0 or 1e-2 <= abs(value) < 1e5:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def freeze(depth: int, blocks: int | None) -> str:
    """A freeze depth; `all` where it is every block of the model."""
    return "all" if blocks is not None and depth >= blocks > 0 else str(depth)


def frozen(params: Mapping[str, Any], blocks: int | None) -> str:
    """What of a model stays as it is: its freeze depth, or `lora` with the rank of what is trained beside it."""
    if params.get("adapter") == "lora":
        return f"lora {params['lora_rank']}"
    return freeze(params["freeze_depth"], blocks)


def runs_option(runs: Path) -> str:
    """` --runs …` for a command that a person can copy; empty for the default folder."""
    return "" if runs == RUNS else f" --runs {shlex.quote(str(runs))}"


def resume_command(folder: Path) -> str:
    """What a person types to go on with the search in `folder`."""
    return f"autoft resume {folder.name}{runs_option(folder.parent)}"


def shown(value: object) -> str:
    """A value that somebody gave, as a message repeats it: short, on one line and without passwords."""
    text = public_uri(_REPR.repr(value))
    return text if len(text) <= 120 else f"{text[:119]}…"


def visible(text: str) -> str:
    """`text` with its control characters written out: what a file holds must not steer a terminal."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def public_uri(uri: str) -> str:
    """`uri`, or any text with URIs in it, without user names, passwords and tokens."""
    return _SECRET.sub(r"\1***", _LOGIN.sub("", uri))
