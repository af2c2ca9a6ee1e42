"""Folders with a model as a search hands it over, but for the training."""

import json

from samples import KINDS, sample

from autoft import tasks
from autoft.records import TrialConfig
from autoft.spec import DataSpec
from autoft.testing import tiny_model
from autoft.training import export
from autoft.training.models import load_tokenizer


def saved(kind, folder, model=None, task=None):
    """A model with an untrained head as `export` leaves it, and rows for it."""
    rows, columns = sample(kind, 24)
    task = task or tasks.get(KINDS.get(kind, kind))
    meta = tasks.learn(task, rows, DataSpec(source="rows", **columns))
    config = TrialConfig(str(model or tiny_model(folder / "tiny", rows)), 1e-2, 8, 2, 1, max_length=24)
    built = task.build(config.model, meta, config)
    tokenizer = load_tokenizer(config.model)
    if built.config.pad_token_id is None:
        built.config.pad_token_id = tokenizer.pad_token_id
    built.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    card = {"format": export.FORMAT, "task": tasks.reference(task), "meta": meta, "max_length": 24, "extra": {}}
    (folder / "model" / export.CARD).write_text(json.dumps(card | {"config": config.as_dict()}), encoding="utf-8")
    return folder / "model", rows
