"""A temperature that is a part of the model: whatever opens it gives calibrated probabilities.

Dividing the logits by a temperature (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) changes no
answer, only how sure of it the model says it is. Where the last layer is linear, dividing its weights and its bias does
the same, and then `transformers.pipeline`, ONNX and any server need no line of code for it.

Which layer that is depends on the architecture, and is found by trying: it is the one that, scaled, scales the logits.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from autoft.training.export import CARD, in_place_of
from autoft.training.predict import Predictor

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel

_TOLERANCE = 1e-5  # of the largest logit, or of 1 where that is smaller
# Large, for small logits pass through a tanh (Gemma caps them by one) nearly as they are; a power of two, which rounds
# nothing.
_PROBE = 64.0
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")


def calibrate(folder: Path, temperature: float, rows: pd.DataFrame) -> str:
    """Makes a saved model's logits those that it had, divided by `temperature`.

    `temperature` in the folder's `autoft.json` says what the model as it was trained has been divided by, so that a
    second call with the same one changes nothing, and one with another starts from the trained model again. The folder
    is replaced once the new one is whole and has been opened and checked.

    Args:
        folder: Where `autoft.training.export` saved the model.
        temperature: What the logits of the trained model are to be divided by.
        rows: A few rows with the model's columns, on which it is checked; of the validation split, say.

    Returns:
        Why the model was left as it is; empty where it is calibrated.

    Raises:
        ValueError: The temperature isn't above zero, or there are no rows.
        InputError: The folder isn't one that autoft saved a model to.
    """
    if not (math.isfinite(temperature) and temperature > 0) or not len(rows):
        raise ValueError(f"can't calibrate with the temperature {temperature} on {len(rows)} rows")
    predictor = Predictor.load(folder)
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    factor = float(card.get("temperature", 1.0)) / temperature
    if factor == 1.0:
        return ""
    batch = predictor.batch(rows)
    before = _logits(predictor.model, batch)
    if before is None or not _classifies(predictor.model):
        return "the model gives no probabilities of classes"
    head = _head(predictor.model, batch, before)
    if head is None:
        return "the model's logits are not the output of a linear layer, so no temperature can be a part of it"
    _scale(head, factor)
    _save(folder, predictor.model, card | {"temperature": temperature}, batch, before * factor)
    return ""


def _classifies(model: PreTrainedModel) -> bool:
    config = model.config
    return config.num_labels > 1 and getattr(config, "problem_type", None) != "regression"


def _logits(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """Shape (…, classes), float64; None where the model gives something else."""
    with torch.inference_mode():
        logits = getattr(model(**batch), "logits", None)
    return logits.double() if logits is not None and logits.shape[-1] == model.config.num_labels else None


def _head(model: PreTrainedModel, batch: Mapping[str, torch.Tensor], logits: torch.Tensor) -> nn.Linear | None:
    """The linear layer by whose scaling alone the logits are scaled; the model is as it was when this returns."""
    for module in reversed(list(model.modules())):
        if not isinstance(module, nn.Linear) or module.out_features != logits.shape[-1]:
            continue
        kept = [parameter.detach().clone() for parameter in module.parameters()]
        _scale(module, _PROBE)
        scaled = _logits(model, batch)
        with torch.no_grad():
            for parameter, value in zip(module.parameters(), kept, strict=True):
                parameter.copy_(value)
        if scaled is not None and _close(scaled, logits * _PROBE):
            return module
    return None


def _scale(layer: nn.Linear, factor: float) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(factor)


def _close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found - wanted).abs().max() <= _TOLERANCE * max(1.0, float(wanted.abs().max())))


def _save(
    folder: Path,
    model: PreTrainedModel,
    card: Mapping[str, Any],
    batch: Mapping[str, torch.Tensor],
    wanted: torch.Tensor,
) -> None:
    """Puts the scaled model in the place of the one in `folder`, once it is seen to give the logits `wanted`."""
    with in_place_of(folder) as draft:
        shutil.copytree(folder, draft, ignore=shutil.ignore_patterns(*_WEIGHTS))
        model.save_pretrained(draft)
        (draft / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False), encoding="utf-8")
        found = _logits(Predictor.load(draft).model, batch)
        if found is None or not _close(found, wanted):
            raise RuntimeError(f"{folder}: the calibrated model, saved and opened again, gives other logits")
