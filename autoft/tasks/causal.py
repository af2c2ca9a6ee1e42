"""Models that predict the next token from those before it: what language modelling and dialogue have in common."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from autoft.tasks.base import IGNORED, Example, Scores, inputs
from autoft.tasks.metrics_tokens import Tally, tally, total

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig


def build(path: str, config: TrialConfig) -> PreTrainedModel:
    """`AutoModelForCausalLM`; an encoder such as BERT's is made to look back only."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from autoft.tasks.loading import load_model

    known = AutoConfig.from_pretrained(path, trust_remote_code=False)
    overrides = {"is_decoder": True} if hasattr(known, "is_decoder") else {}
    model = load_model(AutoModelForCausalLM, path, config, **overrides)
    model.config.use_cache = False  # nothing is gained by it in training, and blocks then return more than states
    return model


def framed(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of a text between the one that begins and the one that ends a text, where the tokenizer has them."""
    known: Any = tokenizer
    ids: list[int] = known(text, add_special_tokens=False)["input_ids"]
    begin = known.bos_token_id if known.bos_token_id is not None else known.cls_token_id
    return [*([begin] if begin is not None else []), *ids, *ending(tokenizer)]


def ending(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The token that ends a text, if there is one."""
    known: Any = tokenizer
    end = known.eos_token_id if known.eos_token_id is not None else known.sep_token_id
    return [] if end is None else [end]


def example(ids: list[int], first: int) -> Example:
    """An example whose tokens count from the place `first` on; the very first has nothing that it could follow from."""
    begin = max(first, 1)
    labels = [IGNORED] * begin + ids[begin:]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels[: len(ids)]}


def loss(model: PreTrainedModel, batch: Mapping[str, torch.Tensor], config: TrialConfig) -> torch.Tensor:
    """Cross-entropy of the tokens that count, their mean."""
    from autoft.tasks import losses

    logits, labels = _shifted(model, batch)
    counted = labels != IGNORED
    return losses.of_classes(logits[counted], labels[counted], config)


def scores(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> list[Tally]:
    """A tally of each example."""
    return tally(*_shifted(model, batch))


def merge(scores: Scores, examples: Any) -> list[Tally]:
    """A tally of each row."""
    pairs = zip(scores, examples, strict=True)
    return [total(one for one, _ in row) for _, row in groupby(pairs, key=lambda pair: pair[1]["row"])]


def _shifted(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and the tokens that they should have foretold."""
    return model(**inputs(batch)).logits[:, :-1], batch["labels"][:, 1:]
