"""The training losses that a configuration can ask for, for class labels, several labels at once, and numbers.

Each is a sum over targets divided by their number. So the gradient of a batch is that of its parts, each weighed
by its share of the targets (`targets`), and accumulating it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from autoft.tasks.base import IGNORED

if TYPE_CHECKING:
    from autoft.records import TrialConfig


def of_classes(
    logits: torch.Tensor, labels: torch.Tensor, config: TrialConfig, counts: Sequence[int] | None = None
) -> torch.Tensor:
    """One class for each target: cross-entropy, weighted cross-entropy or the focal loss, with label smoothing.

    Args:
        logits: Shape (…, classes).
        labels: Shape (…), class indices, or -100 where there is no target.
        config: Gives `loss`, `focal_gamma` and `label_smoothing`.
        counts: Training rows of each class; the weighted loss needs them.

    Returns:
        A scalar; 0 where there is no target.

    Raises:
        ValueError: The weighted loss has no counts, or the loss is not one for classes.
    """
    logits, labels = logits.float().flatten(0, -2), labels.flatten()
    number = (labels != IGNORED).sum().clamp(min=1)
    if config.loss == "focal":
        return _focal(functional.cross_entropy(logits, labels, reduction="none"), config.focal_gamma).sum() / number
    weights = None
    if config.loss == "weighted":
        weights = balanced(counts).to(logits.device)
    elif config.loss not in (None, "cross-entropy"):
        raise ValueError(f"{config.loss!r} is no loss for classes")
    if weights is None and number == len(labels):
        return functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
    total = functional.cross_entropy(
        logits, labels, weight=weights, label_smoothing=config.label_smoothing, reduction="sum"
    )
    return total / number


def of_label_sets(
    logits: torch.Tensor, labels: torch.Tensor, config: TrialConfig, counts: Sequence[float] | None = None
) -> torch.Tensor:
    """Any number of labels for each row: binary cross-entropy of each label, weighted or focal, with label smoothing.

    Args:
        logits: Shape (rows, labels).
        labels: Shape (rows, labels), 0 or 1.
        config: Gives `loss`, `focal_gamma` and `label_smoothing`.
        counts: For each label the training rows without it per row with it; the weighted loss needs them.

    Returns:
        The mean over rows and labels.

    Raises:
        ValueError: The weighted loss has no counts, or the loss is not one for labels.
    """
    logits, wanted = logits.float(), labels.float()
    if config.loss == "focal":
        plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return _focal(plain, config.focal_gamma).mean()
    weights = None
    if config.loss == "weighted":
        if counts is None:
            raise ValueError("the weighted loss needs the labels' counts in the training rows")
        weights = torch.as_tensor(counts, dtype=torch.float32, device=logits.device)
    elif config.loss not in (None, "cross-entropy"):
        raise ValueError(f"{config.loss!r} is no loss for labels")
    smooth = config.label_smoothing
    return functional.binary_cross_entropy_with_logits(logits, wanted * (1 - smooth) + smooth / 2, pos_weight=weights)


def of_numbers(predictions: torch.Tensor, labels: torch.Tensor, config: TrialConfig) -> torch.Tensor:
    """The mean squared error, or the Huber loss.

    Args:
        predictions: Shape (rows,).
        labels: Shape (rows,).
        config: Gives `loss` and `huber_delta`.

    Raises:
        ValueError: The loss is not one for numbers, or the shapes differ.
    """
    if predictions.shape != labels.shape:  # torch would broadcast, and only warn
        raise ValueError(f"predictions of shape {tuple(predictions.shape)} for labels of {tuple(labels.shape)}")
    if config.loss == "huber":
        return functional.huber_loss(predictions.float(), labels.float(), delta=config.huber_delta)
    if config.loss not in (None, "mse"):
        raise ValueError(f"{config.loss!r} is no loss for numbers")
    return functional.mse_loss(predictions.float(), labels.float())


def balanced(counts: Sequence[int] | None) -> torch.Tensor:
    """Weights by which all classes count alike, and a training row 1 on average (scikit-learn's `balanced`).

    Args:
        counts: Training rows of each class.

    Returns:
        Shape (classes,).

    Raises:
        ValueError: There are no counts.
    """
    if not counts:
        raise ValueError("the weighted loss needs the classes' counts in the training rows")
    numbers = torch.as_tensor(counts, dtype=torch.float64)
    seen = numbers > 0
    weights = torch.where(seen, numbers.sum() / (seen.sum() * numbers.clamp(min=1)), 0.0)
    return weights.float()


def targets(example: Mapping[str, Any]) -> int:
    """What the loss of an example is a mean over: those of its labels by token, or target tokens, that count; else 1.

    Args:
        example: As a task encodes it. Whole numbers in a list are labels by token; a set of labels is floats.
    """
    labels = example.get("target_ids", example.get("labels"))
    if isinstance(labels, Sequence) and labels and isinstance(labels[0], int):
        return sum(label != IGNORED for label in labels)
    return 1


def _focal(plain: torch.Tensor, gamma: float) -> torch.Tensor:
    """(1 - p)^gamma times the cross-entropy -log p of each target (Lin et al. 2017, without its class weights)."""
    # Below a gamma of 1 the slope at p = 1 is infinite, and times 0 no number: hence the bound.
    return (1 - torch.exp(-plain)).clamp(min=1e-8) ** gamma * plain
