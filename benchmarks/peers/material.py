"""What every contestant is given: the same rows in the same three files, and the same model folders."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoft import assets
from benchmarks.peers.contest import HELD_OUT

PARTS = ("train", "validation", "test")
_NOTED = "rows.json"


@dataclass(frozen=True, slots=True)
class Material:
    """The rows of one (data set, seed).

    Attributes:
        folder: Holds `train.jsonl`, `validation.jsonl` and `test.jsonl`, each line `{"text": …, "label": …}`.
        labels: The labels in sorted order.
        test_rows: For each test row its number in the whole data set, by which seeds that share it are told.
        targets: For each test row the index of its label.
    """

    folder: Path
    labels: tuple[str, ...]
    test_rows: tuple[int, ...]
    targets: tuple[int, ...]

    def path(self, part: str) -> Path:
        """The file of a part."""
        return self.folder / f"{part}.jsonl"

    def count(self, part: str) -> int:
        """The number of rows of a part."""
        with self.path(part).open(encoding="utf-8") as file:
            return sum(1 for _ in file)


def prepare(data_set: str, seed: int, rows: int, work: Path) -> Material:
    """Draws and splits the rows, stratified by label, unless the files are there already.

    Args:
        data_set: Name of an asset.
        seed: Each seed draws and splits anew, so that the verdict doesn't hang on one choice of test rows.
        rows: How many rows there are in all.
        work: Folder of the benchmark's files.
    """
    folder = work / "data" / f"{data_set}-s{seed}-{rows}"
    if not folder.is_dir():
        _write(data_set, seed, rows, folder)
    noted = json.loads((folder / _NOTED).read_text(encoding="utf-8"))
    return Material(folder, tuple(noted["labels"]), tuple(noted["test_rows"]), tuple(noted["targets"]))


def models(names: Sequence[str], work: Path) -> dict[str, Path]:
    """The folder of each model, by its name: contestants show the end of it, and some read meaning into it."""
    found = {}
    for name in names:
        link = work / "models" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(assets.fetch(name, "model"), target_is_directory=True)
        found[name] = link
    return found


def _write(data_set: str, seed: int, rows: int, folder: Path) -> None:
    import pyarrow.parquet as pq
    from sklearn.model_selection import train_test_split

    table = pq.read_table(assets.fetch(data_set, "data")).to_pydict()
    texts, labels = table["text"], table["label"]
    size = round(rows * HELD_OUT)

    def drawn(pool: list[int], count: int) -> tuple[list[int], list[int]]:
        if count == len(pool):
            return [], pool
        rest, taken = train_test_split(
            pool, test_size=count, stratify=[labels[i] for i in pool], random_state=seed, shuffle=True
        )
        return rest, taken

    _, pool = drawn(list(range(len(texts))), rows)
    pool, test = drawn(pool, size)
    train, validation = drawn(pool, size)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for part, numbers in zip(PARTS, (train, validation, test), strict=True):
            lines = (json.dumps({"text": texts[i], "label": labels[i]}) + "\n" for i in numbers)
            (draft / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
        names = sorted(set(labels))
        noted = {"labels": names, "test_rows": test, "targets": [names.index(labels[i]) for i in test]}
        (draft / _NOTED).write_text(json.dumps(noted), encoding="utf-8")
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
