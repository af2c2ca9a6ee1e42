"""Text classification: one label of two or more for a text, or for a pair of texts.

The data are a table with a column of texts (and one of second texts, for pairs) and a column of labels,
which may be words or numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import metrics
from autoft.tasks.base import Example, Meta, Splits

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores


class TextClassification:
    """One label for each text."""

    name = "text-classification"
    summary = "one label of two or more for a text, or for a pair of texts"
    example = "autoft search --task text-classification --data reviews.csv --text review --label sentiment"
    metrics: Mapping[str, Direction] = MappingProxyType(
        dict.fromkeys(("macro_f1", "accuracy", "precision", "recall", "mcc"), Direction.MAXIMIZE)
        | {"loss": Direction.MINIMIZE}
    )
    pipeline = "text-classification"
    models = ("asset:minilm-l6", "asset:bert-tiny")
    knobs = ("loss", "focal_gamma", "label_smoothing", "pooling", "augmentation", "augmentation_rate")
    losses = ("cross-entropy", "weighted", "focal")

    def space(self) -> Mapping[str, Any]:
        """Wide enough for small and large encoders, on a logarithmic scale where it matters."""
        return {
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "batch_size": [8, 16, 32],
            "epochs": {"low": 1, "high": 4},
            "freeze_depth": {"low": 0, "high": "all"},
            "dropout": [None, 0.0],
        }

    def columns(self, data: DataSpec) -> tuple[str, ...]:
        """The text, the second text where there is one, the label."""
        return (data.text, *((data.text_pair,) if data.text_pair else ()), data.label)

    def stratify(self, data: DataSpec) -> str | None:
        """The label."""
        return data.label

    def problems(self, splits: Splits, data: DataSpec) -> list[str]:
        """Too few classes, or labels that training never sees."""
        known = set(splits.train[data.label])
        if len(known) < 2:
            return [
                f"data.label: column {data.label!r} holds one class only ({_some(known)}); "
                f"classification needs at least two"
            ]
        found = []
        for part, rows in (("validation", splits.validation), ("test", splits.test)):
            if unseen := set(rows[data.label]) - known:
                found.append(
                    f"data.{part}: label {_some(unseen)} never occurs in training; "
                    f"add training rows with it or take it out of {part}"
                )
        return found

    def learn(self, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
        """The label names in sorted order, how often each stands in training, and which columns hold what."""
        labels = sorted(set(train[data.label]), key=lambda label: (isinstance(label, str), label))
        counts = train[data.label].value_counts()
        return {
            "labels": [str(label) for label in labels],
            "counts": [int(counts[label]) for label in labels],
            "text": data.text,
            "text_pair": data.text_pair,
            "label": data.label,
        }

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """`AutoModelForSequenceClassification` with as many outputs as there are labels."""
        from transformers import AutoModelForSequenceClassification

        from autoft.tasks.loading import load_model
        from autoft.tasks.pooling import override

        labels = meta["labels"]
        return load_model(
            AutoModelForSequenceClassification,
            path,
            config,
            num_labels=len(labels),
            problem_type="single_label_classification",
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
            **override(path, config),
        )

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """Token ids of the text, or of the pair, cut at `max_length`; the label's index."""
        texts = [str(text) for text in rows[meta["text"]]]
        pairs = [str(text) for text in rows[meta["text_pair"]]] if meta["text_pair"] else None
        encoded = tokenizer(texts, pairs, truncation=True, max_length=max_length)
        columns = {key: list(values) for key, values in encoded.items()}
        if meta["label"] in rows:
            index = {label: i for i, label in enumerate(meta["labels"])}
            columns["labels"] = [index[str(label)] for label in rows[meta["label"]]]
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy, or one of its kin."""
        from autoft.tasks import losses

        inputs = {key: value for key, value in batch.items() if key != "labels"}
        return losses.of_classes(model(**inputs).logits, batch["labels"], config, meta.get("counts"))

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """Logits, shape (batch, labels)."""
        inputs = {key: value for key, value in batch.items() if key != "labels"}
        logits: Scores = model(**inputs).logits.float().cpu().numpy()
        return logits

    def measure(self, scores: Scores, targets: Sequence[Any], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics.classification`."""
        return metrics.classification(scores, np.asarray(targets))

    def answers(self, scores: Scores, meta: Meta) -> list[dict[str, Any]]:
        """The likeliest label and its probability."""
        probabilities = np.exp(metrics.log_softmax(scores))
        best = probabilities.argmax(axis=1)
        return [
            {"label": meta["labels"][label], "score": float(row[label])}
            for label, row in zip(best, probabilities, strict=True)
        ]

    def baselines(self, train: pd.DataFrame, other: pd.DataFrame, meta: Meta) -> dict[str, Scores]:
        """Always the commonest label; and a logistic regression on TF-IDF of words and word pairs."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        index = {label: i for i, label in enumerate(meta["labels"])}
        targets = np.array([index[str(label)] for label in train[meta["label"]]])
        counts = np.bincount(targets, minlength=len(index))
        majority = np.tile(np.log(np.maximum(counts, 1e-9) / counts.sum()), (len(other), 1))
        found: dict[str, Scores] = {"majority": majority}
        words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10.0))
        try:
            words.fit(self._joined(train, meta), targets)
        except ValueError:  # no text has a word in it
            return found
        found["tfidf"] = np.log(np.maximum(words.predict_proba(self._joined(other, meta)), 1e-12))
        return found

    @staticmethod
    def _joined(rows: pd.DataFrame, meta: Meta) -> list[str]:
        texts = rows[meta["text"]].astype(str)
        joined = texts + " " + rows[meta["text_pair"]].astype(str) if meta["text_pair"] else texts
        return [str(text) for text in joined]


def _some(labels: set[Any]) -> str:
    shown = sorted(map(repr, labels))
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
