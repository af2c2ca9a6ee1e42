"""Matrix products in the library that is fast on this processor.

PyTorch hands the fp32 products of `nn.Linear` to MKL, which keeps its AVX-512 code for Intel's processors. On
others oneDNN, which comes with PyTorch as well, reaches more than twice as much (measured on an AMD EPYC of 2024: 260
against 115 GFLOP/s on one core). The numbers are those of fp32 arithmetic either way, summed in another order.

Which library it is depends on the processor alone, never on a measurement: a trial that goes on elsewhere on the
same kind of machine computes the same bits.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn


@cache
def helps() -> bool:
    """Whether this processor is one that MKL doesn't serve well: AVX-512, and not Intel's."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not available:
        return False
    try:
        vendor = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "GenuineIntel" not in vendor and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def speed_up(model: nn.Module) -> None:
    """Lets the model's linear layers on the CPU use oneDNN, where that helps; nothing else about them changes."""
    if not helps():
        return
    for module in model.modules():
        if type(module) is nn.Linear and _fits(module.weight):
            module.__class__ = Linear


class Linear(nn.Linear):
    """`nn.Linear` by oneDNN; whatever oneDNN isn't meant for goes PyTorch's way."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Shape (…, inputs) to (…, outputs)."""
        if not _fits(input) or not _fits(self.weight) or not input.numel():
            return super().forward(input)
        # Of rows with gaps between them (a pooler's first tokens) oneDNN would take a hundred times as long.
        rows = input.reshape(-1, input.shape[-1]).contiguous()
        result: torch.Tensor = _Product.apply(rows, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return result.view(*input.shape[:-1], -1)


class _Product(torch.autograd.Function):
    """rows @ weight.T + bias, with its derivatives."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(rows, weight)
        return _times(rows, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        for_rows, for_weight, for_bias = ctx.needs_input_grad
        gradient = gradient.contiguous()
        return (
            _times(gradient, weight.t()) if for_rows else None,
            _times(gradient.t(), rows.t()) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )


def _times(left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """The product of `left` and the transposed `right`, plus a bias."""
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return product


def _fits(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
