"""Dimensions that can change nothing: refused where the user wrote them, left out where a task's defaults have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoft.knobs import TASK_KNOBS, Choice, Dimension
from autoft.space import idle
from autoft.spec.model import SearchSpec


def effective(default: Mapping[str, Dimension], spec: SearchSpec) -> dict[str, Dimension]:
    """The dimensions of a task's default space that have an effect beside those that the user wrote."""
    spaces = _spaces(default, spec)
    return {knob: found for knob, found in default.items() if any(not idle(knob, space) for space in spaces)}


def without_effect(
    spec: SearchSpec, default: Mapping[str, Dimension], *, task: str, knobs: Sequence[str], losses: Sequence[str]
) -> list[str]:
    """What is wrong with dimensions that the user wrote, beside the others or with this task.

    Args:
        spec: As the user wrote it.
        default: The task's default space.
        task: Its name.
        knobs: Those of `TASK_KNOBS` that it obeys.
        losses: Names of its losses, its own first.

    Returns:
        One line for each.
    """
    whole = {**default, **spec.space}
    written = [("space", spec.space, _spaces(default, spec))]
    written += [(f"per_model.{model}", own, [{**whole, **own}]) for model, own in spec.per_model.items()]
    problems = []
    for path, own, spaces in written:
        for knob, dimension in own.items():
            if knob in TASK_KNOBS and knob not in knobs:
                problems.append(f"{path}.{knob}: has no effect with {task}; leave it out")
            elif all(idle(knob, space) for space in spaces):
                problems.append(f"{path}.{knob}: {idle(knob, spaces[0])}")
            elif knob == "loss" and isinstance(dimension, Choice) and (problem := _losses(dimension, task, losses)):
                problems.append(f"{path}.{knob}: {problem}")
    return problems


def _losses(dimension: Choice, task: str, losses: Sequence[str]) -> str:
    for name in dimension.values:
        if name is not None and name not in losses:
            return f"{task} has no loss {name!r}; it has {', '.join(losses)}"
    if None in dimension.values and losses[0] in dimension.values:
        return f"null and {losses[0]!r} are the same one; keep one of the two"
    return ""


def _spaces(default: Mapping[str, Dimension], spec: SearchSpec) -> list[dict[str, Dimension]]:
    """The space of every model, as far as they differ."""
    whole = {**default, **spec.space}
    return [whole, *({**whole, **own} for own in spec.per_model.values())]
