"""The Pareto front of a search in MLflow: what every trial costs, and which stand on the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import TrialRecord
from autoft.tracking import projection
from autoft.tracking.runs import Runs

FRONT = "autoft.front"
_METRICS = {"latency": "latency_ms"}


def show_front(runs: Runs, records: Sequence[TrialRecord], report: Mapping[str, Any]) -> None:
    """Log the cost of each trial on its run, and tag those on the front; nothing where there is one objective."""
    known = report.get("pareto")
    if not known:
        return
    against = known["axes"][1]
    costs = {point["trial"]: point["cost"] for point in known["points"]}
    runs.mark(FRONT, known["front"])
    for record in records:
        if record.number in costs:
            # At the trial's own time: the same again whenever it is published.
            time = projection.milliseconds(record.reports[-1].time)
            name = projection.metric_name(_METRICS.get(against, against))
            runs.add(record.number, projection.Point(name, float(costs[record.number]), time, record.samples))
