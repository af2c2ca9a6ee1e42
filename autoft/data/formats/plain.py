"""Plain text, and conversations."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from autoft.data.reading import Unreadable, decoded, jsonl_table

_BLANK = re.compile(r"\n[ \t]*\n")


def passages(path: Path, encoding: str) -> dict[str, list[Any]]:
    """A text as the column `text`: its paragraphs where blank lines part them, else its lines."""
    text = decoded(path, encoding).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    parts = _BLANK.split(text) if _BLANK.search(text) else text.split("\n")
    found = [part.strip() for part in parts if part.strip()]
    return {"text": found} if found else {}


def turns(path: Path, encoding: str) -> dict[str, list[Any]]:
    """One conversation in a line of JSON: what was said before the last turn as `text`, and that one as `label`.

    A line is a list of turns, or has one as `turns`, `messages` or `conversation`; a turn is a text, or a mapping with
    `role` and `content`. Any other JSON lines are read as a table.
    """
    lines = [(i, line) for i, line in enumerate(decoded(path, encoding).split("\n"), start=1) if line.strip()]
    texts: list[list[Any]] = []
    replies: list[str] = []
    for number, line in lines:
        try:
            content = json.loads(line)
        except ValueError as error:
            raise Unreadable(f"line {number} is not JSON: {error}") from None
        if isinstance(content, dict):
            content = next((content[key] for key in ("turns", "messages", "conversation") if key in content), None)
        if content is None and not texts:
            return jsonl_table(path, encoding)
        if not isinstance(content, list) or len(content) < 2:
            raise Unreadable(f"line {number} is no conversation; it has to be a list of at least two turns")
        last = content[-1].get("content") if isinstance(content[-1], dict) else content[-1]
        if not isinstance(last, str):
            raise Unreadable(f"line {number} ends with a turn that is neither a text nor has `content`")
        texts.append(content[:-1])
        replies.append(last)
    return {"text": texts, "label": replies} if texts else {}
