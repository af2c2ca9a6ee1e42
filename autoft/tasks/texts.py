"""What tasks on texts and pairs of texts have in common: their tokens, their head, a bag-of-words baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autoft.tasks.base import Example, Meta

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig


def encoded(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int) -> list[Example]:
    """An example for each row: the tokens of its text, or of its two texts, cut at `max_length`."""
    texts = [str(text) for text in column(rows, meta["text"])]
    pairs = [str(text) for text in column(rows, meta["text_pair"])] if meta["text_pair"] else None
    columns = tokenizer(texts, pairs, truncation=True, max_length=max_length)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def column(rows: pd.DataFrame, name: str) -> list[Any]:
    """The cells of a column."""
    return list(rows[name])


def with_labels(examples: list[Example], labels: list[Any]) -> list[Example]:
    """The examples, each with its label."""
    return [{**example, "labels": label} for example, label in zip(examples, labels, strict=True)]


def classifier(path: str, config: TrialConfig, **overrides: Any) -> PreTrainedModel:
    """`AutoModelForSequenceClassification`: one vector for a text, and a fresh linear head on it.

    Args:
        path: Folder of the pretrained model.
        config: Of the trial.
        overrides: Entries of the model's config: `num_labels` and what goes with it.
    """
    from transformers import AutoModelForSequenceClassification

    from autoft.tasks import pooling
    from autoft.tasks.loading import load_model

    overrides |= pooling.override(path, config)
    return load_model(AutoModelForSequenceClassification, path, config, **overrides)


def named(labels: list[str]) -> Mapping[str, Any]:
    """Entries of a model's config that give its outputs names."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }


def tfidf(train: pd.DataFrame, other: pd.DataFrame, meta: Meta) -> tuple[Any, Any] | None:
    """TF-IDF of words and word pairs, learnt from `train`; None where no text has a word in it.

    Returns:
        Sparse matrices of shape (rows, words) for `train` and for `other`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    try:
        known = words.fit_transform(_joined(train, meta))
    except ValueError:
        return None
    return known, words.transform(_joined(other, meta))


def repeated(row: NDArray[Any], rows: int) -> NDArray[Any]:
    """The same scores for every row: what a model says that doesn't look at them."""
    import numpy as np

    return np.tile(row, (rows, *(1 for _ in row.shape)))


def _joined(rows: pd.DataFrame, meta: Meta) -> list[str]:
    texts = rows[meta["text"]].astype(str)
    joined = texts + " " + rows[meta["text_pair"]].astype(str) if meta["text_pair"] else texts
    return [str(text) for text in joined]
