"""Whether a classifier's probabilities mean what they say, and the one number that mends most of it.

Temperature scaling: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks (ICML 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
HOTTEST = 10.0
"""Bounds of the temperature: 1/10 to 10. Nothing sensible lies beyond, and a fit to few rows would run away."""

_Floats = NDArray[np.floating[Any]]
_Labels = NDArray[np.integer[Any]] | Sequence[int]


def calibrate(
    validation_logits: _Floats, validation_labels: _Labels, test_logits: _Floats, test_labels: _Labels
) -> dict[str, Any]:
    """The temperature fitted on validation, and what it does on test: the entry `calibration` of the report.

    Args:
        validation_logits: Shape (n, classes).
        validation_labels: Shape (n,), class indices.
        test_logits: Shape (m, classes).
        test_labels: Shape (m,).

    Returns:
        `temperature`; `ece_before`, `ece_after` and `loss_before`, `loss_after` on test; `bins` (after) and
        `bins_before`; and `sentence`.

    Raises:
        ValueError: Labels and logits don't fit each other.
    """
    temperature = fit_temperature(validation_logits, validation_labels)
    logits, labels = _checked(test_logits, test_labels)
    before, after = reliability(logits, labels), reliability(logits, labels, temperature)
    ece = expected_calibration_error(before), expected_calibration_error(after)
    return {
        "temperature": temperature,
        "ece_before": ece[0],
        "ece_after": ece[1],
        "loss_before": _loss(logits, labels, 1.0),
        "loss_after": _loss(logits, labels, 1 / temperature),
        "bins": after,
        "bins_before": before,
        "sentence": _sentence(temperature, ece, len(validation_labels), len(labels)),
    }


def fit_temperature(logits: _Floats, labels: _Labels) -> float:
    """The temperature T for which softmax(logits / T) has the least log loss.

    The loss is convex in 1 / T (it is a log-sum-exp less a linear term), so its one minimum is found by a bounded
    scalar minimisation. Where every row is right the loss falls for ever as T falls: rows without a mistake don't say
    how often it errs, and T stays 1. So it does where the logits of every row are alike, and nothing depends on T.

    Args:
        logits: Shape (n, classes), n at least 1.
        labels: Shape (n,), class indices.

    Returns:
        In [1 / HOTTEST, HOTTEST].

    Raises:
        ValueError: Labels and logits don't fit each other, or a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    logits, labels = _checked(logits, labels)
    others = logits.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    lead = logits[np.arange(len(labels)), labels] - others.max(axis=1)
    if (lead >= 0).all() or not np.ptp(logits, axis=1).any():
        return 1.0
    found = minimize_scalar(
        lambda inverse: _loss(logits, labels, inverse),
        bounds=(1 / HOTTEST, HOTTEST),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(np.clip(1 / found.x, 1 / HOTTEST, HOTTEST))


def reliability(
    logits: _Floats, labels: _Labels, temperature: float = 1.0, bins: int = BINS
) -> list[dict[str, float | int | None]]:
    """The rows by how sure the model is of its answer: in each bin of confidence, how often it is right.

    Args:
        logits: Shape (n, classes).
        labels: Shape (n,).
        temperature: Divides the logits.
        bins: Number of bins of equal width over [0, 1]; the upper end of each belongs to it.

    Returns:
        For each bin `low`, `high`, `rows`, and the means `confidence` and `accuracy`, None where it is empty.
    """
    logits, labels = _checked(logits, labels)
    chances = probabilities(logits, temperature)
    confidence, right = chances.max(axis=1), logits.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, bins - 1)
    table: list[dict[str, float | int | None]] = []
    for i in range(bins):
        inside = place == i
        rows = int(inside.sum())
        table.append(
            {
                "low": float(edges[i]),
                "high": float(edges[i + 1]),
                "rows": rows,
                "confidence": float(confidence[inside].mean()) if rows else None,
                "accuracy": float(right[inside].mean()) if rows else None,
            }
        )
    return table


def expected_calibration_error(bins: Sequence[dict[str, Any]]) -> float:
    """Mean distance of confidence and accuracy over the bins of `reliability`, weighed by their rows; in [0, 1]."""
    filled = [entry for entry in bins if entry["rows"]]
    rows = sum(entry["rows"] for entry in filled)
    return float(sum(entry["rows"] * abs(entry["confidence"] - entry["accuracy"]) for entry in filled) / rows)


def probabilities(logits: _Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """softmax(logits / temperature), shape (n, classes)."""
    from scipy.special import softmax

    chances: NDArray[np.float64] = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    return chances


def _loss(logits: NDArray[np.float64], labels: NDArray[np.intp], inverse: float) -> float:
    """Mean cross-entropy, in nats, at the temperature 1 / `inverse`."""
    from scipy.special import logsumexp

    scaled = logits * inverse
    return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean())


def _checked(logits: _Floats, labels: _Labels) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    values, right = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.intp)
    if values.ndim != 2 or values.shape[1] < 2 or right.shape != values.shape[:1] or not len(right):
        raise ValueError(f"logits of shape {values.shape} don't fit labels of shape {right.shape}")
    if not np.isfinite(values).all():
        raise ValueError("logits that are not finite can't be calibrated")
    return values, right


def _sentence(temperature: float, ece: tuple[float, float], validation: int, test: int) -> str:
    sure = "too sure of itself" if temperature > 1 else "not sure enough" if temperature < 1 else "left as it is"
    return (
        f"A temperature of {temperature:.2f}, fitted on {validation:,} validation rows (the model is {sure}), takes "
        f"the expected calibration error on {test:,} test rows from {ece[0]:.3f} to {ece[1]:.3f} ({BINS} bins of equal "
        f"width)."
    )
