"""A soup: the mean of the weights of several fine-tunes of one pretrained model.

Wortsman et al., "Model soups" (arXiv 2203.05482), the greedy recipe: the best one first, and each further one stays
if the soup is no worse on validation with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, "torch.Tensor"]
Gain = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Soup:
    """A mean of at least two.

    Attributes:
        ingredients: Places of those that went in, in the order in which they were given.
        weights: By name.
        gain: What it was judged to be worth.
    """

    ingredients: tuple[int, ...]
    weights: dict[str, torch.Tensor]
    gain: Gain


def greedy(
    pretrained: Weights,
    ingredients: Sequence[Callable[[], Weights]],
    gain: Gain,
    judge: Callable[[Weights], Gain],
    go_on: Callable[[], bool] = lambda: True,
) -> Soup | None:
    """The greedy soup; where no other one makes the first any better, the best of the pairs that were tried.

    Args:
        pretrained: The weights that all began with; one that left some of them frozen doesn't hold those itself.
        ingredients: Load the weights of each, the best first.
        gain: What the first is worth.
        judge: What some weights are worth on validation, larger is better.
        go_on: Whether there is time for another try.

    Returns:
        None where there was nothing to mix, or no time.
    """
    if len(ingredients) < 2:
        return None
    first = _whole(pretrained, ingredients[0]())
    kept, total = [0], first
    best: Soup | None = None
    for i, load in enumerate(ingredients[1:], start=1):
        if not go_on():
            break
        other = _whole(pretrained, load())
        tried = {name: tensor + other[name] for name, tensor in total.items()}
        mixed = {name: tensor / (len(kept) + 1) for name, tensor in tried.items()}
        found = judge(mixed)
        better = found >= gain
        if better or (len(kept) == 1 and (best is None or found > best.gain)):
            best = Soup((*kept, i), mixed, found)
        if better:
            kept, total, gain = [*kept, i], tried, found
    return best


def mean(pretrained: Weights, trained: Sequence[Weights]) -> dict[str, torch.Tensor]:
    """The mean of the weights of several trainings; those that one doesn't hold stayed as they were pretrained."""
    whole = [_whole(pretrained, own) for own in trained]
    return {name: sum((own[name] for own in whole[1:]), whole[0][name]) / len(whole) for name in whole[0]}


def _whole(pretrained: Weights, trained: Weights) -> dict[str, torch.Tensor]:
    """All weights that are numbers to be averaged, in one precision."""
    return {
        name: trained.get(name, tensor).detach().float()
        for name, tensor in pretrained.items()
        if tensor.is_floating_point()
    }
