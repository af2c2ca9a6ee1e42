"""A model in MLflow's format: in the flavour of its pipeline, and as `pyfunc`, which `mlflow models serve` runs.

A classifier of single texts is served by MLflow's own flavour, without autoft. Of every other model MLflow knows no
way to say what `autoft predict` says, or no way to run it at all: those are served by `autoft.tracking.pyfunc`.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from autoft.errors import TrackingError

_REQUIREMENTS = ("transformers", "torch", "safetensors", "accelerate")
_CARD, _LOADER = "autoft.json", "autoft.tracking.pyfunc"
_PLAIN = "text-classification"
_TEXT_TO_TEXT = ("token-classification", "text-generation")


def save(model: Any, run_id: str, model_dir: Path, pipeline: str, folder: Path) -> None:
    """Write a model in MLflow's format.

    Args:
        model: MLflow's entity of the logged model.
        run_id: The run that it belongs to.
        model_dir: Folder of the model.
        pipeline: Name of its `transformers` pipeline; empty where there is none.
        folder: The folder to be made.
    """
    card = _card(model_dir)
    ours = card if card and not _plain(card, pipeline) else None
    if pipeline:
        _save_pipeline(model, run_id, model_dir, pipeline, folder, signed=ours is None)
        if ours:
            # MLflow keeps the tokenizer elsewhere; with it and the card this is a model folder of autoft's.
            shutil.copytree(model_dir, folder / "model", dirs_exist_ok=True, ignore=_weights)
    else:
        shutil.copytree(model_dir, folder)
        _entry(model, run_id).save(str(folder / "MLmodel"))
    if ours:
        _serve_by_autoft(folder, "model" if pipeline else ".", ours)


def _save_pipeline(model: Any, run_id: str, model_dir: Path, pipeline: str, folder: Path, *, signed: bool) -> None:
    """Write the model in MLflow's flavour for pipelines.

    This is what `mlflow.transformers.log_model` does, without its detour through the global tracking URI,
    its lines on the screen and its second load of the model.
    """
    import mlflow.transformers

    from autoft.tasks.pipeline import load_pipeline, no_progress_bars

    signature = _signature(pipeline)
    with no_progress_bars():
        mlflow.transformers.save_model(
            # Not the folder itself: MLflow 3.17 reads a local checkpoint in a way that transformers 5.23 has given up.
            transformers_model=load_pipeline(model_dir, pipeline),
            path=str(folder),
            task=pipeline,
            mlflow_model=_entry(model, run_id),
            signature=signature,
            # Where there is an example but no signature, MLflow runs the model under an alarm signal.
            input_example=["A text to try the model on."] if signature and signed else None,
            pip_requirements=_requirements(),
        )
    # MLflow's guess at a licence is a link made of the name of a folder on this machine.
    (folder / "LICENSE.txt").unlink(missing_ok=True)


def _serve_by_autoft(folder: Path, data: str, card: Mapping[str, Any]) -> None:
    """Let MLflow's generic flavour answer through the model's task."""
    import yaml
    from mlflow import pyfunc
    from mlflow.models import Model

    entry = Model.load(str(folder / "MLmodel"))
    entry.flavors.pop(pyfunc.FLAVOR_NAME, None)
    pyfunc.add_to_model(entry, loader_module=_LOADER, data=data, python_env="python_env.yaml")
    entry.signature = _signature_of(card)
    entry.save(str(folder / "MLmodel"))
    (folder / "requirements.txt").write_text("\n".join(_requirements("autoft", "mlflow")) + "\n", encoding="utf-8")
    needs = {"python": platform.python_version(), "build_dependencies": ["pip"]}
    text = yaml.safe_dump({**needs, "dependencies": ["-r requirements.txt"]}, sort_keys=False)
    (folder / "python_env.yaml").write_text(text, encoding="utf-8")
    (folder / "conda.yaml").unlink(missing_ok=True)  # of the pipeline's flavour, which needs less


def _entry(model: Any, run_id: str) -> Any:
    from mlflow.models import Model

    return Model(
        artifact_path=model.artifact_location, run_id=run_id, model_uuid=model.model_id, model_id=model.model_id
    )


def _card(model_dir: Path) -> dict[str, Any] | None:
    """What autoft noted of the model; None for one that it didn't save."""
    try:
        card: dict[str, Any] = json.loads((model_dir / _CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise TrackingError(f"{model_dir / _CARD}: damaged; export the model again") from None
    return card


def _plain(card: Mapping[str, Any], pipeline: str) -> bool:
    """Whether MLflow's own flavour answers as the task does: with one label for one text."""
    meta = card["meta"]
    return bool(card["task"] == pipeline == _PLAIN and not meta.get("text_pair") and not meta.get("multi_label"))


def _weights(_: str, names: list[str]) -> list[str]:
    return [name for name in names if ".safetensors" in name or name == "config.json"]


def _signature(pipeline: str) -> Any:
    """What MLflow's generic `pyfunc` model takes and gives for a pipeline; None leaves it to MLflow."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    text = Schema([ColSpec(DataType.string)])
    if pipeline == _PLAIN:
        answer = Schema([ColSpec(DataType.string, name="label"), ColSpec(DataType.double, name="score")])
        return ModelSignature(inputs=text, outputs=answer)
    return ModelSignature(inputs=text, outputs=text) if pipeline in _TEXT_TO_TEXT else None


def _signature_of(card: Mapping[str, Any]) -> Any:
    """The columns that a model answers for, as a schema: one is nameless, so that a plain list of texts will do."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

    from autoft import tasks
    from autoft.data.splits import Kind

    columns = tasks.asked(tasks.get(card["task"]), card["meta"])
    types = [DataType.string if column.kind is Kind.TEXT else AnyType() for column in columns]
    if len(columns) == 1:
        return ModelSignature(inputs=Schema([ColSpec(types[0])]))
    return ModelSignature(inputs=Schema([ColSpec(t, name=c.name) for t, c in zip(types, columns, strict=True)]))


def _requirements(*more: str) -> list[str]:
    found = []
    for package in (*_REQUIREMENTS, *more):
        try:
            found.append(f"{package}=={version(package).partition('+')[0]}")  # 2.13.0+cpu is on no index
        except PackageNotFoundError:
            continue
    return found
