"""Text classification: a label of two or more for a text or a pair of texts, or any number of them.

The data are a table with a column of texts (and one of second texts, for pairs) and a column of labels, which may be
words or numbers. Where that column holds lists, or `data.separator` divides its texts, a row has any number of labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import metrics, texts
from autoft.tasks.base import Column, Example, Kind, Meta, Splits, Task, inputs

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores

_METRICS = ("macro_f1", "accuracy", "precision", "recall", "weighted_f1", "mcc", "roc_auc")


class TextClassification(Task):
    """One label, or any number of them, for each text."""

    name = "text-classification"
    summary = "labels for a text, or for a pair of texts: one of two or more, or any number of them"
    example = "autoft search --task text-classification --data reviews.csv --text review --label sentiment"
    metrics: Mapping[str, Direction] = MappingProxyType(
        dict.fromkeys(_METRICS, Direction.MAXIMIZE) | {"loss": Direction.MINIMIZE}
    )
    pipeline = "text-classification"
    head = "AutoModelForSequenceClassification"
    knobs = ("loss", "focal_gamma", "label_smoothing", "pooling", "augmentation", "augmentation_rate")
    losses = ("cross-entropy", "weighted", "focal")

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """The text, the second text where there is one, and the label or the labels."""
        pair = (Column(data.text_pair),) if data.text_pair else ()
        return (Column(data.text), *pair, Column(data.label, Kind.LABELS if data.separator else Kind.CLASSES))

    def stratify(self, data: DataSpec) -> str | None:
        """The label."""
        return None if data.separator else data.label

    def problems(self, splits: Splits, data: DataSpec) -> list[str]:
        """Too few classes, or labels that training never sees."""
        known = _labels(splits.train[data.label])
        if len(known) < 2:
            return [
                f"data.label: column {data.label!r} holds one class only ({_some(known)}); "
                f"classification needs at least two"
            ]
        found = []
        for part, rows in (("validation", splits.validation), ("test", splits.test)):
            if unseen := _labels(rows[data.label]) - known:
                found.append(
                    f"data.{part}: label {_some(unseen)} never occurs in training; "
                    f"add training rows with it or take it out of {part}"
                )
        return found

    def learn(self, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
        """The label names in sorted order, how many training rows have each, and whether a row may have several."""
        labels = sorted(_labels(train[data.label]), key=lambda label: (isinstance(label, str), label))
        several = isinstance(train[data.label].iloc[0], list)
        counts = Counter(label for cell in train[data.label] for label in (cell if several else [cell]))
        return {
            "labels": [str(label) for label in labels],
            "multi_label": several,
            "counts": [counts[label] for label in labels],
            "rows": len(train),
        }

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """`AutoModelForSequenceClassification` with as many outputs as there are labels."""
        kind = "multi_label_classification" if _several(meta) else "single_label_classification"
        return texts.classifier(path, config, problem_type=kind, **texts.named(meta["labels"]))

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """Token ids of the text, or of the pair, cut at `max_length`; the label's index, or 0.0 and 1.0 by label."""
        examples = texts.encoded(rows, tokenizer, meta, max_length)
        return texts.with_labels(examples, _targets(rows, meta)) if meta["label"] in rows else examples

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy, or one of its kin; the binary one of every label where there may be several."""
        from autoft.tasks import losses

        logits, counts = model(**inputs(batch)).logits, meta.get("counts")
        if not _several(meta):
            return losses.of_classes(logits, batch["labels"], config, counts)
        lacking = counts and [(meta["rows"] - count) / count for count in counts]
        return losses.of_label_sets(logits, batch["labels"], config, lacking)

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """Logits, shape (batch, labels)."""
        logits: Scores = model(**inputs(batch)).logits.float().cpu().numpy()
        return logits

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics`."""
        measured = metrics.multi_label if _several(meta) else metrics.classification
        return measured(np.asarray(scores), np.array([example["labels"] for example in examples]))

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """The likeliest label and its probability; or all labels from 0.5 on, and the probability of each."""
        found = self.probabilities(scores, meta)
        if _several(meta):
            return [
                {"labels": [label for label, chance in row.items() if chance > 0.5], "scores": row} for row in found
            ]
        likeliest = [max(row, key=lambda label: row[label]) for row in found]
        return [{"label": label, "score": row[label]} for label, row in zip(likeliest, found, strict=True)]

    def probabilities(self, scores: Scores, meta: Meta) -> list[dict[str, float]]:
        """By the softmax; or of each label by itself, where a row may have several."""
        logits = np.asarray(scores, dtype=np.float64)
        logs = -np.logaddexp(0.0, -logits) if _several(meta) else metrics.log_softmax(logits)
        return [dict(zip(meta["labels"], map(float, row), strict=True)) for row in np.exp(logs)]

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """Always the commonest label, or each as often as it occurs; and a logistic regression on TF-IDF of words."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        targets = np.array(_targets(train, meta))
        if _several(meta):
            share = targets.mean(axis=0).clip(1e-9, 1 - 1e-9)
            majority, model = np.log(share / (1 - share)), OneVsRestClassifier(LogisticRegression(C=10.0))
        else:
            share = np.bincount(targets, minlength=len(meta["labels"])) / len(targets)
            majority, model = np.log(share.clip(1e-9)), LogisticRegression(C=10.0)
        found: dict[str, Scores] = {"majority": texts.repeated(majority, len(other))}
        if words := texts.tfidf(train, other, meta):
            chances = model.fit(words[0], targets).predict_proba(words[1]).clip(1e-12, 1 - 1e-12)
            found["tfidf"] = np.log(chances / (1 - chances)) if _several(meta) else np.log(chances)
        return found


def _several(meta: Meta) -> bool:
    return bool(meta.get("multi_label"))


def _labels(column: Iterable[Any]) -> set[Any]:
    return {label for cell in column for label in (cell if isinstance(cell, list) else [cell])}


def _targets(rows: pd.DataFrame, meta: Meta) -> list[Any]:
    if _several(meta):
        return [[float(label in cell) for label in meta["labels"]] for cell in texts.column(rows, meta["label"])]
    index = {label: i for i, label in enumerate(meta["labels"])}
    return [index[str(label)] for label in rows[meta["label"]]]


def _some(labels: set[Any]) -> str:
    shown = sorted(map(repr, labels))
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
