"""What a search tries first: the plain recipe, then recipes that are good more often than not.

A sampler learns from what it has seen. Points that are known to work, the best-probed model first, spare it the trials
in which it would find out that a large learning rate ruins a whole model and a small one leaves a head untrained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.space import PLAIN_RECIPE, Space

# The upper third of the blocks learns most of what there is to learn (Lee et al., arXiv 1911.03090), at a third of
# the cost where the frozen rest is computed once; it takes larger rates than a model that moves as a whole.
_UPPER = {"learning_rate": 3e-4, "batch_size": 16, "epochs": 3}
_UPPER_SHARE = 2 / 3  # of the blocks are frozen
# What wins most searches over small models, and is slow to start: at the first rung it often stands where it began.
_ANCHOR = {"learning_rate": 1e-4, "batch_size": 16, "epochs": 3}
_ANCHOR_SHARE = 1 / 3


def starting_points(
    space: Space, order: Sequence[str], blocks: Mapping[str, int], *, each: bool = False
) -> tuple[Mapping[str, Any], ...]:
    """The points to try first.

    Args:
        space: What is searched; a value outside of it gives way to the nearest one inside. The plain recipe is only
            tried as it is.
        order: The models, the most promising first.
        blocks: Number of blocks of each model.
        each: The most promising model is not all that counts, so each gets both points.
    """
    plain = {**PLAIN_RECIPE, "model": order[0]}
    upper = [{**_UPPER, "model": model, "freeze_depth": round(blocks[model] * _UPPER_SHARE)} for model in order]
    further = [anchor(space, (model,), blocks) for model in (order[1:] if each else ())]
    points = (anchor(space, order, blocks), *(space.nearest(point) for point in upper), *further)
    return (*((plain,) if space.params(plain) is not None else ()), *points)


def anchor(space: Space, order: Sequence[str], blocks: Mapping[str, int]) -> Mapping[str, Any]:
    """The starting point that is trained to its end whatever the others reach; arguments as `starting_points`'."""
    return space.nearest({**_ANCHOR, "model": order[0], "freeze_depth": round(blocks[order[0]] * _ANCHOR_SHARE)})
