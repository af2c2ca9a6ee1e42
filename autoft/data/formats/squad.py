"""Questions on texts in the JSON of SQuAD, with and without those that have no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autoft.data.reading import Unreadable, decoded, json_table


def squad(path: Path, encoding: str) -> dict[str, list[Any]]:
    """Columns `text` (the context), `question` and `label`: answers with their `text` and `start`.

    Any other JSON is read as a table.
    """
    text = decoded(path, encoding)
    try:
        content = json.loads(text)
    except ValueError:
        return json_table(path, encoding)
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("data"), list)
        or "paragraphs" not in str(content)[:999]
    ):
        return json_table(path, encoding)
    rows: list[tuple[str, str, list[dict[str, Any]]]] = []
    for i, article in enumerate(content["data"], start=1):
        for j, paragraph in enumerate(_of(article, "paragraphs", f"article {i}"), start=1):
            where = f"article {i}, paragraph {j}"
            context = _of(paragraph, "context", where)
            for question in _of(paragraph, "qas", where):
                answers = [] if question.get("is_impossible") else _of(question, "answers", where)
                found = [{"text": _of(a, "text", where), "start": _of(a, "answer_start", where)} for a in answers]
                rows.append((context, _of(question, "question", where), found))
    return {name: [row[i] for row in rows] for i, name in enumerate(("text", "question", "label"))} if rows else {}


def _of(mapping: Any, key: str, where: str) -> Any:
    if not isinstance(mapping, dict) or key not in mapping:
        raise Unreadable(f"{where} has no {key!r}, which SQuAD's format asks for")
    return mapping[key]
