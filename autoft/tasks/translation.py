"""Translation: a text in another language, by an encoder-decoder.

The data are a table with a column of texts and one of translations (`data.label`), or two files whose lines go
together: `talks.{en,de}` stands for `talks.en` and `talks.de`, and its columns are `en` and `de`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import seq2seq, texts
from autoft.tasks.base import Column, Example, Meta, Splits, Task
from autoft.tasks.metrics_text import lacking, signatures, translation

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores


class Translation(Task):
    """A text in another language."""

    name = "translation"
    summary = "a text in another language, by an encoder-decoder"
    example = "autoft search --task translation --data 'talks.{en,de}' --text en --label de"
    metrics: Mapping[str, Direction] = MappingProxyType(
        dict.fromkeys(("chrf", "bleu"), Direction.MAXIMIZE) | {"loss": Direction.MINIMIZE}
    )
    models = ("asset:bert-tiny",)
    evaluated_at_once = 16
    knobs = ("label_smoothing",)

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """The text and its translation."""
        return (Column(data.text), Column(data.label))

    def problems(self, splits: Splits, data: DataSpec) -> list[str]:
        """A library that is not there."""
        return lacking("sacrebleu")

    def learn(self, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
        """How much has to be written, in tokens; and how the scores are made, for the report."""
        targets = [str(text) for text in texts.column(train, data.label)]
        return {"longest": seq2seq.longest(targets), "notes": signatures()}

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """See `seq2seq.build`."""
        return seq2seq.build(path, config)

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """See `seq2seq.encode`."""
        return seq2seq.encode(rows, tokenizer, meta, max_length)

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy, the mean over the tokens of the translations."""
        return seq2seq.loss(model, batch, config)

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """See `seq2seq.scores`."""
        return seq2seq.scores(model, batch, meta)

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics_text.translation`."""
        wanted = [example["extra"]["reference"] for example in examples]
        return translation([row["text"] for row in scores], wanted) | seq2seq.loss_of(scores)

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """The translation."""
        return [{"translation_text": row["text"]} for row in scores]

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """The text as it is: names and numbers are the same in many languages."""
        return {"copy": [{"text": str(text)} for text in texts.column(other, meta["text"])]}
