"""A saved model as an ONNX graph, and such a graph in the place of a model.

Exported by `torch.onnx` through `torch.export`: of the exporters there are, the one that its makers keep up with torch
and transformers. Batch and sequence stay free.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from autoft.errors import InputError
from autoft.training import products

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_PLACES = ("start_logits", "end_logits")
NEEDS = "needs the packages of an extra; run: pip install 'autoft[onnx]'"


class OnnxModel:
    """An ONNX graph that a task can run as if it were the model: called with a batch, it gives the outputs.

    Args:
        path: Of the graph.
        threads: CPU threads.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        self._outputs = [entry.name for entry in self._session.get_outputs()]
        self.device = torch.device("cpu")

    def __call__(self, **batch: torch.Tensor) -> SimpleNamespace:
        """The outputs by their name, float32."""
        found = self._session.run(self._outputs, {name: batch[name].cpu().numpy() for name in self._inputs})
        values = {name: torch.from_numpy(np.asarray(array)) for name, array in zip(self._outputs, found, strict=True)}
        return SimpleNamespace(**values)

    def eval(self) -> OnnxModel:
        """It is in no other mode."""
        return self


class _Positional(nn.Module):
    """The model with its inputs by place, and nothing but tensors for outputs: what an exporter understands."""

    def __init__(self, model: PreTrainedModel, inputs: list[str], outputs: tuple[str, ...]) -> None:
        super().__init__()
        self._model, self._inputs, self._outputs = model, inputs, outputs

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output = self._model(**dict(zip(self._inputs, tensors, strict=True)))
        return tuple(getattr(output, name) for name in self._outputs)


def outputs(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """Names of the outputs that say what the model says.

    Raises:
        InputError: It is a model that writes, or one for words that are missing.
    """
    if not model.can_generate():
        with torch.inference_mode():
            output = model(**batch)
        if getattr(output, _PLACES[0], None) is not None:
            return _PLACES
        logits = getattr(output, "logits", None)
        if logits is not None and logits.shape[-1] == model.config.num_labels:
            return ("logits",)
    raise InputError(
        f"onnx: a {type(model).__name__} writes texts or words; "
        f"what can be exported are models that label texts or words, give numbers, or find answers"
    )


def write_graph(model: PreTrainedModel, batch: Mapping[str, torch.Tensor], names: tuple[str, ...], path: Path) -> None:
    """Writes the model as an ONNX graph.

    Args:
        model: On the CPU, in eval mode.
        batch: What it reads, two rows at least: a size of one would be taken for a constant.
        names: Of the outputs; see `outputs`.
        path: Of the graph.

    Raises:
        InputError: The architecture is one that can't be exported, or the extra is not installed.
    """
    inputs = list(batch)
    axes = tuple({0: "batch", 1: "tokens"} for _ in inputs)
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise InputError(f"onnx: {NEEDS}") from None
    try:
        with _quiet(), _eager(model), products.plain(model):
            program: Any = torch.onnx.export(
                _Positional(model, inputs, names).eval(),
                tuple(batch.values()),
                dynamo=True,
                input_names=inputs,
                output_names=list(names),
                dynamic_shapes=(axes,),
                verbose=False,
            )
            program.save(str(path))
    except torch.onnx.OnnxExporterError as error:
        line = " ".join(str(error.__cause__ or error).split())[:200]
        raise InputError(f"onnx: torch can't export a {type(model).__name__}: {line}") from None


def quantize(path: Path, target: Path) -> None:
    """Writes the graph with weights of 8 bits; what goes into them is rounded to 8 bits while it runs.

    Weights keep to 7 bits: on processors without VNNI the sums of 8 by 8 bits overflow.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(path, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


@contextmanager
def _eager(model: PreTrainedModel) -> Iterator[None]:
    """Attention as plain products: torch can't always give the fused one's output back its shape (T5's, for one)."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps notes for those who write exporters off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
