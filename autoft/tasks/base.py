"""The contract of a task: all that autoft has to know to fine-tune for it.

A task is one object with these methods; no base class is needed. It holds no state: what it learns
from the training data (the label names, say) travels as a plain dictionary, `meta`, which is
stored with the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from autoft.data.splits import Splits
from autoft.records import Direction
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig

    Scores = NDArray[np.floating[Any]]

__all__ = ["Example", "Meta", "Splits", "Task"]

Meta = Mapping[str, Any]
Example = dict[str, Any]


class Task(Protocol):
    """What autoft asks of a task.

    Attributes:
        name: As in `task: NAME` of a spec.
        summary: What it does, in one line.
        example: A command that a person can run.
        metrics: Names of the metrics with their direction; the first is the default objective.
        pipeline: Name of the matching `transformers` pipeline, and of MLflow's flavour.
        models: Pretrained models to choose from where the user names none.
        knobs: Those of `autoft.space.TASK_KNOBS` that the task obeys.
        losses: Names of the losses that it can train with, its own first; `autoft.tasks.losses` has them.
    """

    name: str
    summary: str
    example: str
    metrics: Mapping[str, Direction]
    pipeline: str
    models: tuple[str, ...]
    knobs: tuple[str, ...]
    losses: tuple[str, ...]

    def space(self) -> Mapping[str, Any]:
        """The default search space, as a user would write it."""

    def columns(self, data: DataSpec) -> tuple[str, ...]:
        """Columns that the table has to have; those that may not be empty."""

    def stratify(self, data: DataSpec) -> str | None:
        """Column whose values every split should hold in the same shares, if there is one."""

    def problems(self, splits: Splits, data: DataSpec) -> list[str]:
        """Everything that makes the data unfit, one line each."""

    def learn(self, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
        """What has to be known of the training rows, as plain data that JSON can hold: `meta`."""

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """The pretrained model in the folder `path`, in fp32, with a fresh head for this task."""

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """One example for each row: `input_ids` and friends as lists without padding, and `labels`.

        `rows` may lack the label column; the examples then have no `labels`.
        """

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Mean training loss of a padded batch, a scalar; `config` says which one."""

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """The model's raw output for a padded batch, shape (batch, …)."""

    def measure(self, scores: Scores, targets: Sequence[Any], meta: Meta) -> dict[str, float]:
        """All metrics, and `loss`.

        Args:
            scores: Shape (n, …), as `scores` gives them.
            targets: The `labels` of the n examples.
            meta: What `learn` gave.
        """

    def answers(self, scores: Scores, meta: Meta) -> list[dict[str, Any]]:
        """What a user gets to see for each row, as the `transformers` pipeline gives it."""

    def baselines(self, train: pd.DataFrame, other: pd.DataFrame, meta: Meta) -> dict[str, Scores]:
        """Scores of trivial models, by their name, for the rows of `other`."""
