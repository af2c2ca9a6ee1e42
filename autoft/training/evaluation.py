"""Running a model over many rows without training it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autoft.training.batching import collate, evaluation_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores, Task
    from autoft.training.dataset import Encoded


def scores(
    task: Task,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Encoded,
    *,
    meta: Mapping[str, Any],
    batch_size: int,
) -> Scores:
    """The model's raw output for at least one row, in the order of the rows; leaves the model in eval mode.

    Returns:
        Shape (n, …), as the task's `scores` gives them.
    """
    model.eval()
    batches = evaluation_batches(rows.lengths, batch_size)
    with torch.inference_mode():
        parts = [
            task.scores(model, to_device(collate([rows.examples[i] for i in batch], tokenizer), model.device), meta)
            for batch in batches
        ]
    by_length = np.concatenate(parts)
    in_order = np.empty_like(by_length)
    in_order[np.concatenate(batches)] = by_length
    return in_order


def to_device(batch: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """The batch on `device`."""
    return {key: tensor.to(device) for key, tensor in batch.items()}
