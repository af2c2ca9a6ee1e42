"""Language modelling: each token from those before it.

The data are plain text (`.txt`, its paragraphs or else its lines), or a table with a column of texts. Long texts are
cut into windows. A decoder such as GPT-2's is what this is for; an encoder such as BERT's is made to look back only,
which it has to learn first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autoft.data.formats.plain import passages
from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import causal, texts
from autoft.tasks.base import Column, Example, Meta, Task
from autoft.tasks.metrics_tokens import perplexity, unigram

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores


class LanguageModelling(Task):
    """The next token of a text."""

    name = "language-modelling"
    summary = "the next token of a text, by a decoder"
    example = "autoft search --task language-modelling --data notes.txt"
    metrics: Mapping[str, Direction] = MappingProxyType(
        {"perplexity": Direction.MINIMIZE, "token_accuracy": Direction.MAXIMIZE, "loss": Direction.MINIMIZE}
    )
    evaluated_at_once = 8  # of a score for every word of the vocabulary
    pipeline = "text-generation"
    models = ("asset:bert-tiny",)
    formats = MappingProxyType({".txt": passages})
    head = "AutoModelForCausalLM"
    knobs = ("label_smoothing",)
    windows = True

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """The text."""
        return (Column(data.text),)

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """See `causal.build`."""
        return causal.build(path, config)

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """Windows that overlap by a quarter, so that a token always has some before it; each token counts once."""
        step = max(1, max_length - max_length // 4)
        examples = []
        for row, text in enumerate(texts.column(rows, meta["text"])):
            ids = causal.framed(tokenizer, str(text))
            extra = {"ids": ids[1:]}
            for start in range(0, max(1, len(ids) - (max_length - step)), step):
                window = ids[start : start + max_length]
                first = max_length - step if start else 1
                examples.append({**causal.example(window, first), "row": row, "extra": extra})
        return examples

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy, the mean over the tokens."""
        return causal.loss(model, batch, config)

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """A tally of each example; see `autoft.tasks.metrics_tokens`."""
        return causal.scores(model, batch)

    def merge(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> Scores:
        """A tally of each row."""
        return causal.merge(scores, examples)

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics_tokens`."""
        return perplexity(scores)

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """How well the model foretells each text."""
        return [{**perplexity([row]), "tokens": row["tokens"]} for row in scores]

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
