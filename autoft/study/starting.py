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
_FROZEN_SHARE = 2 / 3
_UPPER = {"learning_rate": 3e-4, "batch_size": 16, "epochs": 3}
_WHOLE = {"learning_rate": 1e-4, "batch_size": 16, "epochs": 3, "freeze_depth": 0}


def starting_points(
    space: Space, order: Sequence[str], blocks: Mapping[str, int], *, each: bool = False
) -> tuple[Mapping[str, Any], ...]:
    """The points to try first.

    Args:
        space: What is searched; a value outside of it gives way to the nearest one inside. The plain recipe is only
            tried as it is.
        order: The models, the most promising first.
        blocks: Number of blocks of each model.
        each: The most promising model is not all that counts, so every one is tried as a whole, too.
    """
    upper = [{**_UPPER, "model": model, "freeze_depth": round(blocks[model] * _FROZEN_SHARE)} for model in order]
    plain = {**PLAIN_RECIPE, "model": order[0]}
    whole = [{**_WHOLE, "model": model} for model in (order if each else order[:1])]
    points = [space.nearest(point) for point in (*upper, *whole)]
    return (*((plain,) if space.params(plain) is not None else ()), *points)
