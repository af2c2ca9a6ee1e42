"""From the checkpoints of a trial to a model folder that transformers opens, and nothing left over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft import tasks
from autoft.errors import SearchError
from autoft.training import checkpoint, models

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig
    from autoft.training.job import Job

CARD = "autoft.json"
FORMAT = 1


def best_weights(checkpoints: Path) -> dict[str, torch.Tensor]:
    """The weights with which a trial was best on validation, by name: what training changes of its model.

    Raises:
        SearchError: None of the trial's checkpoints is whole.
    """
    from autoft.training import weights

    found = checkpoint.load_latest(checkpoints)
    if found is None or not found.state["reports"]:
        raise SearchError(f"{checkpoints}: no whole checkpoint with an evaluated model; the trial has to run again")
    return weights.best(found)


def holds(checkpoints: Path, samples: int) -> bool:
    """Whether the weights with which a trial was best, after `samples`, are there, and whole."""
    # A damaged checkpoint gives way to the one before, which may not have seen the trial's best.
    found = checkpoint.load_latest(checkpoints)
    return found is not None and samples in {report["samples"] for report in found.state["reports"]}


def assemble(
    job: Job, config: TrialConfig, tensors: Mapping[str, torch.Tensor]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, int]:
    """The model that a configuration trains, with these weights; its tokenizer; and the tokens that a text is cut at.

    Args:
        job: What the trial was part of.
        config: Of the trial.
        tensors: Weights by name; those that are missing stay as they were pretrained.
    """
    from autoft.training import lora, rng, weights

    models.quiet()
    path = str(models.resolve(config.model))
    tokenizer: Any = models.load_tokenizer(path)
    with rng.isolated():
        model: Any = job.task.build(path, job.meta, config)
    adapted = lora.Adapted(model, config) if config.adapter == "lora" else None
    weights.load(model, tensors)
    if adapted is not None:
        model = adapted.merged()
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    length = models.usable_length(model, tokenizer, config.max_length)
    tokenizer.model_max_length = length  # so that `truncation=True` cuts where training did
    return model, tokenizer, length


def save(
    job: Job, config: TrialConfig, tensors: Mapping[str, torch.Tensor], target: Path, extra: Mapping[str, Any]
) -> None:
    """Saves weights as a model that `from_pretrained` and `transformers.pipeline` open.

    Beside the model lies `autoft.json` with the task, `meta`, the configuration and `extra`. A folder that is
    already in `target` is replaced once the new one is whole.
    """
    model, tokenizer, length = assemble(job, config, tensors)
    card = {
        "format": FORMAT,
        "task": tasks.reference(job.task),
        "meta": dict(job.meta),
        "config": config.as_dict(),
        "max_length": length,
        "extra": dict(extra),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    with in_place_of(target) as draft:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        (draft / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False), encoding="utf-8")


def keep_best(folder: Path) -> bool:
    """Drops all but the best weights and the state of a trial that will not be trained any further.

    Returns:
        Whether there are such weights; what is damaged is left as it is.
    """
    from autoft.training import weights

    found = checkpoint.load_latest(folder)
    if found is None or not found.state["reports"]:
        return False
    if found.groups != ("best",):
        checkpoint.save(folder, {"best": weights.best(found)}, found.state, keep=1)
    return True


@contextmanager
def in_place_of(target: Path) -> Iterator[Path]:
    """Where to write a folder that takes the place of `target` once the block ends well, and is gone if it doesn't."""
    draft = target.with_name(f".writing-{target.name}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        yield draft
        _replace(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace(new: Path, target: Path) -> None:
    old = target.with_name(f".old-{target.name}")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
