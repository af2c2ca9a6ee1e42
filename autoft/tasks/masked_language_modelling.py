"""Masked language modelling: tokens that were taken out of a text, to make an encoder at home in a field.

The data are plain text (`.txt`, its paragraphs or else its lines), or a table with a column of texts. In training a
seventh of the tokens is drawn anew for every batch, as for BERT (Devlin et al. 2019); for an evaluation always the same
ones are masked.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.data.formats.plain import passages
from autoft.errors import ModelError
from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import causal, texts, words
from autoft.tasks.base import IGNORED, Column, Example, Meta, Task, inputs
from autoft.tasks.loading import tokenizer_of
from autoft.tasks.metrics_tokens import perplexity, tally, unigram

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores

_SHARE = 0.15  # of the tokens


class MaskedLanguageModelling(Task):
    """The tokens behind the masks."""

    name = "masked-language-modelling"
    summary = "missing tokens of a text, which makes an encoder at home in a field"
    example = "autoft search --task masked-language-modelling --data notes.txt"
    metrics: Mapping[str, Direction] = MappingProxyType(
        {"perplexity": Direction.MINIMIZE, "token_accuracy": Direction.MAXIMIZE, "loss": Direction.MINIMIZE}
    )
    evaluated_at_once = 8  # of a score for every word of the vocabulary
    pipeline = "fill-mask"
    formats = MappingProxyType({".txt": passages})
    head = "AutoModelForMaskedLM"
    knobs = ("label_smoothing",)
    windows = True

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """The text."""
        return (Column(data.text),)

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """`AutoModelForMaskedLM`.

        Raises:
            ModelError: Its tokenizer has no token for a mask.
        """
        from transformers import AutoModelForMaskedLM

        from autoft.tasks.loading import load_model

        model = load_model(AutoModelForMaskedLM, path, config)
        if tokenizer_of(model).mask_token_id is None:
            raise ModelError(f"model {config.model}: its tokenizer has no token for a mask; choose another model")
        return model

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """Windows one after another; all tokens count that are the text's own."""
        examples: list[Example] = []
        for row, text in enumerate(texts.column(rows, meta["text"])):
            for tokens, places in words.windows(tokenizer, str(text), max_length, overlap=0.0):
                ids = tokens["input_ids"]
                labels = [IGNORED if place is None else token for token, place in zip(ids, places, strict=True)]
                own = [token for token in labels if token != IGNORED]
                examples.append({**tokens, "labels": labels, "row": row, "extra": {"ids": own}})
        return examples

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy of the tokens drawn: 80 % of them masked, 10 % replaced by any other, 10 % as they are."""
        import torch

        from autoft.tasks import losses

        labels, device = batch["labels"], batch["labels"].device
        # Drawn on the CPU, where the trial's own random state is the same on every machine.
        draw, how, any_token = (torch.rand(labels.shape).to(device) for _ in range(3))
        draw = draw.masked_fill(labels == IGNORED, 2.0)
        chosen = (draw < _SHARE) | ((draw == draw.min()) & (draw < 2.0))  # at least one
        ids = batch["input_ids"].masked_fill(chosen & (how < 0.8), tokenizer_of(model).mask_token_id)
        other = (any_token * model.config.vocab_size).long()
        ids = torch.where(chosen & (how >= 0.9), other, ids)
        logits = model(**{**inputs(batch), "input_ids": ids}).logits
        return losses.of_classes(logits[chosen], labels[chosen], config)

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """A tally of the masked tokens of each example."""
        import torch

        labels = batch["labels"].cpu().numpy()
        chosen = torch.as_tensor(np.stack([_masked(row) for row in labels])).to(batch["labels"].device)
        ids = batch["input_ids"].masked_fill(chosen, tokenizer_of(model).mask_token_id)
        logits = model(**{**inputs(batch), "input_ids": ids}).logits
        return tally(logits, batch["labels"].masked_fill(~chosen, IGNORED))

    def merge(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> Scores:
        """A tally of each row."""
        return causal.merge(scores, examples)

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics_tokens`."""
        return perplexity(scores)

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """How well the model knows the masked tokens of each text."""
        return [{**perplexity([row]), "tokens": row["tokens"]} if row["tokens"] else {"tokens": 0} for row in scores]

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """Each token as often as it occurs in training, tried on the first window of each row."""
        masked = [np.array(one["labels"])[_masked(np.array(one["labels"]))].tolist() for one in examples]
        return {"unigram": unigram((one["extra"]["ids"] for one in known), masked)}


def _masked(labels: Any) -> Any:
    """Where an example is masked for an evaluation: at the same places wherever and whenever it is evaluated.

    Args:
        labels: Shape (tokens,), -100 where nothing may be masked.

    Returns:
        Shape (tokens,), bool; at least one token, where there is any.
    """
    able = np.flatnonzero(labels != IGNORED)
    seed = zlib.crc32(np.ascontiguousarray(labels[able], dtype=np.int64).tobytes())
    chosen = np.zeros(len(labels), dtype=bool)
    if len(able):
        chosen[np.random.default_rng(seed).permutation(able)[: max(1, round(_SHARE * len(able)))]] = True
    return chosen
