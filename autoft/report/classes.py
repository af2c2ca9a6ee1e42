"""A classifier by its classes: how it does on each, which it takes for which, and where it is surely wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoft.report.calibration import probabilities

SHOWN = 20
LONGEST = 2_000  # characters of a text in the report

_Floats = NDArray[np.floating[Any]]
_Labels = NDArray[np.integer[Any]] | Sequence[int]


def by_class(
    logits: _Floats,
    labels: _Labels,
    texts: Sequence[str],
    names: Sequence[str],
    temperature: float = 1.0,
) -> dict[str, Any]:
    """The entries `classes`, `confusion` and `mistakes` of the report.

    Args:
        logits: Shape (n, classes), uncalibrated, of the test rows.
        labels: Shape (n,), class indices.
        texts: The n texts.
        names: Of the classes.
        temperature: By which the confidence of the mistakes is calibrated.

    Returns:
        `classes`: for each, in the order of `names`, `label`, `precision`, `recall`, `f1` (0 where nothing is to divide
        by, as in the metrics) and `support`, its rows. `confusion`: rows by true class, columns by predicted.
        `mistakes`: at most `SHOWN`, the most confident first: `row`, `text`, `label`, `predicted`, `confidence`.

    Raises:
        ValueError: The lengths don't fit.
    """
    logits, right = np.asarray(logits), np.asarray(labels, dtype=np.intp)
    if logits.shape != (len(right), len(names)) or len(texts) != len(right):
        raise ValueError(
            f"logits {logits.shape}, {len(labels)} labels, {len(texts)} texts, {len(names)} names don't fit"
        )
    counts = confusion(logits, right)
    return {
        "classes": _classes(counts, names),
        "confusion": counts.tolist(),
        "mistakes": _mistakes(logits, right, texts, names, temperature),
    }


def confusion(logits: _Floats, labels: _Labels) -> NDArray[np.intp]:
    """Shape (classes, classes): how many rows of the class of the row were told to be of the class of the column."""
    classes = logits.shape[1]
    cells = np.asarray(labels, dtype=np.intp) * classes + logits.argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def _classes(counts: NDArray[np.intp], names: Sequence[str]) -> list[dict[str, Any]]:
    table = []
    for i, name in enumerate(names):
        right, real, told = int(counts[i, i]), int(counts[i].sum()), int(counts[:, i].sum())
        table.append(
            {
                "label": str(name),
                "precision": right / told if told else 0.0,
                "recall": right / real if real else 0.0,
                "f1": 2 * right / (real + told) if real + told else 0.0,
                "support": real,
            }
        )
    return table


def _mistakes(
    logits: _Floats, labels: NDArray[np.intp], texts: Sequence[str], names: Sequence[str], temperature: float
) -> list[dict[str, Any]]:
    predicted = logits.argmax(axis=1)
    confidence = probabilities(logits, temperature)[np.arange(len(labels)), predicted]
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:SHOWN]  # the earlier row of equals first
    return [
        {
            "row": int(row),
            "text": texts[row] if len(texts[row]) <= LONGEST else f"{texts[row][:LONGEST]}…",
            "label": str(names[labels[row]]),
            "predicted": str(names[predicted[row]]),
            "confidence": float(confidence[row]),
        }
        for row in surest
    ]
