"""What each entrant said of each row: `predictions/SPLIT-ENTRANT.jsonl`, from which every number can be made again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = "predictions"
_READINGS = "readings.jsonl"


def keep(folder: Path, split: str, entrant: str, scores: Iterable[Any], examples: Sequence[Mapping[str, Any]]) -> None:
    """Writes a line for each row: its place in the split, the task's scores for it, and what would have been right.

    Args:
        folder: Of the search.
        split: `validation` or `test`.
        entrant: Its name.
        scores: One for each row, as the task's `merge` gives them.
        examples: The first example of each row; `labels` are what is right.
    """
    path = folder / FOLDER / f"{split}-{entrant}.jsonl"
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{path.name}")
    with draft.open("w", encoding="utf-8") as file:
        for row, (said, example) in enumerate(zip(scores, examples, strict=True)):
            line = {"row": row, "scores": plain(said), "target": plain(example.get("labels"))}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    draft.replace(path)


def read_before(folder: Path, models: Mapping[str, str]) -> int:
    """Takes down that the test rows are about to be read, and says how many other models have been read on them.

    A model that was read already, and is read again after a crash, tells nothing new.

    Args:
        folder: Of the search.
        models: For each entrant the digest of its weights.
    """
    path = folder / FOLDER / _READINGS
    path.parent.mkdir(exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    known = {model for line in lines if line for model in json.loads(line)["models"].values()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": time.time(), "models": dict(models)}) + "\n")
    return len(known - set(models.values()))


def plain(value: Any) -> Any:
    """Scores as JSON can hold them; what it has no word for is written as text."""
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
