"""The optimiser and the learning-rate schedule, as `transformers.Trainer` sets them up where it has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel

    from autoft.records import TrialConfig

# The rule of `Trainer.get_decay_parameter_names`; a test holds the two together.
_NO_DECAY = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
_FUSED = ("cpu", "cuda", "mps", "xpu")
_SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "wsd": "warmup_stable_decay",
}


def parameter_groups(
    model: PreTrainedModel, weight_decay: float, rates: Mapping[torch.nn.Parameter, float] | None = None
) -> list[dict[str, Any]]:
    """The trainable parameters with their names, those that decay first; biases and norms don't decay.

    Args:
        model: What is frozen of it is left out.
        weight_decay: Of those that decay.
        rates: Learning rate of each parameter; None leaves it to the optimiser, one for all.
    """
    decayed = decaying(model)
    groups: dict[tuple[bool, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            spared, rate = name not in decayed, rates[parameter] if rates else 0.0
            group = {"params": [], "weight_decay": 0.0 if spared else weight_decay} | ({"lr": rate} if rates else {})
            groups.setdefault((spared, -rate), group)["params"].append((name, parameter))
    return [group for _, group in sorted(groups.items(), key=lambda item: item[0])]


def decaying(model: PreTrainedModel) -> set[str]:
    """Names of the parameters that penalties are for: neither biases nor norms."""
    from transformers.trainer_pt_utils import get_parameter_names

    return set(get_parameter_names(model, [torch.nn.LayerNorm], _NO_DECAY))


def layer_rates(
    learning_rate: float, decay: float, distances: Mapping[torch.nn.Parameter, int]
) -> dict[torch.nn.Parameter, float]:
    """Learning rates that fall by `decay` from the head to the last block, and from each block to the one before it.

    Args:
        learning_rate: Of the head.
        decay: The factor.
        distances: Steps of each parameter from the head, as `freezing.distances` counts them.
    """
    return {parameter: learning_rate * decay**distance for parameter, distance in distances.items()}


def build(
    model: PreTrainedModel, config: TrialConfig, steps: int, rates: Mapping[torch.nn.Parameter, float] | None = None
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """The optimiser and its schedule.

    Args:
        model: What is frozen of it is left out.
        config: Gives optimiser, learning rate, weight decay, warm-up and schedule.
        steps: Optimiser steps up to the horizon.
        rates: Learning rate of each parameter; None: the configuration's for all.
    """
    from transformers import get_scheduler

    groups = parameter_groups(model, config.weight_decay, rates)
    optimizer = _optimizer(groups, config, fused=model.device.type in _FUSED)
    warmup = math.ceil(config.warmup * steps)
    cooldown = max(1, min(math.ceil(config.cooldown * steps), steps - warmup))
    scheduler: LRScheduler = get_scheduler(
        _SCHEDULES[config.schedule],
        optimizer,
        num_warmup_steps=warmup,
        num_training_steps=steps,
        scheduler_specific_kwargs={"num_decay_steps": cooldown, "decay_type": "linear"}
        if config.schedule == "wsd"
        else None,
    )
    return optimizer, scheduler


def _optimizer(groups: list[dict[str, Any]], config: TrialConfig, *, fused: bool) -> torch.optim.Optimizer:
    match config.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=config.learning_rate, fused=fused)
        case "adam":
            return torch.optim.Adam(groups, lr=config.learning_rate, fused=fused)
        case "sgd":
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=fused)
        case "adafactor":
            from transformers import Adafactor

            # As the Trainer has it: the rate is the schedule's, on Adam's scale, not relative to the weights.
            adafactor: torch.optim.Optimizer = Adafactor(
                groups, lr=config.learning_rate, scale_parameter=False, relative_step=False
            )
            return adafactor
    raise ValueError(f"there is no optimiser {config.optimizer!r}")


def penalised(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """The trained parameters that the L1 penalty is for."""
    decayed = decaying(model)
    return [parameter for name, parameter in model.named_parameters() if parameter.requires_grad and name in decayed]


def add_l1(parameters: Iterable[torch.nn.Parameter], strength: float) -> None:
    """Adds the gradient of `strength` times the sum of the absolute weights to the gradients."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach().sign(), alpha=strength)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimiser's state as tensors, by parameter and kind: `bert.pooler.dense.weight.exp_avg`."""
    return {
        f"{name}.{kind}": torch.as_tensor(value).detach()  # Adafactor counts its steps with a plain number
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
        for kind, value in optimizer.state[parameter].items()
        if value is not None  # SGD's momentum, where there is none
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
