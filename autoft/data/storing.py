"""Keeps the splits of a search on disk, so that a resumed one has the very same rows."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from autoft.data.reading import from_arrow
from autoft.data.splits import PARTS, Splits, fingerprint, frame
from autoft.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_FINGERPRINT = "fingerprint.txt"


def write(splits: Splits, folder: Path) -> None:
    """Writes `train.parquet`, `validation.parquet`, `test.parquet` and `fingerprint.txt`, all or nothing.

    A folder that is there already is replaced; its parents are made.

    Raises:
        OSError: The disk is full, or the folder may not be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        built = scratch / "new"
        built.mkdir()
        for part in PARTS:
            rows: pd.DataFrame = getattr(splits, part)
            columns = {name: rows[name].tolist() for name in rows.columns}
            pq.write_table(pa.table(columns), built / f"{part}.parquet")
        (built / _FINGERPRINT).write_text(splits.fingerprint + "\n", encoding="utf-8")
        for path in built.iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        if folder.exists():
            folder.rename(scratch / "old")
        built.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def read(folder: Path) -> Splits:
    """The splits that `write` left in `folder`.

    Raises:
        DataError: They are not all there, or not what was written.
    """
    parts = {part: read_part(folder, part) for part in PARTS}
    try:
        noted = (folder / _FINGERPRINT).read_text(encoding="utf-8").strip()
    except OSError:
        noted = ""
    if noted != fingerprint(parts):
        raise DataError(f"{folder}: the rows there are not those that the search began with; start it anew")
    return Splits(parts["train"], parts["validation"], parts["test"], noted)


def read_part(folder: Path, part: str) -> pd.DataFrame:
    """One of the splits that `write` left in `folder`: `train`, `validation` or `test`.

    Raises:
        DataError: It is not there, or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{part}.parquet"
    try:
        return frame(from_arrow(pq.read_table(path)))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {' '.join(str(error).split())}; start the search anew") from None
