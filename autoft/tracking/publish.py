"""The end of a search in MLflow: the winner's model logged and registered, its scores, the report's files.

Every step first looks whether it has been done, so publishing again, after a cut or out of habit, changes
nothing. A search that goes on and finds another winner gets a second version of the same model.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.errors import TrackingError
from autoft.records import SearchRecord, TrialRecord
from autoft.tracking import description, projection, replaced, saving
from autoft.tracking.front import show_front
from autoft.tracking.runs import Runs
from autoft.tracking.target import Target

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
_MODEL_NAME = "model"  # of the logged model, as mlflow itself would call it
_CONTENT = "autoft.content"  # digest of weights and config: the model's identity


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
    """

    tracking_uri: str
    experiment: str
    experiment_id: str
    run_id: str
    model_name: str | None
    model_version: str | None


def publish(
    runs: Runs,
    search: SearchRecord,
    target: Target,
    records: Sequence[TrialRecord],
    report: Mapping[str, Any],
    *,
    model_dir: Path | None,
    model_name: str | None,
    pipeline: str,
    artifacts: Callable[[Published], Iterable[Path]],
    check: Callable[[], None] = lambda: None,
) -> Published:
    """Publish the result of a search on its parent run; see `Mirror.finish`."""
    client = runs.client
    winner = report.get("winner") or {}
    number = winner.get("trial")
    record = next((record for record in records if record.number == number), None)
    if record is not None:
        runs.mark_winner(record.number)
        runs.set_parent({"autoft.winner": str(number)}, _scores(report, record, search))
    show_front(runs, records, report)
    registered = None
    if model_dir is not None:
        check()
        content = _digest(model_dir)
        model_id = _log_model(
            runs,
            model_dir,
            pipeline,
            params=projection.params(record) if record else {},
            tags={projection.SEARCH: search.id, _CONTENT: content},
        )
        check()
        if model_name:
            registered = _register(
                runs,
                search,
                model_name,
                model_id,
                content=content,
                verdict=description.final_verdict(search, report).replace("**", ""),
            )
    replaced.delete_models(client, search)
    published = Published(
        tracking_uri=target.public_uri,
        experiment=target.experiment,
        experiment_id=runs.experiment_id,
        run_id=runs.parent.run_id,
        model_name=model_name if registered else None,
        model_version=registered,
    )
    check()
    for path in artifacts(published):
        client.log_artifact(runs.parent.run_id, str(path))
    return published


def _scores(report: Mapping[str, Any], record: TrialRecord, search: SearchRecord) -> list[projection.Point]:
    # At the winner's samples and time: the same again whenever it is published.
    winner = report.get("winner") or {}
    low, high = winner.get("test_interval") or (None, None)
    values: dict[str, Any] = {f"test_{name}": value for name, value in (report.get("test_metrics") or {}).items()}
    values |= {
        f"test_{search.metric}": winner.get("test"),
        f"test_{search.metric}_low": low,
        f"test_{search.metric}_high": high,
        f"best_val_{search.metric}": winner.get("validation"),
    }
    for name, scores in (report.get("baselines") or {}).items():
        values[f"baseline_{name}_test_{search.metric}"] = scores.get("test") if isinstance(scores, Mapping) else None
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


def _register(runs: Runs, search: SearchRecord, name: str, model_id: str, *, content: str, verdict: str) -> str:
    """Make the logged model a version of the registered model `name`, and the champion; the version."""
    from mlflow.exceptions import MlflowException

    client = runs.client
    try:
        client.create_registered_model(name, description=f"Models that autoft has found for {search.task}.")
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise
    quoted = name.replace("'", "''")
    found = client.search_model_versions(f"name = '{quoted}' AND tags.`{_CONTENT}` = '{content}'")
    versions = [version for version in found if version.tags.get(projection.SEARCH) == search.id]
    if versions:
        registered = max(versions, key=lambda version: int(version.version))
    else:
        registered = client.create_model_version(
            name,
            source=_source(client, model_id),
            run_id=runs.parent.run_id,
            tags={projection.SEARCH: search.id, _CONTENT: content},
            description=verdict,
            model_id=model_id,
        )
    # As mlflow.register_model notes it, for the model's page to link to its versions.
    noted = json.dumps([{"name": name, "version": registered.version}])
    client.set_logged_model_tags(model_id, {"mlflow.modelVersions": noted})
    client.set_registered_model_alias(name, CHAMPION, registered.version)
    return str(registered.version)


def _source(client: MlflowClient, model_id: str) -> str:
    # A database without a server looks an id up in the process's global store, which is another one or none; a
    # server takes nothing but ids where the files lie with it.
    if str(client.tracking_uri).startswith("http"):
        return f"models:/{model_id}"
    return str(client.get_logged_model(model_id).artifact_location)
