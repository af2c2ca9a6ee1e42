"""The search space: what is searched of each knob, and how a trial's configuration comes of it.

A `Knob` is a parameter of the recipe; a `Dimension` is what the user wants searched of it (`autoft.knobs`).
`Space` holds one dimension for each (model, knob), so a model
can have a sub-space of its own, and makes a `TrialConfig` of what Optuna draws. A knob that has a part in the recipe
only with some values of another one (`records.CONDITIONS`) is drawn after it, and only with those.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autoft.errors import SpecError
from autoft.knobs import (
    ALL,
    KNOBS,
    LARGEST_GRID,
    PLAIN_RECIPE,
    Choice,
    Dimension,
    Knob,
    Range,
    Value,
    cardinality,
    contains,
    describe,
    nearest_to,
    upper,
    values_of,
)
from autoft.records import CONDITIONS, TrialConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = [
    "ALL",
    "KNOBS",
    "PLAIN_RECIPE",
    "Choice",
    "Dimension",
    "Knob",
    "Range",
    "Space",
    "Value",
    "check_grid",
    "describe",
    "idle",
    "resolve",
    "upper",
]


class Space:
    """What is searched, for each model.

    Args:
        dimensions: For every model, a dimension for every knob in `KNOBS`, with `all` already
            replaced by the model's number of blocks.
        seed: The seed that every trial is trained with.
    """

    def __init__(self, dimensions: Mapping[str, Mapping[str, Dimension]], seed: int) -> None:
        if not dimensions:
            raise ValueError("a space needs at least one model")
        self._dimensions = {model: dict(knobs) for model, knobs in dimensions.items()}
        self._seed = seed

    @property
    def models(self) -> tuple[str, ...]:
        """References of the models in the space."""
        return tuple(self._dimensions)

    def dimensions(self, model: str) -> Mapping[str, Dimension]:
        """What is searched for `model`, by knob."""
        return self._dimensions[model]

    @property
    def max_epochs(self) -> int:
        """The longest horizon that the space allows, in epochs."""
        return max(int(upper(knobs["epochs"])) for knobs in self._dimensions.values())

    @property
    def max_batch_size(self) -> int:
        """The largest batch that the space allows."""
        return max(int(upper(knobs["batch_size"])) for knobs in self._dimensions.values())

    @property
    def max_length(self) -> int:
        """The most tokens after which the space lets a text be cut."""
        return max(int(upper(knobs["max_length"])) for knobs in self._dimensions.values())

    @cached_property
    def size(self) -> float:
        """Number of different configurations; infinite where a range is continuous."""
        return sum(_size(knobs) for knobs in self._dimensions.values())

    def distributions(self, model: str, params: Mapping[str, Any] | None = None) -> dict[str, BaseDistribution]:
        """The Optuna distributions of a trial of `model`, by Optuna's parameter name.

        Args:
            model: Reference of the model.
            params: Optuna's parameters of a trial; only theirs are given. Without, all are.
        """
        from optuna.distributions import CategoricalDistribution

        found: dict[str, BaseDistribution] = {}
        if len(self.models) > 1:
            found["model"] = CategoricalDistribution(self.models)
        for knob, dimension in self._dimensions[model].items():
            if not _fixed(dimension):
                found[self._parameter(model, knob)] = _distribution(knob, dimension)
        return found if params is None else {name: found[name] for name in found if name in params}

    def searched(self, model: str, params: Mapping[str, Any]) -> Iterator[str]:
        """Names of the Optuna parameters of a trial of `model`, parents first.

        Args:
            model: Reference of the model.
            params: Optuna's parameters as far as they are drawn; is read anew before every name, so that one without
                a part in the recipe is never given.
        """
        for knob, dimension in self._dimensions[model].items():
            if not _fixed(dimension) and self._active(model, knob, params):
                yield self._parameter(model, knob)

    def config(self, model: str, params: Mapping[str, Any]) -> TrialConfig:
        """The configuration that Optuna's `params` of a trial of `model` stand for."""
        values: dict[str, Any] = {}
        for knob in self._dimensions[model]:
            if self._active(model, knob, params):
                value = self._value(model, knob, params)
                values[knob] = value if value is None else KNOBS[knob].kind(value)
        return TrialConfig(model=model, seed=self._seed, **values)

    def params(self, point: Mapping[str, Any]) -> dict[str, Any] | None:
        """A point of the space as Optuna's parameters.

        Args:
            point: `model` and some knobs; a knob that is missing takes its default, or the nearest
                end of its dimension, and one that others depend on a value with which they have a part in the recipe.

        Returns:
            The parameters, or None where a value that `point` names lies outside the space, or has no effect beside
            the others.
        """
        model = point.get("model", self.models[0])
        if model not in self._dimensions:
            return None
        params: dict[str, Any] = {"model": model} if len(self.models) > 1 else {}
        for knob, dimension in self._dimensions[model].items():
            if not self._active(model, knob, params):
                if knob in point:
                    return None
                continue
            if knob in point:
                value = point[knob]
                if not contains(dimension, value):
                    return None
            else:
                value = nearest_to(dimension, _wanted(knob, dimension, point))
            if not _fixed(dimension):
                params[self._parameter(model, knob)] = value
        return params

    def nearest(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point whose values outside the space have given way to the nearest ones inside.

        Knobs that have no part in the recipe anywhere in the space are left out of it.
        """
        dimensions = self._dimensions[point["model"]]
        return {
            knob: value if knob == "model" else nearest_to(dimensions[knob], value)
            for knob, value in point.items()
            if not idle(knob, dimensions)
        }

    def only(self, models: Sequence[str]) -> Space:
        """The space of some of the models."""
        return Space({model: self._dimensions[model] for model in self.models if model in models}, self._seed)

    @cached_property
    def grid(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """All configurations of a finite space, each as a model and Optuna's parameters.

        Raises:
            ValueError: A range is continuous.
        """
        return tuple((model, params) for model in self.models for params in self._grid(model))

    def _grid(self, model: str) -> Iterator[dict[str, Any]]:
        knobs = {knob: values_of(knob, dimension) for knob, dimension in self._dimensions[model].items()}
        seen = set()
        for values in product(*knobs.values()):
            chosen = dict(zip(knobs, values, strict=True))
            active = tuple((knob, value) for knob, value in chosen.items() if _has_part(knob, chosen))
            if active not in seen:
                seen.add(active)
                yield ({"model": model} if len(self.models) > 1 else {}) | {
                    self._parameter(model, knob): value
                    for knob, value in active
                    if not _fixed(self._dimensions[model][knob])
                }

    def _value(self, model: str, knob: str, params: Mapping[str, Any]) -> Any:
        dimension = self._dimensions[model][knob]
        return dimension.values[0] if _fixed(dimension) else params[self._parameter(model, knob)]  # type: ignore[union-attr]

    def _active(self, model: str, knob: str, params: Mapping[str, Any]) -> bool:
        if knob not in CONDITIONS:
            return True
        parent, values = CONDITIONS[knob]
        return self._value(model, parent, params) in values

    def _parameter(self, model: str, knob: str) -> str:
        # One parameter for all models where they share a dimension, so that the sampler learns from all.
        shared = all(knobs[knob] == self._dimensions[model][knob] for knobs in self._dimensions.values())
        return knob if shared else f"{knob} of {model}"


def resolve(
    space: Mapping[str, Dimension],
    models: Sequence[str],
    per_model: Mapping[str, Mapping[str, Dimension]],
    blocks: Mapping[str, int],
    seed: int,
    *,
    able: Mapping[str, Mapping[str, Sequence[Value]]] = MappingProxyType({}),
) -> Space:
    """The space for models whose numbers of blocks are known.

    Args:
        space: Dimensions by knob, for all models.
        models: References of the models.
        per_model: Dimensions that hold for one model only and go before `space`.
        blocks: Number of blocks of each model, by reference.
        seed: The seed that every trial is trained with.
        able: For each model, by its reference, the values of some knobs that it can do something with.

    Returns:
        A space with `all` replaced, and with depths that a model doesn't have, and what else it can't do, left out.

    Raises:
        SpecError: A model has none of the depths listed, or can do nothing of what is listed.
    """
    resolved: dict[str, dict[str, Dimension]] = {}
    problems = []
    for model in models:
        own = {**space, **per_model.get(model, {})}
        resolved[model] = {knob: own.get(knob, Choice((KNOBS[knob].default,))) for knob in _PARENTS_FIRST}
        depths = _depths(resolved[model]["freeze_depth"], blocks[model])
        if depths is None:
            found = describe(resolved[model]["freeze_depth"])
            problems.append(f"space.freeze_depth: {found} is too deep for {model}, which has {blocks[model]} blocks")
        else:
            resolved[model]["freeze_depth"] = depths
        for knob, values in able.get(model, {}).items():
            listed = resolved[model][knob]
            left = tuple(value for value in listed.values if value in values) if isinstance(listed, Choice) else ()
            if left:
                resolved[model][knob] = Choice(left)
            else:
                there = describe(Choice(tuple(values)))
                problems.append(f"space.{knob}: {model} can't do {describe(listed)}; it can do {there}")
    if problems:
        raise SpecError(*problems)
    return Space(resolved, seed)


def check_grid(space: Space) -> None:
    """Refuses a space that can't be tried out to its end.

    Raises:
        SpecError: One line for each knob with a continuous range; or there are too many configurations.
    """
    endless = {
        knob: dimension
        for model in space.models
        for knob, dimension in space.dimensions(model).items()
        if cardinality(knob, dimension) == math.inf
    }
    if endless:
        raise SpecError(
            *(
                f"space.{knob}: a grid can't hold all of {describe(dimension)}; "
                f"add `points: 5` (or `step`), or list the values"
                for knob, dimension in endless.items()
            )
        )
    if space.size > LARGEST_GRID:
        raise SpecError(
            f"search.sampler: a grid of {space.size:,.0f} configurations is more than can be tried; "
            f"leave some out, or take another sampler"
        )


def idle(knob: str, space: Mapping[str, Dimension]) -> str:
    """Why a knob can have no effect beside the other dimensions of a space; empty where it can."""
    if knob not in CONDITIONS:
        return ""
    parent, values = CONDITIONS[knob]
    there = space.get(parent, Choice((KNOBS[parent].default,)))
    if isinstance(there, Range) or any(value in values for value in there.values):
        return ""
    wanted = " or ".join("null" if value is None else str(value) for value in values)
    return f"has no effect without `{parent}: {wanted}`; add that to the space, or leave `{knob}` out"


def _depths(dimension: Dimension, blocks: int) -> Dimension | None:
    """The depths that a model with so many blocks has; None where it has none of them."""
    if isinstance(dimension, Range):
        high = min(dimension.high, blocks)
        if dimension.low >= high:
            return Choice((int(high),)) if dimension.low == high else None
        return Range(dimension.low, high, dimension.log, dimension.step)
    depths = {blocks if depth == ALL else int(depth) for depth in dimension.values}  # type: ignore[arg-type]
    return Choice(tuple(sorted(depth for depth in depths if depth <= blocks))) if min(depths) <= blocks else None


def _fixed(dimension: Dimension) -> bool:
    return isinstance(dimension, Choice) and len(dimension.values) == 1


# A parent is drawn before the knobs that depend on it; otherwise the order of `KNOBS`.
_PARENTS_FIRST = tuple(
    dict.fromkeys(name for knob in KNOBS for name in ((CONDITIONS[knob][0], knob) if knob in CONDITIONS else (knob,)))
)


def _has_part(knob: str, chosen: Mapping[str, Any]) -> bool:
    return knob not in CONDITIONS or chosen[CONDITIONS[knob][0]] in CONDITIONS[knob][1]


def _wanted(knob: str, dimension: Dimension, point: Mapping[str, Any]) -> Any:
    """The default of a knob, or a value of its dimension with which the knobs that a point names have an effect."""
    named = [values for child, (parent, values) in CONDITIONS.items() if parent == knob and child in point]
    default = KNOBS[knob].default
    if isinstance(dimension, Range) or all(default in values for values in named):
        return default
    fit = (value for value in dimension.values if all(value in values for values in named))
    return next(fit, default)


def _size(knobs: Mapping[str, Dimension]) -> float:
    """Number of different configurations of one model."""
    size = 1.0
    for knob, dimension in knobs.items():
        children = [child for child, (parent, _) in CONDITIONS.items() if parent == knob and child in knobs]
        if children and isinstance(dimension, Choice):
            size *= sum(
                math.prod(cardinality(child, knobs[child]) for child in children if value in CONDITIONS[child][1])
                for value in dimension.values
            )
        elif knob not in CONDITIONS:
            size *= cardinality(knob, dimension)
    return size


def _distribution(knob: str, dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if KNOBS[knob].kind is int:
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1)
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
