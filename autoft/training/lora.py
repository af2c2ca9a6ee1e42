"""Low-rank adaptation: the pretrained weights stay, and small updates of them are trained.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv 2106.09685), with the layers of `peft`.
A model is adapted in place, so that a task sees the class it has built. At the end the updates are merged into the
weights, and what is saved is an ordinary model.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from autoft.errors import ModelError
from autoft.tasks.loading import fresh
from autoft.training import rng

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from autoft.records import TrialConfig


class Adapted:
    """A model with low-rank updates on its pretrained linear layers; they, and weights that are new, are trained.

    Args:
        model: As the task builds it; is changed.
        config: Gives rank, alpha, dropout, and the seed of the updates' first factor.

    Attributes:
        frozen: Names of the frozen parameters.

    Raises:
        ModelError: There are no pretrained linear layers.
    """

    def __init__(self, model: PreTrainedModel, config: TrialConfig) -> None:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel

        new = fresh(model)
        layers = _linear_layers(model, new)
        if not layers:
            raise ModelError(
                f"adapter: {type(model).__name__} has no pretrained linear layers for LoRA; set adapter to none"
            )
        heads = {id(parameter) for name, parameter in model.named_parameters() if name in new}
        adapted = LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules=layers,
        )
        with rng.isolated(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="fan_in_fan_out")  # peft finds out by itself what a layer is
            torch.manual_seed(config.seed)
            self._tuner: Any = LoraModel(model, adapted, "default")
        for parameter in model.parameters():  # peft has frozen all but its own
            if id(parameter) in heads:
                parameter.requires_grad_(True)
        self.frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]

    def merged(self) -> PreTrainedModel:
        """The model with the updates in its weights, and nothing of `peft` left."""
        model: PreTrainedModel = self._tuner.merge_and_unload(progressbar=False, safe_merge=True)
        return model


def _linear_layers(model: PreTrainedModel, new: frozenset[str]) -> list[str]:
    """Names of the pretrained linear layers, but for one that gives the scores of tokens."""
    from transformers.pytorch_utils import Conv1D

    out = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not out and f"{name}.weight" not in new
    ]
