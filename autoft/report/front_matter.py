"""The head of a model card, for machines: the entries that the hub has for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoft.report.labels import known

# Tasks that have no pipeline of their own but a tag on the hub; of the others the pipeline's name is the tag.
_TAGS = {"question-answering": "question-answering", "dialogue": "text-generation"}
# Metrics that the hub knows by another name.
_METRICS = {"macro_f1": "f1", "weighted_f1": "f1", "mcc": "matthews_correlation", "pearson": "pearsonr"} | {
    "spearman": "spearmanr", "r2": "r_squared", "rougeL": "rouge", "token_accuracy": "accuracy",
}  # fmt: skip
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def front_matter(report: Mapping[str, Any]) -> dict[str, Any]:
    """What machines read: the hub's entries of a model card."""
    task, name = str(report.get("task", "")), str(report.get("search", "model"))
    tag = _TAGS.get(task, report.get("pipeline") or "")
    base = str(((report.get("winner") or {}).get("params") or {}).get("model", ""))
    values = {key: value for key, value in (report.get("test_metrics") or {}).items() if known(value)}
    metrics = [{"name": key, "type": _METRICS.get(key, key), "value": round(value, 6)} for key, value in values.items()]
    results = {
        "task": {"type": tag or task, "name": task},
        "dataset": {"type": "private", "name": f"test rows of the search {name}"},
        "metrics": metrics,
    }
    found: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": tag,
        "base_model": base if _on_hub(base) else "",
        "tags": ["autoft"],
        "metrics": list(dict.fromkeys(metric["type"] for metric in metrics if metric["type"] != "loss")),
        "model-index": [{"name": name, "results": [results]}] if metrics else [],
    }
    return {key: value for key, value in found.items() if value}


def _on_hub(ref: str) -> bool:
    return bool(_HUB_ID.fullmatch(ref)) and not Path(ref).exists()
