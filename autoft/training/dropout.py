"""Dropout whose random numbers cost a fraction of PyTorch's.

On a CPU PyTorch draws a number of 53 random bits for every element, one after another; that is a visible share of a
training step (`benchmarks/engine.py` has measured 5 to 7 % of it). Sixteen bits are enough to tell whether an element
stays: four elements share what one took.
"""

from __future__ import annotations

import torch
from torch import nn

_LEVELS = 1 << 16
_LOWEST = torch.iinfo(torch.int64).min


class Dropout(nn.Dropout):
    """`nn.Dropout` with cheaper numbers on the CPU, from torch's generator; elsewhere it is as it was."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Any shape to the same shape."""
        dropped = round(self.p * _LEVELS)
        usual = input.device.type == "cpu" and input.is_floating_point() and not self.inplace
        if not self.training or not usual or not 0 < dropped < _LEVELS:
            return super().forward(input)
        return input * _noise(input, dropped)


def speed_up(model: nn.Module) -> None:
    """Gives the model's dropouts the cheaper numbers."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout


def _noise(like: torch.Tensor, dropped: int) -> torch.Tensor:
    """Zero for `dropped` of 65,536 elements, for the others what keeps the mean; shape and type of `like`."""
    count = like.numel()
    numbers = torch.empty((count + 3) // 4, dtype=torch.int64).random_(_LOWEST, None)
    kept = numbers.view(torch.int16)[:count].view(like.shape) >= dropped - _LEVELS // 2
    return kept.to(like.dtype).mul_(_LEVELS / (_LEVELS - dropped))
