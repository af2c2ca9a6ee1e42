"""What the trials of a search share, and how long each trains; light enough for the driver to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoft.records import Direction, TrialConfig

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
        eval_batch_size: Rows per batch where nothing is trained.
    """

    task: Task
    meta: Mapping[str, Any]
    data: str
    metric: str
    direction: Direction
    rungs: tuple[int, ...]
    patience: int
    threads: int
    eval_batch_size: int = 64

    def __post_init__(self) -> None:
        if self.patience < 1 or self.threads < 1 or self.eval_batch_size < 1 or any(rung < 1 for rung in self.rungs):
            raise ValueError(f"not a job that can be done: {self}")


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
