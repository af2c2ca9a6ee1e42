"""What MLflow shows of a trial: a record of the ledger as a run's name, params, points and tags.

Everything here is a function of the record alone, times included. Logging it twice is therefore the same
as logging it once: MLflow keeps one point per (name, value, time, step).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from autoft.records import SearchRecord, TrialRecord, TrialState
from autoft.words import compact, format_duration, frozen, short_name

KIND = "autoft.kind"
SEARCH = "autoft.search_id"
NAME = "autoft.search"  # the search's name, for people and their queries
TRIAL = "autoft.trial"
FINAL = "autoft.final"
ENTRANT = "autoft.entrant"
SECONDS = "autoft.seconds"
STATE = "autoft.state"
REASON = "autoft.reason"
SAMPLES = "autoft.samples"  # the last report that stands in MLflow: written after it, in the same batch
WINNER = "winner"
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
SOURCE: Mapping[str, str] = {"mlflow.source.name": "autoft", "mlflow.source.type": "LOCAL"}

# A pruned trial has done what it should, and MLflow draws KILLED with the red cross of FAILED: a healthy
# search would look like a field of wreckage. The tag `autoft.state` tells pruned from complete.
STATUS: Mapping[TrialState, str] = {
    TrialState.OPEN: "RUNNING",
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "FINISHED",
    TrialState.FAILED: "FAILED",
}


class Kind(StrEnum):
    """What a run stands for."""

    SEARCH = "search"
    TRIAL = "trial"
    FINAL = "final"  # a training for the final round: a finalist with another seed, or the plain recipe


class Key(NamedTuple):
    """Which child of a search a run is: its kind, and what tells it from the others of that kind."""

    kind: Kind
    name: str


class Point(NamedTuple):
    """A value of a curve; `time` is Unix time in milliseconds."""

    key: str
    value: float
    time: int
    step: int


def milliseconds(time: float) -> int:
    """Unix time in seconds as MLflow counts it."""
    return round(time * 1000)


def trial_key(record: TrialRecord) -> Key:
    """The key of a trial of the search."""
    return Key(Kind.TRIAL, str(record.number))


def final_key(record: TrialRecord) -> Key:
    """The key of a training for the final round.

    A search that goes on may hold another final round, whose numbers start from 0 again.
    """
    return Key(Kind.FINAL, f"{record.number}@{milliseconds(record.started)}")


def key_of(tags: Mapping[str, str]) -> Key | None:
    """The key of the run with these tags; None for a search's own."""
    if FINAL in tags:
        return Key(Kind.FINAL, tags[FINAL])
    return Key(Kind.TRIAL, tags[TRIAL]) if TRIAL in tags else None


def identity(key: Key, search: SearchRecord) -> dict[str, str]:
    """The tags by which a child can be found, by its search and by a person."""
    return {
        KIND: str(key.kind),
        FINAL if key.kind is Kind.FINAL else TRIAL: key.name,
        SEARCH: search.id,
        NAME: search.name,
        "autoft.task": search.task,
        "autoft.metric": search.metric,
    }


def run_name(record: TrialRecord, blocks: Mapping[str, int]) -> str:
    """Name of a trial's run: `#7 minilm-l6 lr 3.2e-4 bs 16 freeze 4`."""
    config = record.config
    return (
        f"#{record.number} {short_name(config.model)} lr {compact(config.learning_rate)} "
        f"bs {config.batch_size} freeze {frozen(config.as_dict(), blocks.get(config.model))}"
    )


def final_name(record: TrialRecord, entrant: str, blocks: Mapping[str, int]) -> str:
    """Name of a training for the final round: `final: #7 seed 1 minilm-l6 lr 3.2e-4 bs 16 freeze 4`."""
    recipe = run_name(record, blocks).partition(" ")[2]
    return f"final: {entrant_name(entrant)} seed {record.config.seed} {recipe}"


def entrant_name(entrant: str) -> str:
    """An entrant of the final round as people call it: `trial-7` → `#7`, `plain` → `plain recipe`."""
    if entrant.startswith("trial-"):
        return f"#{entrant.removeprefix('trial-')}"
    return {"plain": "plain recipe"}.get(entrant, entrant)


def params(record: TrialRecord) -> dict[str, str]:
    """The configuration as MLflow's params."""
    return {
        knob: "model's own" if value is None else str(value)[:6000] for knob, value in record.config.as_dict().items()
    }


def points(record: TrialRecord, after: int) -> list[Point]:
    """Points of the reports with more samples than `after`, step = samples seen. No NaN, no infinity.

    MLflow would store infinity as the largest float, which then ranks first.
    """
    found = []
    for report in record.reports:
        if report.samples <= after:
            continue
        values = {f"val_{name}": value for name, value in report.metrics.items()}
        values |= {"train_loss": report.train_loss, "seconds": report.seconds}
        time = milliseconds(report.time)
        found += [
            Point(metric_name(key), float(value), time, report.samples)
            for key, value in values.items()
            if math.isfinite(value)
        ]
    return found


def closing(record: TrialRecord, search: SearchRecord) -> list[Point]:
    """The best value of a trial that has ended, at the step where it was reached.

    None for a trial that failed: sorted by it, MLflow would show that one as the best.
    """
    able = record.state in (TrialState.COMPLETE, TrialState.PRUNED)
    best = record.best(search.direction) if able else None
    if best is None or not math.isfinite(best.value):
        return []
    return [Point(metric_name(f"best_val_{search.metric}"), best.value, milliseconds(best.time), best.samples)]


def note(record: TrialRecord, search: SearchRecord) -> str:
    """What the page of a trial that has ended says above all its numbers: how it ended, its best, and its cost."""
    if record.state is TrialState.OPEN:
        return ""
    best = record.best(search.direction)
    reason = " ".join(record.reason.split())
    said = [f"**{record.state}**" + (f": {reason}"[:1000] if reason else "")]
    if best is not None:
        said.append(f"best validation {search.metric} {best.value:.4g} at {best.samples:,} samples")
    said.append(f"{record.samples:,} samples and {format_duration(record.seconds)} in all")
    return " · ".join(said)


def tags(record: TrialRecord) -> dict[str, str]:
    """What is said of a trial beyond its numbers: how it ended and why, and what it has cost."""
    return {
        STATE: str(record.state),
        REASON: record.reason[:5000],
        SECONDS: f"{record.seconds:.1f}",
        SAMPLES: str(record.samples),
    }


def metric_name(name: str) -> str:
    """`name` with the characters that MLflow refuses replaced."""
    return re.sub(r"[^\w\-./ :]", "_", name)
