"""Matrix products in the library, and the number format, that is fast on this processor.

PyTorch hands the fp32 products of `nn.Linear` to MKL, which keeps its AVX-512 code for Intel's processors. On
others oneDNN, which comes with PyTorch as well, reaches more than twice as much (measured on an AMD EPYC of 2024: 260
against 115 GFLOP/s on one core). The numbers are those of fp32 arithmetic either way, summed in another order.

Where the processor multiplies bf16 numbers by itself, that is as fast again (495 GFLOP/s there), for the layers that
are trained: their inputs and weights are rounded for the products alone, and weights, sums and all else stay fp32.
Autocast rounds the attention as well, for whose backward pass PyTorch has no fast code in bf16 on a CPU.

Which library it is depends on the processor alone, never on a measurement: a trial that goes on elsewhere on the
same kind of machine computes the same bits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

FP32, BF16 = "fp32", "bf16"
_NARROW = 16  # outputs


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
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    switch = hasattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision")
    return "GenuineIntel" not in vendor and switch and not tiles


def speed_up(model: nn.Module, precision: str = FP32) -> None:
    """Lets the model's linear layers on the CPU use oneDNN, where that helps; nothing else about them changes.

    Frozen layers compute in fp32 with any precision: what they give has to be the same whether it is computed once for
    all trials or at every step, in other batches. So does a narrow layer, a head, whose products cost nothing.

    Args:
        model: Frozen as far as it will be.
        precision: Of the products of the trained layers, `fp32` or `bf16`.
    """
    for module in model.modules():
        if type(module) is nn.Linear and _fits(module.weight):
            if precision == BF16 and module.weight.requires_grad and module.out_features >= _NARROW:
                module.__class__ = RoundedLinear
            elif helps():
                module.__class__ = Linear


@contextmanager
def plain(model: nn.Module) -> Iterator[None]:
    """Takes `speed_up` back, for as long as the block runs: for those that know PyTorch's own layers alone."""
    layers: list[tuple[nn.Module, type[nn.Module]]] = [
        (module, type(module)) for module in model.modules() if isinstance(module, Linear | RoundedLinear)
    ]
    for module, _ in layers:
        module.__class__ = nn.Linear
    try:
        yield
    finally:
        for module, own in layers:
            module.__class__ = own


class Linear(nn.Linear):
    """`nn.Linear` by oneDNN; whatever oneDNN isn't meant for goes PyTorch's way."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Shape (…, inputs) to (…, outputs)."""
        if not _fits(input) or not _fits(self.weight) or not input.numel():
            return super().forward(input)
        # Of rows with gaps between them (a pooler's first tokens) oneDNN would take a hundred times as long.
        rows = input.reshape(-1, input.shape[-1]).contiguous()
        result: torch.Tensor
        if torch.is_grad_enabled():
            result = _Product.apply(rows, self.weight, self.bias)  # type: ignore[no-untyped-call]
        else:
            with _onednn():
                result = nn.functional.linear(rows, self.weight, self.bias)
        return result.view(*input.shape[:-1], -1)


class RoundedLinear(nn.Linear):
    """`nn.Linear` whose products take bf16 numbers; fp32 goes in and comes out."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Shape (…, inputs) to (…, outputs)."""
        if not _fits(input) or not _fits(self.weight) or not input.numel():
            return super().forward(input)
        rows = input.reshape(-1, input.shape[-1])
        product: torch.Tensor = _RoundedProduct.apply(rows, self.weight)  # type: ignore[no-untyped-call]
        result = product if self.bias is None else product.add_(self.bias)
        return result.view(*input.shape[:-1], -1)


class _RoundedProduct(torch.autograd.Function):
    """rows @ weight.T of rounded numbers, with its derivatives by rounded numbers."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        rows, weight = rows.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(rows, weight)
        return nn.functional.linear(rows, weight).float()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        gradient = gradient.bfloat16()
        for_rows, for_weight = ctx.needs_input_grad
        return (
            (gradient @ weight).float() if for_rows else None,
            (gradient.t() @ rows).float() if for_weight else None,
        )


class _Product(torch.autograd.Function):
    """rows @ weight.T + bias, with its derivatives."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(rows, weight)
        with _onednn():
            return nn.functional.linear(rows, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        for_rows, for_weight, for_bias = ctx.needs_input_grad
        with _onednn():
            return (
                gradient @ weight if for_rows else None,
                gradient.t() @ rows if for_weight else None,
                gradient.sum(0) if for_bias else None,
            )


@dataclass
class _Switch:
    """Who has the switch on: it is the whole process's, and a server answers in many threads."""

    users: int = 0
    before: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


_switch = _Switch()


@contextmanager
def _onednn() -> Iterator[None]:
    """Sends fp32 products to oneDNN, here and for the moment alone.

    The switch allows bf16 within a product, which oneDNN makes use of only on a processor with tiles (AMX), and `helps`
    knows none of those. Attention is many small products, which oneDNN makes ten times slower: it must not see this.
    """
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    with _switch.lock:
        if not _switch.users:
            _switch.before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
        _switch.users += 1
    try:
        yield
    finally:
        with _switch.lock:
            _switch.users -= 1
            if not _switch.users:
                matmul.fp32_precision = _switch.before


def _fits(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
