"""Text regression: a number for a text, or for a pair of texts (how alike two texts are, say).

The data are a table with a column of texts (and one of second texts, for pairs) and a column of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import texts
from autoft.tasks.base import Column, Example, Kind, Meta, Splits, Task, inputs
from autoft.tasks.metrics_regression import regression

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores


class TextRegression(Task):
    """One number for each text."""

    name = "text-regression"
    summary = "a number for a text, or for a pair of texts"
    example = "autoft search --task text-regression --data reviews.csv --text review --label stars"
    metrics: Mapping[str, Direction] = MappingProxyType(
        dict.fromkeys(("pearson", "spearman", "r2"), Direction.MAXIMIZE)
        | dict.fromkeys(("rmse", "mae", "loss"), Direction.MINIMIZE)
    )
    head = "AutoModelForSequenceClassification"
    knobs = ("loss", "huber_delta", "pooling", "augmentation", "augmentation_rate")
    losses = ("mse", "huber")

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """The text, the second text where there is one, and the number."""
        pair = (Column(data.text_pair),) if data.text_pair else ()
        return (Column(data.text), *pair, Column(data.label, Kind.NUMBER))

    def problems(self, splits: Splits, data: DataSpec) -> list[str]:
        """Numbers that are all the same."""
        if splits.train[data.label].nunique() > 1:
            return []
        return [f"data.label: column {data.label!r} holds one number only; regression needs at least two"]

    def learn(self, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
        """Mean and standard deviation of the numbers: the model learns how many deviations from the mean it is."""
        numbers = train[data.label].astype(float)
        return {"mean": float(numbers.mean()), "deviation": float(numbers.std(ddof=0))}

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """`AutoModelForSequenceClassification` with one output."""
        return texts.classifier(path, config, num_labels=1, problem_type="regression")

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """Token ids of the text, or of the pair, cut at `max_length`; the number as it stands in the table."""
        examples = texts.encoded(rows, tokenizer, meta, max_length)
        if meta["label"] not in rows:
            return examples
        return texts.with_labels(examples, [float(number) for number in texts.column(rows, meta["label"])])

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Squared or Huber's error, in deviations: whatever the unit is, the same learning rates are right."""
        from autoft.tasks import losses

        wanted = (batch["labels"] - meta["mean"]) / meta["deviation"]
        return losses.of_numbers(model(**inputs(batch)).logits.squeeze(-1), wanted, config)

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """Predictions in the unit of the table, shape (batch,)."""
        deviations = model(**inputs(batch)).logits.double().squeeze(-1).cpu().numpy()
        found: Scores = deviations * meta["deviation"] + meta["mean"]
        return found

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics_regression`."""
        return regression(np.asarray(scores), np.array([example["labels"] for example in examples]))

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """The number."""
        return [{"score": float(score)} for score in scores]

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """Always the mean; and a ridge regression on TF-IDF of words."""
        from sklearn.linear_model import Ridge

        found: dict[str, Scores] = {"mean": np.full(len(other), meta["mean"])}
        if words := texts.tfidf(train, other, meta):
            found["ridge"] = Ridge().fit(words[0], train[meta["label"]].astype(float)).predict(words[1])
        return found
