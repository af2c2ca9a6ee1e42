"""Metrics of models that predict tokens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import torch

_MOST = 700.0  # nats; e to the power of more is no finite number


class Tally(TypedDict):
    """What a model made of the tokens of an example, or of a row.

    `nll` is the sum of their negative log-likelihoods in nats, `tokens` their number, and `right` the number of
    those that the model held for the likeliest.
    """

    nll: float
    tokens: int
    right: int


def tally(logits: torch.Tensor, labels: torch.Tensor) -> list[Tally]:
    """One tally for each row of a batch.

    Args:
        logits: Shape (batch, tokens, vocabulary).
        labels: Shape (batch, tokens), -100 where a token doesn't count.
    """
    import torch

    found: list[Tally] = []
    for row, wanted in zip(logits, labels, strict=True):
        counted = wanted != -100  # row by row: all of a batch in fp64 would take gigabytes
        chosen, targets = row[counted].double(), wanted[counted]
        nll = torch.nn.functional.cross_entropy(chosen, targets, reduction="sum").item() if len(targets) else 0.0
        right = int((chosen.argmax(dim=-1) == targets).sum())
        found.append({"nll": nll, "tokens": len(targets), "right": right})
    return found


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum of some tallies."""
    found: Tally = {"nll": 0.0, "tokens": 0, "right": 0}
    for one in tallies:
        found = {
            "nll": found["nll"] + one["nll"],
            "tokens": found["tokens"] + one["tokens"],
            "right": found["right"] + one["right"],
        }
    return found


def perplexity(tallies: Iterable[Tally]) -> dict[str, float]:
    """The metrics over all tokens together, so that a long row weighs more than a short one.

    Returns:
        `perplexity`, e to the power of `loss`; `token_accuracy` in [0, 1]; `loss`, nats for a token.

    Raises:
        ValueError: There are no tokens.
    """
    whole = total(tallies)
    if not whole["tokens"]:
        raise ValueError("there are no tokens to be predicted")
    loss = whole["nll"] / whole["tokens"]
    return {
        "perplexity": math.exp(min(loss, _MOST)),
        "token_accuracy": whole["right"] / whole["tokens"],
        "loss": loss,
    }


def unigram(known: Iterable[Sequence[int]], rows: Iterable[Sequence[int]]) -> list[Tally]:
    """What a model makes of some rows that only knows how often each token occurred in training.

    Every token counts once more than it occurred, those that never did as one more token (Laplace).

    Args:
        known: Tokens of the training rows.
        rows: Tokens that are to be predicted.
    """
    counts: Mapping[int, int] = Counter(token for row in known for token in row)
    whole = sum(counts.values()) + len(counts) + 1
    likeliest: Any = max(counts, key=counts.__getitem__, default=None)
    return [
        {
            "nll": -sum(math.log((counts.get(token, 0) + 1) / whole) for token in row),
            "tokens": len(row),
            "right": sum(token == likeliest for token in row),
        }
        for row in rows
    ]
