"""AdamW and the learning-rate schedule, as `transformers.Trainer` sets them up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel

    from autoft.records import TrialConfig

# The rule of `Trainer.get_decay_parameter_names`; a test holds the two together.
_NO_DECAY = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
_FUSED = ("cpu", "cuda", "mps", "xpu")
_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def parameter_groups(model: PreTrainedModel, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters with their names, those that decay first; biases and norms don't decay."""
    from transformers.trainer_pt_utils import get_parameter_names

    decayed = set(get_parameter_names(model, [torch.nn.LayerNorm], _NO_DECAY))
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"params": [item for item in trained if item[0] in decayed], "weight_decay": weight_decay},
        {"params": [item for item in trained if item[0] not in decayed], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build(model: PreTrainedModel, config: TrialConfig, steps: int) -> tuple[torch.optim.AdamW, LRScheduler]:
    """The optimiser and its schedule.

    Args:
        model: What is frozen of it is left out.
        config: Gives learning rate, weight decay, warm-up and schedule.
        steps: Optimiser steps up to the horizon.
    """
    from transformers import get_scheduler

    optimizer = torch.optim.AdamW(
        parameter_groups(model, config.weight_decay), lr=config.learning_rate, fused=model.device.type in _FUSED
    )
    scheduler: LRScheduler = get_scheduler(
        _SCHEDULES[config.schedule],
        optimizer,
        num_warmup_steps=math.ceil(config.warmup * steps),
        num_training_steps=steps,
    )
    return optimizer, scheduler


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimiser's state as tensors, by parameter and kind: `bert.pooler.dense.weight.exp_avg`."""
    return {
        f"{name}.{kind}": tensor.detach()
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
        for kind, tensor in optimizer.state[parameter].items()
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Puts back what `optimizer_tensors` gave."""
    by_parameter: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, kind = key.rpartition(".")
        by_parameter.setdefault(name, {})[kind] = tensor
    names = [name for group in optimizer.param_groups for name in group["param_names"]]
    state = optimizer.state_dict()
    state["state"] = {i: by_parameter[name] for i, name in enumerate(names) if name in by_parameter}
    optimizer.load_state_dict(state)


def scheduler_state(scheduler: LRScheduler) -> dict[str, Any]:
    """The schedule's position as plain data that JSON can hold; the shape itself follows from the configuration."""
    return {key: value for key, value in scheduler.state_dict().items() if key != "lr_lambdas"}


def load_scheduler_state(scheduler: LRScheduler, state: Mapping[str, Any]) -> None:
    """Puts back what `scheduler_state` gave, into the schedule and its optimiser."""
    scheduler.load_state_dict({**scheduler.state_dict(), **state})
    for group, rate in zip(scheduler.optimizer.param_groups, scheduler.get_last_lr(), strict=True):
        group["lr"] = rate
