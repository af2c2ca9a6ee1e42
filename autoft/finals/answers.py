"""How a classifier answers, beside its score: how sure of itself it may be, by its classes, and its surest mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from autoft.planning import Plan
from autoft.report import by_class, calibrate


def answers(plan: Plan, validation: Any, test: Any) -> dict[str, Any]:
    """The entries `calibration`, `classes`, `confusion` and `mistakes` of the report; empty where they mean nothing.

    They do for a task that gives each row one of the labels: its scores are logits, one for each label.

    Args:
        plan: Of the search.
        validation: The winner's scores of the validation rows.
        test: Its scores of the test rows.
    """
    splits = plan.splits
    known = _labels(splits.validation, plan), _labels(splits.test, plan)
    if known[0] is None or known[1] is None or any(not _logits(said, plan) for said in (validation, test)):
        return {}
    calibration = calibrate(np.asarray(validation), known[0], np.asarray(test), known[1])
    texts = [_text(row) for row in _inputs(splits.test, plan).itertuples(index=False)]
    return {
        "calibration": calibration,
        **by_class(np.asarray(test), known[1], texts, plan.labels, calibration["temperature"]),
    }


def _labels(rows: pd.DataFrame, plan: Plan) -> Any:
    """The place of each row's label among the labels; None where a row has not just one of them."""
    label = str(plan.meta.get("label"))
    places = {str(name): place for place, name in enumerate(plan.labels)}
    if label not in rows or not places:
        return None
    found = [places.get(str(value), -1) for value in rows[label]]
    return None if -1 in found else np.asarray(found, dtype=np.intp)


def _logits(said: Any, plan: Plan) -> bool:
    return np.shape(said)[1:] == (len(plan.labels),) and bool(np.isfinite(np.asarray(said)).all())


def _inputs(rows: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    names = [plan.meta.get(key) for key in ("text", "text_pair")]
    return rows[[name for name in names if name and name in rows]]


def _text(values: Sequence[Any]) -> str:
    return " | ".join(map(str, values))
