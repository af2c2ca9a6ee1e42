"""Whether the suffix alone gives what the whole model gives: tried out on a real batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from autoft.training import rng
from autoft.training.evaluation import numbers
from autoft.training.freezing import set_train_mode
from autoft.training.prefix import Batch, Split

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from autoft.records import TrialConfig
    from autoft.tasks.base import Meta, Task

# What rounding may do, as a share of the largest number (or of 1) that is compared.
_TOLERANCE, _TOLERANCE_HALF = 1e-5, 1e-2


def difference(
    split: Split,
    task: Task,
    model: PreTrainedModel,
    meta: Meta,
    config: TrialConfig,
    *,
    whole: Batch,
    part: Batch,
    hidden: torch.Tensor,
) -> str:
    """What a task gets from the suffix on `part` and `hidden` that it doesn't get from the whole model on `whole`.

    Compared are the scores, and with dropout on the loss and every gradient: within 1e-5 in fp32, within 1e-2 in
    half precision, of the largest number in question or of 1.

    Returns:
        What differs, in a few words; empty where nothing does. The model is left in its training mode.
    """
    limit = _TOLERANCE if hidden.dtype == torch.float32 else _TOLERANCE_HALF
    try:
        with rng.isolated():
            with split.running(None):
                wanted = _outcome(task, model, meta, config, whole)
            with split.running(hidden):
                found = _outcome(task, model, meta, config, part)
    except Exception as error:  # a model or task that we know nothing about
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:200]
    for name, one in wanted.items():
        other = found.get(name)
        if other is None or one.shape != other.shape:
            return f"{name}: not the same shape"
        if one.numel() and not (gap := (one - other).abs().max()) <= limit * max(1.0, one.abs().max().item()):
            return f"{name}: {gap.item():.1e} apart"
    return "" if wanted.keys() == found.keys() else "not the same parameters are trained"


def _outcome(
    task: Task, model: PreTrainedModel, meta: Meta, config: TrialConfig, batch: Batch
) -> dict[str, torch.Tensor]:
    model.eval()
    with torch.no_grad():
        outcome = {"scores": numbers(task.scores(model, batch, meta))}
    set_train_mode(model)
    torch.manual_seed(0)
    loss = task.loss(model, batch, meta, config)
    outcome["loss"] = loss.detach()
    names, trained = zip(*((n, p) for n, p in model.named_parameters() if p.requires_grad), strict=True)
    gradients = torch.autograd.grad(loss, trained, allow_unused=True)
    return outcome | {
        f"gradient of {name}": gradient for name, gradient in zip(names, gradients, strict=True) if gradient is not None
    }
