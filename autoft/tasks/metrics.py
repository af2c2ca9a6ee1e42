"""Metrics of classification, with their degenerate cases settled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def classification(scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> dict[str, float]:
    """The usual metrics of single-label classification, as scikit-learn defines them.

    They are read off one confusion matrix: a bootstrap takes a thousand of these, and scikit-learn's
    own functions are 40 times slower on so few rows. A class without a prediction counts 0 in precision and
    F1 (`zero_division=0`); the macro averages run over the classes that stand in `labels` or in the predictions.

    Args:
        scores: Shape (n, classes), logits.
        labels: Shape (n,), class indices in [0, classes).

    Returns:
        Fractions in [0, 1] by name, `mcc` in [-1, 1], and `loss`, the mean cross-entropy in nats.

    Raises:
        ValueError: `labels` is empty or its length differs from that of `scores`.
    """
    if len(labels) == 0 or len(labels) != len(scores):
        raise ValueError(f"{len(scores)} scores don't fit {len(labels)} labels")
    classes = scores.shape[1]
    counts = np.bincount(labels * classes + scores.argmax(axis=1), minlength=classes**2).reshape(classes, classes)
    right, real, predicted = np.diag(counts).astype(float), counts.sum(axis=1), counts.sum(axis=0)
    seen = (real + predicted) > 0
    return {
        "macro_f1": float(_ratio(2 * right, real + predicted)[seen].mean()),
        "accuracy": float(right.sum() / len(labels)),
        "precision": float(_ratio(right, predicted)[seen].mean()),
        "recall": float(_ratio(right, real)[seen].mean()),
        "mcc": _matthews(right.sum(), real.astype(float), predicted.astype(float)),
        "loss": float(-log_softmax(scores)[np.arange(len(labels)), labels].mean()),
    }


def log_softmax(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Log-probabilities of logits; shape (n, classes) in and out."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _ratio(part: NDArray[np.float64], whole: NDArray[Any]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    return ratio


def _matthews(right: float, real: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Matthews correlation for any number of classes (Gorodkin 2004); 0 where one side is constant."""
    n = real.sum()
    spread = np.sqrt((n**2 - (predicted**2).sum()) * (n**2 - (real**2).sum()))
    return float((right * n - (real * predicted).sum()) / spread) if spread > 0 else 0.0
