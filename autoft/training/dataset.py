"""The rows of a search as tokens, kept in the process: workers train many trials on the same data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autoft.data import read_part
from autoft.tasks import losses
from autoft.tasks.base import NOT_INPUTS
from autoft.training import augmentation
from autoft.training.models import ModelInfo, inspect, load_tokenizer

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

    from autoft.records import TrialConfig
    from autoft.tasks.base import Example, Task

PARTS = ("train", "validation")


@dataclass(frozen=True)
class Encoded:
    """One part of the data as tokens.

    Attributes:
        examples: n examples, as the task encodes them.
        lengths: Shape (n,), tokens of each.
    """

    examples: list[Example]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, examples: list[Example]) -> Encoded:
        """Encoded rows with their lengths."""
        return cls(examples, np.array([len(example["input_ids"]) for example in examples], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.examples)

    @cached_property
    def targets(self) -> list[int]:
        """What the loss of each example is a mean over."""
        return [losses.targets(example) for example in self.examples]

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same inputs in the same order, whatever their labels are."""
        inputs = [{key: value for key, value in example.items() if key not in NOT_INPUTS} for example in self.examples]
        text = json.dumps(inputs, sort_keys=True, default=lambda value: np.asarray(value).tolist())
        return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=16)
def model_info(ref: str) -> ModelInfo:
    """As `models.inspect` finds it, once per process."""
    return inspect(ref)


@lru_cache(maxsize=8)
def tokenizer(path: str) -> PreTrainedTokenizerBase:
    """The tokenizer of the model in the folder `path`."""
    return load_tokenizer(path)


def encoded(task: Task, meta: Mapping[str, Any], path: str, data: str, max_length: int) -> tuple[Encoded, Encoded]:
    """The training and the validation rows in the folder `data`, in the tokens of the model in `path`."""
    key = (path, data, max_length, task.name, json.dumps(meta, sort_keys=True, default=str), *_stamps(data))
    return _encoded(_Source(key, task, meta))


def augmented(task: Task, meta: Mapping[str, Any], path: str, config: TrialConfig, epoch: int, **where: Any) -> Encoded:
    """The training rows as they are in an epoch, in other words, in the tokens of the model in `path`.

    Args:
        task: Encodes them.
        meta: Of the task.
        path: Folder of the model.
        config: Says how they are augmented.
        epoch: Number of the epoch, from 0.
        where: `data`, the folder, `max_length`, and `synonyms`, a word list or nothing.

    Raises:
        InputError: What the augmentation needs isn't there.
    """
    train, _ = _tables(where["data"], _stamps(where["data"]))
    mask = str(getattr(tokenizer(path), "mask_token", None) or "")
    worded = augmentation.augmented(
        train, augmentation.text_columns(meta), config, epoch=epoch, mask=mask, synonyms=where["synonyms"]
    )
    return Encoded.of(task.encode(worded, tokenizer(path), meta, where["max_length"]))


@dataclass(frozen=True)
class _Source:
    # Tasks and `meta` travel by pickle and can't be compared or hashed: `key` says all that tells them apart.
    key: tuple[Any, ...]
    task: Task = field(compare=False)
    meta: Mapping[str, Any] = field(compare=False)


@lru_cache(maxsize=4)
def _encoded(source: _Source) -> tuple[Encoded, Encoded]:
    path, data, max_length = source.key[:3]
    train, validation = (
        Encoded.of(source.task.encode(rows, tokenizer(path), source.meta, max_length))
        for rows in _tables(data, _stamps(data))
    )
    return train, validation


@lru_cache(maxsize=2)
def _tables(data: str, stamps: tuple[int, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    train, validation = (read_part(Path(data), part) for part in PARTS)
    return train, validation


def _stamps(data: str) -> tuple[int, ...]:
    # A folder may be written anew under the same name.
    stats = [(Path(data) / f"{part}.parquet").stat() for part in PARTS]
    return tuple(number for stat in stats for number in (stat.st_mtime_ns, stat.st_size))
