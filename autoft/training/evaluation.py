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
        batch_size: Rows per batch; fewer where the task wants fewer.
        feed: Makes a batch of some of the rows, for as long as the model runs on it; None: as it is, on the model's
            device.

    Returns:
        One entry for each example, as the task's `scores` gives them: an array of shape (n, …) where their shapes
        agree, else a list.

    Raises:
        ValueError: The task gives another number of scores than there are examples.
    """
    model.eval()
    batches = evaluation_batches(rows.lengths, min(batch_size, task.evaluated_at_once))
    with torch.inference_mode():
        parts: list[Any] = []
        for batch in batches:
            with feed(batch) if feed else nullcontext(collated(rows, batch, tokenizer, model.device)) as inputs:
                found = task.scores(model, inputs, meta)
            if len(found) != len(batch):
                raise ValueError(f"the task gives {len(found)} scores for a batch of {len(batch)} examples")
            parts.extend(found)
    in_order = [parts[i] for i in np.argsort(np.concatenate(batches))]
    shapes = {_shape(score) for score in in_order}
    return np.stack(in_order) if len(shapes) == 1 and None not in shapes else in_order


def finite(scores: Any) -> bool:
    """Whether all numbers in some scores, or in a single one, are finite."""
    if isinstance(scores, Mapping):
        return all(finite(value) for value in scores.values())
    if isinstance(scores, list | tuple):
        return all(finite(value) for value in scores)
    return not isinstance(scores, float | np.ndarray | np.floating) or bool(np.isfinite(scores).all())


def numbers(scores: Any) -> torch.Tensor:
    """All numbers in some scores one after another; shape (numbers,), float64."""
    if isinstance(scores, np.ndarray | int | float | np.number):
        return torch.as_tensor(np.asarray(scores, dtype=np.float64)).flatten()
    if isinstance(scores, Mapping):
        return numbers(list(scores.values()))
    found = [numbers(value) for value in scores if not isinstance(value, str)]
    return torch.cat([torch.empty(0, dtype=torch.float64), *found])


def _shape(score: Any) -> tuple[int, ...] | None:
    return np.shape(score) if isinstance(score, np.ndarray | float | np.number) else None


def collated(
    rows: Encoded, batch: Rows, tokenizer: PreTrainedTokenizerBase, device: torch.device
) -> dict[str, torch.Tensor]:
    """Some of the rows as a padded batch on `device`."""
    tensors = collate([rows.examples[i] for i in batch], tokenizer)
    return {key: tensor.to(device) for key, tensor in tensors.items()}
