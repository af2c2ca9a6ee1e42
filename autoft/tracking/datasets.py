"""The data of a search as MLflow's data set: name, fingerprint, rows, so that all searches on them can be found."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from autoft.records import SearchRecord
from autoft.words import public_uri

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_DIGEST = 36  # characters that MLflow takes of a fingerprint; the tag `autoft.fingerprint` has all of it


def digest(search: SearchRecord) -> str:
    """What MLflow knows the data of a search by; empty where they have no fingerprint."""
    return search.tags.get("fingerprint", "")[:_DIGEST]


def dataset(search: SearchRecord) -> DatasetInput | None:
    """The data of a search as an input of its run; None where they have no fingerprint."""
    if not digest(search):
        return None
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = public_uri(search.tags.get("data", ""))
    rows = row_counts(search)
    profile: dict[str, Any] = {"num_rows": sum(rows.values()), **rows} if rows else {}
    entity = Dataset(
        name=_short(source) or search.name,
        digest=digest(search),
        source_type="local",
        source=json.dumps({"uri": source}),
        profile=json.dumps(profile | {"fingerprint": search.tags["fingerprint"]}),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


def row_counts(search: SearchRecord) -> dict[str, int]:
    """Rows of each part of the data; empty where they are not known."""
    try:
        rows = json.loads(search.tags.get("rows", ""))
    except json.JSONDecodeError:
        return {}
    return {str(part): int(count) for part, count in rows.items()} if isinstance(rows, dict) else {}


def _short(source: str) -> str:
    """The part of a source that people call it by: `asset:tweets` → `tweets`, `data/reviews.csv` → `reviews.csv`."""
    return re.split(r"[/:\\]", source.rstrip("/\\:"))[-1][:400]
