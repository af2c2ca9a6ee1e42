"""`report.json`: everything that a finished search has to say, as plain data."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from autoft.records import Probe, SearchRecord, TrialRecord, TrialState, in_order, ranked
from autoft.report.files import replace
from autoft.report.markdown import render

LIBRARIES = ("autoft", "torch", "transformers", "accelerate", "ray", "optuna", "mlflow", "numpy", "scikit-learn")


def build(
    search: SearchRecord,
    trials: Sequence[TrialRecord],
    winner: int,
    *,
    test: float,
    interval: tuple[float, float],
    test_metrics: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, Any]],
    probes: Sequence[Probe] = (),
    seconds: float,
    model_dir: str | Path,
    rows: Mapping[str, int],
    labels: Sequence[str] = (),
    fingerprint: str = "",
    models: Mapping[str, Mapping[str, Any]] | None = None,
    pipeline: str | None = None,
    pairs: bool = False,
    notes: Sequence[str] = (),
    mlflow: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report of a finished search.

    Args:
        search: What was searched.
        trials: All trials.
        winner: Number of the trial that validation chose.
        test: The winner's objective on the test rows.
        interval: Its 95 % interval; NaN where it is not known.
        test_metrics: All metrics of the winner on the test rows.
        baselines: For each baseline at least its objective on the test rows, as `test`.
        probes: What the pretrained models knew before they were trained, the best first.
        seconds: Wall clock of the search.
        model_dir: Folder of the saved model.
        rows: Number of rows of `train`, `validation` and `test`.
        labels: Names of the classes, where the task has them.
        fingerprint: Fingerprint of the data.
        models: For each model's reference at least its number of blocks, as `blocks`.
        pipeline: Name of the matching `transformers` pipeline; by default the task's name; empty where there is none.
        pairs: The task takes pairs of texts.
        notes: More that a reader has to know, a sentence each.
        mlflow: Where MLflow keeps it: `tracking_uri`, `experiment`, `run_id`, `model_name`, `model_version`.

    Returns:
        Plain data that JSON can hold; a number that isn't finite stands as None.

    Raises:
        ValueError: There is no trial `winner`, or it has no report.
    """
    chosen = next((trial for trial in trials if trial.number == winner), None)
    best = chosen.best(search.direction) if chosen else None
    if chosen is None or best is None:
        raise ValueError(f"trial {winner} can't be the winner: it has no report")
    states = [trial.state for trial in trials]
    report = {
        "search": search.name,
        "search_id": search.id,
        "task": search.task,
        "pipeline": search.task if pipeline is None else pipeline,
        "pairs": pairs,
        "metric": search.metric,
        "direction": str(search.direction),
        "started": search.started,
        "seconds": seconds,
        "trials": {
            "total": len(trials),
            **{str(state): states.count(state) for state in TrialState if state is not TrialState.OPEN},
        },
        "winner": {
            "trial": winner,
            "params": chosen.config.as_dict(),
            "validation": best.value,
            "validation_metrics": dict(best.metrics),
            "samples": best.samples,
            "test": test,
            "test_interval": list(interval),
            "seconds": chosen.seconds,
        },
        "test_metrics": dict(test_metrics),
        "baselines": {name: dict(values) for name, values in baselines.items()},
        "probes": [asdict(probe) for probe in probes],
        "leaderboard": leaderboard(search, trials),
        "rows": dict(rows),
        "labels": [str(label) for label in labels],
        "fingerprint": fingerprint,
        "models": {ref: dict(info) for ref, info in (models or {}).items()},
        "notes": list(notes),
        "model_dir": str(model_dir),
        "mlflow": dict.fromkeys(("tracking_uri", "experiment", "run_id", "model_name", "model_version"))
        | dict(mlflow or {}),
        "versions": versions(),
    }
    plain: dict[str, Any] = _finite(report)
    return plain


def leaderboard(search: SearchRecord, trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """All trials, the best on validation first; those that failed or have no report come last, without a rank."""
    able = {trial.number for trial in ranked(trials, search.direction)}
    ordered = [(trial, trial.best(search.direction)) for trial in in_order(trials, search.direction)]
    return [
        {
            "rank": rank if trial.number in able else None,
            "trial": trial.number,
            "params": trial.config.as_dict(),
            "validation": best.value if best else None,
            "state": str(trial.state),
            "reason": trial.reason,
            "samples": trial.samples,
            "seconds": trial.seconds,
        }
        for rank, (trial, best) in enumerate(ordered, start=1)
    ]


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the result depends on."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:  # a checkout that is not installed
            continue
    return found


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Writes `report.json` and `report.md`; a crash leaves the old file or the new one, never half of one.

    Raises:
        ValueError: `report` holds a number that JSON can't.
        OSError: The folder can't be written to.
    """
    # report.json goes last: where it stands, the report is whole.
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    replace(folder / "report.md", render(report))
    replace(folder / "report.json", text)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
