"""Running a model over many rows without training it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autoft.training.batching import Rows, collate, evaluation_batches

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
    feed: Callable[[Rows], AbstractContextManager[Mapping[str, torch.Tensor]]] | None = None,
) -> Scores:
    """The model's raw output for at least one row, in the order of the rows; leaves the model in eval mode.

    Args:
        task: Gives the scores.
        model: On any device.
        tokenizer: Pads.
        rows: What the model is run on.
        meta: Of the task.
        batch_size: Rows per batch.
        feed: Makes a batch of some of the rows, for as long as the model runs on it; None: as it is, on the model's
            device.

    Returns:
        Shape (n, …), as the task's `scores` gives them.
    """
    model.eval()
    batches = evaluation_batches(rows.lengths, batch_size)
    with torch.inference_mode():
        parts = []
        for batch in batches:
            with feed(batch) if feed else nullcontext(collated(rows, batch, tokenizer, model.device)) as inputs:
                parts.append(task.scores(model, inputs, meta))
    by_length = np.concatenate(parts)
    in_order = np.empty_like(by_length)
    in_order[np.concatenate(batches)] = by_length
    return in_order


def collated(
    rows: Encoded, batch: Rows, tokenizer: PreTrainedTokenizerBase, device: torch.device
) -> dict[str, torch.Tensor]:
    """Some of the rows as a padded batch on `device`."""
    tensors = collate([rows.examples[i] for i in batch], tokenizer)
    return {key: tensor.to(device) for key, tensor in tensors.items()}
