"""The end of a search in MLflow: the winner's model logged and registered, its scores, the report's files.

Every step first looks whether it has been done, so publishing again, after a cut or out of habit, changes
nothing. A search that goes on and finds another winner gets a second version of the same model; which version is
the champion, `registry.py` decides.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoft.errors import TrackingError
from autoft.records import SearchRecord, TrialRecord
from autoft.tracking import projection, replaced, saving
from autoft.tracking.finals import winner_key
from autoft.tracking.front import show_front
from autoft.tracking.registry import CONTENT, Measured, Registered, register
from autoft.tracking.runs import Runs
from autoft.tracking.target import Target
from autoft.tracking.verdict import final_verdict, plain_verdict

_MODEL_NAME = "model"  # of the logged model, as mlflow itself would call it


@dataclass(frozen=True)
class Published:
    """Where a search stands in MLflow; the URI is without credentials.

    Attributes:
        tracking_uri: Of the store.
        experiment: Its experiment's name.
        experiment_id: Its experiment's id.
        run_id: Its parent run.
        model_name: Name in the registry, None where nothing was registered.
        model_version: Version under that name.
        champion: Whether that version is the champion of its name; None where nothing was registered.
        champion_reason: Why it is, or is not, in a sentence.
    """

    tracking_uri: str
    experiment: str
    experiment_id: str
    run_id: str
    model_name: str | None
    model_version: str | None
    champion: bool | None = None
    champion_reason: str = ""

    @property
    def model_uri(self) -> str | None:
        """Address of the registered model, which gives the champion where this is it; None where there is none."""
        if self.model_name is None:
            return None
        return f"models:/{self.model_name}{'@champion' if self.champion else f'/{self.model_version}'}"


def publish(
    runs: Runs,
    search: SearchRecord,
    target: Target,
    records: Sequence[TrialRecord],
    report: Mapping[str, Any],
    *,
    finals: Sequence[TrialRecord] = (),
    entrants: Sequence[str] = (),
    model_dir: Path | None,
    model_name: str | None,
    pipeline: str,
    artifacts: Callable[[Published], Iterable[Path]],
    check: Callable[[], None] = lambda: None,
) -> Published:
    """Publish the result of a search on its parent run; see `Mirror.finish`.

    The runs of `finals` stand already; `entrants` says of each which entrant was trained.
    """
    client = runs.client
    winner = report.get("winner") or {}
    number = winner.get("trial")
    record = next((record for record in records if record.number == number), None)
    if record is not None:
        key = winner_key(winner, record, finals, entrants)
        runs.mark_winner(key)
        runs.set_parent(_said(runs, key, search, report), _scores(report, record, search))
    show_front(runs, records, report)
    registered: Registered | None = None
    if model_dir is not None:
        check()
        content = _digest(model_dir)
        model_id = _log_model(
            runs,
            model_dir,
            pipeline,
            params=projection.params(record) if record else {},
            tags={projection.SEARCH: search.id, CONTENT: content},
        )
        check()
        if model_name:
            registered = register(
                client,
                search,
                model_name,
                model_id,
                run_id=runs.parent.run_id,
                content=content,
                measured=Measured.of(search, report),
                verdict=final_verdict(search, report).replace("**", ""),
            )
    replaced.delete_models(client, search)
    published = Published(
        tracking_uri=target.public_uri,
        experiment=target.experiment,
        experiment_id=runs.experiment_id,
        run_id=runs.parent.run_id,
        model_name=model_name if registered else None,
        model_version=registered.version if registered else None,
        champion=registered.champion if registered else None,
        champion_reason=registered.decision if registered else "",
    )
    check()
    for path in artifacts(published):
        if path.is_dir():
            client.log_artifacts(runs.parent.run_id, str(path), path.name)
        else:
            client.log_artifact(runs.parent.run_id, str(path))
    return published


def _said(runs: Runs, winner: projection.Key, search: SearchRecord, report: Mapping[str, Any]) -> dict[str, str]:
    """What the parent run is tagged with, for those who look for runs rather than at one."""
    told = report.get("winner") or {}
    run = runs.child(winner)
    tags = {
        "autoft.verdict": plain_verdict(search, report)[:1000],
        "autoft.winner": str(told.get("trial")),
        "autoft.winner_run": run.run_id if run else "",
        "autoft.winner_model": str((told.get("params") or {}).get("model", "")),
        projection.ENTRANT: str(told.get("entrant") or ""),
        projection.SECONDS: f"{report['seconds']:.1f}" if report.get("seconds") else "",
    }
    compared = report.get("comparisons") or {}
    tags |= {f"autoft.against_{key}": str((entry or {}).get("verdict") or "") for key, entry in compared.items()}
    return {key: value for key, value in tags.items() if value}


def _scores(report: Mapping[str, Any], record: TrialRecord, search: SearchRecord) -> list[projection.Point]:
    # At the winner's samples and time: the same again whenever it is published.
    winner = report.get("winner") or {}
    low, high = winner.get("test_interval") or (None, None)
    values: dict[str, Any] = {f"test_{name}": value for name, value in (report.get("test_metrics") or {}).items()}
    values |= {
        "test_score": winner.get("test"),  # by this name whatever the metric, for queries over all tasks
        f"test_{search.metric}": winner.get("test"),
        f"test_{search.metric}_low": low,
        f"test_{search.metric}_high": high,
        f"best_val_{search.metric}": winner.get("validation"),
    }
    for name, scores in (report.get("baselines") or {}).items():
        values[f"baseline_{name}_test_{search.metric}"] = scores.get("test") if isinstance(scores, Mapping) else None
    lead = ((report.get("comparisons") or {}).get("plain") or {}).get("difference")
    values["lead_over_plain"] = round(lead, 6) if isinstance(lead, float) else lead
    time = projection.milliseconds(record.reports[-1].time if record.reports else record.started)
    return [
        projection.Point(projection.metric_name(key), float(value), time, record.samples)
        for key, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    ]


def _digest(model_dir: Path) -> str:
    weights = sorted(model_dir.glob("*.safetensors"))
    if not weights or not (model_dir / "config.json").is_file():
        raise TrackingError(f"{model_dir} holds no model: config.json and *.safetensors are expected")
    digest = hashlib.sha256()
    for path in (model_dir / "config.json", *weights):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _log_model(
    runs: Runs, model_dir: Path, pipeline: str, *, params: Mapping[str, str], tags: Mapping[str, str]
) -> str:
    """Log the model on the parent run unless one with these tags stands there; its id."""
    from mlflow.entities import LoggedModelOutput

    client, run_id = runs.client, runs.parent.run_id
    found = client.search_logged_models(
        [runs.experiment_id], " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    )
    ready = [model for model in found if model.status == "READY"]
    if ready:
        return str(ready[0].model_id)
    if found:  # cut off while its files were on their way
        model = found[0]
    else:
        model = client.create_logged_model(runs.experiment_id, _MODEL_NAME, run_id, dict(tags), dict(params))
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / _MODEL_NAME
        saving.save(model, run_id, model_dir, pipeline, saved)
        client.log_model_artifacts(model.model_id, str(saved))
    outputs = client.get_run(run_id).outputs
    if all(output.model_id != model.model_id for output in (outputs.model_outputs if outputs else ())):
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])  # a second time is an error
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)
