"""What the trials of a search share, and how long each trains; light enough for the driver to import."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from autoft.records import Direction, TrialConfig
from autoft.tasks.carrying import dumps

if TYPE_CHECKING:
    from autoft.tasks.base import Task


@dataclass(frozen=True)
class Job:
    """Everything a worker needs besides the trial's own configuration; it pickles.

    Attributes:
        task: What is learnt.
        meta: What the task knows of the training rows, as a plain dictionary.
        data: Folder with `train.parquet` and `validation.parquet`, columns as the task wants them.
        metric: Name of the objective among the task's metrics.
        direction: Direction of the objective.
        rungs: Training samples seen at which trials are compared, rising.
        patience: Evaluations in a row without a new best after which a trial ends.
        threads: CPU threads of the trial.
        precision: Of the products of what is trained: `fp32` or `bf16`.
        eval_batch_size: Rows per batch where nothing is trained.
        cache: Folder for what the frozen parts of the models give, shared by all trials; empty: none is kept.
        synonyms: File of a word list, for augmentation with synonyms; empty: WordNet.
        cache_bytes: What that folder may hold. 0: nothing; None: a quarter of the free disk, 8 GiB at the most.
    """

    task: Task
    meta: Mapping[str, Any]
    data: str
    metric: str
    direction: Direction
    rungs: tuple[int, ...]
    patience: int
    threads: int
    precision: str = "fp32"
    eval_batch_size: int = 64
    cache: str = ""
    cache_bytes: int | None = None
    synonyms: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "task"}
        return _job, (dumps(self.task), values)

    def __post_init__(self) -> None:
        least = min(self.patience, self.threads, self.eval_batch_size, *self.rungs)
        if (
            least < 1
            or self.precision not in ("fp32", "bf16")
            or (self.cache_bytes is not None and self.cache_bytes < 0)
        ):
            raise ValueError(f"not a job that can be done: {self}")


def _job(task: bytes, values: Mapping[str, Any]) -> Job:
    return Job(task=pickle.loads(task), **values)  # noqa: S301 - a part of what is being unpickled anyway


def horizon(config: TrialConfig, rows: int) -> int:
    """Training samples seen at the end of a trial with `rows` training rows."""
    return config.epochs * rows


def milestones(config: TrialConfig, rows: int, rungs: tuple[int, ...]) -> tuple[int, ...]:
    """Training samples seen at which a trial is evaluated: the rungs and the ends of its epochs.

    Args:
        config: Gives the number of epochs.
        rows: Number of training rows.
        rungs: In training samples seen.

    Returns:
        Rising, without repeats; the last one is the horizon.
    """
    end = horizon(config, rows)
    epochs = range(rows, end + 1, rows)
    return tuple(sorted({*epochs, *(rung for rung in rungs if rung < end)}))
