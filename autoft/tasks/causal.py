"""Models that predict the next token from those before it: what language modelling and dialogue have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autoft.records import Direction
from autoft.tasks.base import IGNORED, Example, Meta, Scores, Task, inputs
from autoft.tasks.metrics_tokens import Tally, perplexity, tally, total, unigram

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig


class NextToken(Task):
    """The members that the tasks on the next token share; the examples of one have their tokens as `extra["ids"]`."""

    metrics: Mapping[str, Direction] = MappingProxyType(
        {"perplexity": Direction.MINIMIZE, "token_accuracy": Direction.MAXIMIZE, "loss": Direction.MINIMIZE}
    )
    evaluated_at_once = 8  # of a score for every word of the vocabulary
    pipeline = "text-generation"
    models = ("asset:bert-tiny",)
    head = "AutoModelForCausalLM"
    knobs = ("label_smoothing",)

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """`AutoModelForCausalLM`; an encoder such as BERT's is made to look back only."""
        from transformers import AutoConfig, AutoModelForCausalLM

        from autoft.tasks.loading import load_model

        known = AutoConfig.from_pretrained(path, trust_remote_code=False)
        overrides = {"is_decoder": True} if hasattr(known, "is_decoder") else {}
        model = load_model(AutoModelForCausalLM, path, config, **overrides)
        model.config.use_cache = False  # nothing is gained by it in training, and blocks then return more than states
        return model

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy, the mean over the tokens that count."""
        from autoft.tasks import losses

        return losses.of_classes(*_shifted(model, batch), config)

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """A tally of each example; see `autoft.tasks.metrics_tokens`."""
        return tally(*_shifted(model, batch))

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics_tokens`."""
        return perplexity(scores)

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """Each token as often as it occurs in training."""
        return {"unigram": unigram(*([one["extra"]["ids"] for one in some] for some in (known, examples)))}


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


def merge(scores: Scores, examples: Any) -> list[Tally]:
    """A tally of each row."""
    pairs = zip(scores, examples, strict=True)
    return [total(one for one, _ in row) for _, row in groupby(pairs, key=lambda pair: pair[1]["row"])]


def _shifted(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and the tokens that they should have foretold."""
    return model(**inputs(batch)).logits[:, :-1], batch["labels"][:, 1:]
