"""What training changes of a model: taken out of it, and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from autoft.training.checkpoint import Checkpoint


def changeable(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The trainable parameters and the buffers that are saved, by name; they are the model's own, not copies."""
    saved = model.state_dict().keys()
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}
    return tensors | {name: buffer for name, buffer in model.named_buffers() if name in saved}


def everything(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all parameters and of the buffers that are saved, by name."""
    saved = model.state_dict().keys()
    tensors = dict(model.named_parameters()) | {name: b for name, b in model.named_buffers() if name in saved}
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def load(model: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Copies `weights` into the parameters and buffers of the same names.

    Raises:
        ValueError: The model lacks one of them.
    """
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    if missing := sorted(set(weights) - set(own)):
        raise ValueError(f"these weights are another model's: {missing[0]} is not in {type(model).__name__}")
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)


def best(found: Checkpoint) -> dict[str, torch.Tensor]:
    """The best weights in a checkpoint; they stand there only once where they are the last ones too."""
    return found.tensors("best" if "best" in found.groups else "weights")
