"""Metrics of classification, from scikit-learn, with their degenerate cases settled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def classification(scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> dict[str, float]:
    """The usual metrics of single-label classification.

    A class without a prediction counts 0 in precision and F1, as scikit-learn does it with
    `zero_division=0`; the macro averages run over the classes that stand in `labels` or in the predictions.

    Args:
        scores: Shape (n, classes), logits.
        labels: Shape (n,), class indices in [0, classes).

    Returns:
        Fractions in [0, 1] by name, `mcc` in [-1, 1], and `loss`, the mean cross-entropy in nats.

    Raises:
        ValueError: `labels` is empty or its length differs from that of `scores`.
    """
    from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_recall_fscore_support

    if len(labels) == 0 or len(labels) != len(scores):
        raise ValueError(f"{len(scores)} scores don't fit {len(labels)} labels")
    predicted = scores.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    return {
        "macro_f1": float(f1),
        "accuracy": float(accuracy_score(labels, predicted)),
        "precision": float(precision),
        "recall": float(recall),
        "mcc": float(matthews_corrcoef(labels, predicted)),
        "loss": float(-log_softmax(scores)[np.arange(len(labels)), labels].mean()),
    }


def log_softmax(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Log-probabilities of logits; shape (n, classes) in and out."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
