"""Metrics of classification, with their degenerate cases settled: each is a finite number for any input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.floating[Any]]


def classification(scores: _Floats, labels: NDArray[np.integer[Any]]) -> dict[str, float]:
    """The usual metrics of single-label classification, as scikit-learn defines them.

    They are read off one confusion matrix: a bootstrap takes a thousand of these, and scikit-learn's
    own functions are 40 times slower on so few rows. A class without a prediction counts 0 in precision and
    F1 (`zero_division=0`); the macro averages run over the classes that stand in `labels` or in the predictions.

    Args:
        scores: Shape (n, classes), logits.
        labels: Shape (n,), class indices in [0, classes).

    Returns:
        Fractions in [0, 1] by name, `mcc` in [-1, 1], and `loss`, the mean cross-entropy in nats (log loss).
        `roc_auc` is one class against the rest, the mean over the classes that stand in `labels` and don't fill them.

    Raises:
        ValueError: `labels` is empty or its length differs from that of `scores`.
    """
    _refuse_misfits(scores, labels)
    classes = scores.shape[1]
    counts = np.bincount(labels * classes + scores.argmax(axis=1), minlength=classes**2).reshape(classes, classes)
    decided = from_margins(np.diag(counts), counts.sum(axis=1), counts.sum(axis=0))
    # Of two classes either one ranks the rows; the difference of their logits does it without rounding.
    ranking = scores[:, 1:] - scores[:, :1] if classes == 2 else log_softmax(scores)
    return {
        **{name: float(value) for name, value in decided.items()},
        "roc_auc": roc_auc(ranking, labels[:, None] == np.arange(classes)[-ranking.shape[1] :]),
        "loss": float(-log_softmax(scores)[np.arange(len(labels)), labels].mean()),
    }


def from_margins(right: NDArray[Any], real: NDArray[Any], predicted: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """The metrics of single-label classification that need no more of a confusion matrix than its margins.

    Any number of matrices at once, in the leading axes: a bootstrap has thousands of them.

    Args:
        right: Shape (..., classes), the diagonal: rows of each class that were told as such.
        real: Shape (..., classes), rows of each class; at least one in all.
        predicted: Shape (..., classes), rows told to be of each class.

    Returns:
        By name, shape (...); see `classification`.
    """
    right, real, predicted = (np.asarray(margin, dtype=np.float64) for margin in (right, real, predicted))
    seen = (real + predicted) > 0
    f1, rows, classes = ratio(2 * right, real + predicted), real.sum(axis=-1), seen.sum(axis=-1)
    return {
        "macro_f1": f1.sum(axis=-1) / classes,  # a class that isn't seen counts 0 in the sum, and not in the number
        "accuracy": right.sum(axis=-1) / rows,
        "precision": ratio(right, predicted).sum(axis=-1) / classes,
        "recall": ratio(right, real).sum(axis=-1) / classes,
        "weighted_f1": (f1 * real).sum(axis=-1) / rows,
        "mcc": _matthews(right.sum(axis=-1), real, predicted),
    }


def multi_label(scores: _Floats, labels: _Floats) -> dict[str, float]:
    """The same metrics where a row has any number of labels; a label is predicted from probability 0.5 on.

    The averages run over all labels, as scikit-learn's do.

    Args:
        scores: Shape (n, labels), logits.
        labels: Shape (n, labels), 1 where the label is right and 0 where it isn't.

    Returns:
        Fractions in [0, 1] by name; `accuracy` counts the rows that have all labels right; `mcc` in [-1, 1] is that of
        all decisions together; `loss` is the mean binary cross-entropy in nats.

    Raises:
        ValueError: `labels` is empty or its shape differs from that of `scores`.
    """
    _refuse_misfits(scores, labels)
    wanted, given = labels > 0.5, scores > 0
    right, real, predicted = ((wanted & given).sum(axis=0).astype(float), wanted.sum(axis=0), given.sum(axis=0))
    f1 = ratio(2 * right, real + predicted)
    agreed, total = float((wanted == given).sum()), float(wanted.size)
    both = np.array([real.sum(), total - real.sum()]), np.array([predicted.sum(), total - predicted.sum()])
    signed = np.where(wanted, scores, -scores).astype(np.float64)
    return {
        "macro_f1": float(f1.mean()),
        "accuracy": float((wanted == given).all(axis=1).mean()),
        "precision": float(ratio(right, predicted).mean()),
        "recall": float(ratio(right, real).mean()),
        "weighted_f1": float((f1 * real).sum() / max(real.sum(), 1)),
        "mcc": float(_matthews(np.array(agreed), *both)),
        "roc_auc": roc_auc(scores, wanted),
        "loss": float(np.logaddexp(0.0, -signed).mean()),
    }


def roc_auc(scores: _Floats, wanted: NDArray[np.bool_]) -> float:
    """Mean area under the ROC curve of the columns that hold both answers; 0.5, which is chance, without such.

    It is the share of pairs of a right and a wrong row that the scores put in the right order, ties counting half
    (Fawcett 2006), computed from ranks.

    Args:
        scores: Shape (n, columns); larger means more likely.
        wanted: Shape (n, columns).
    """
    from scipy.stats import rankdata

    positive = wanted.sum(axis=0)
    negative = len(wanted) - positive
    able = (positive > 0) & (negative > 0)
    if not able.any():
        return 0.5
    ranks = rankdata(scores[:, able], axis=0)
    above = np.where(wanted[:, able], ranks, 0.0).sum(axis=0) - positive[able] * (positive[able] + 1) / 2
    return float((above / (positive[able] * negative[able])).mean())


def log_softmax(scores: _Floats) -> NDArray[np.float64]:
    """Log-probabilities of logits; shape (n, classes) in and out."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def ratio(part: NDArray[np.float64], whole: NDArray[Any]) -> NDArray[np.float64]:
    """`part / whole`, 0 where there is nothing to divide by."""
    found: NDArray[np.float64] = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
    return found


def _refuse_misfits(scores: _Floats, labels: NDArray[Any]) -> None:
    if len(labels) == 0 or len(labels) != len(scores):
        raise ValueError(f"{len(scores)} scores don't fit {len(labels)} labels")


def _matthews(
    right: NDArray[np.float64], real: NDArray[np.float64], predicted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Matthews correlation for any number of classes (Gorodkin 2004); 0 where one side is constant.

    Args:
        right: Shape (...), rows that were told right.
        real: Shape (..., classes).
        predicted: Shape (..., classes).
    """
    n = real.sum(axis=-1)
    spread = np.sqrt((n**2 - (predicted**2).sum(axis=-1)) * (n**2 - (real**2).sum(axis=-1)))
    return ratio(np.asarray(right * n - (real * predicted).sum(axis=-1)), np.asarray(spread))
