"""The search space: which knobs there are, what a user may say about each, and how a trial is drawn.

A `Knob` is a parameter of the recipe; a `Dimension` is what the user wants searched of it: a range, a
list of choices or one fixed value. `Space` holds one dimension for each (model, knob), so a model
can have a sub-space of its own, and draws a `TrialConfig` from an Optuna trial.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autoft.errors import SpecError
from autoft.records import TrialConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ALL = "all"  # freeze_depth: every block frozen, only the head trained
Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class Knob:
    """A parameter of the recipe.

    Attributes:
        kind: Type of its values.
        default: The value where the user says nothing.
        low: Smallest value allowed.
        high: Largest value allowed.
        open_low: `low` itself is not allowed.
        choices: The values allowed, for a knob of names.
        optional: None is allowed, and means "as the model has it".
    """

    kind: type[int] | type[float] | type[str]
    default: Value
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    choices: tuple[str, ...] = ()
    optional: bool = False

    def problem(self, value: object) -> str | None:
        """What is wrong with `value`, or None where it is right."""
        if value is None:
            return None if self.optional else "needs a value"
        if self.kind is str:
            if not isinstance(value, str) or value not in self.choices:
                return f"{value!r} is not one of {', '.join(self.choices)}"
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{value!r} is not a number"
        if self.kind is int and not float(value).is_integer():
            return f"{value!r} is not a whole number"
        if not math.isfinite(value) or value < self.low or value > self.high or (self.open_low and value == self.low):
            low = f"{'above' if self.open_low else 'at least'} {self.low:g}" if self.low > -math.inf else ""
            high = f"at most {self.high:g}" if self.high < math.inf else ""
            return f"{value!r} is out of bounds: it has to be {' and '.join(filter(None, (low, high)))}"
        return None


KNOBS: Mapping[str, Knob] = MappingProxyType(
    {
        "learning_rate": Knob(float, 2e-5, low=0, high=1, open_low=True),
        "batch_size": Knob(int, 16, low=1, high=4096),
        "epochs": Knob(int, 3, low=1, high=1000),
        "freeze_depth": Knob(int, 0, low=0, high=1000),
        "weight_decay": Knob(float, 0.01, low=0, high=1),
        "warmup": Knob(float, 0.1, low=0, high=0.99),
        "schedule": Knob(str, "linear", choices=("linear", "cosine", "constant")),
        "max_grad_norm": Knob(float, 1.0, low=0),
        "max_length": Knob(int, 128, low=2, high=8192),
        "dropout": Knob(float, None, low=0, high=0.9, optional=True),
    }
)

# The recipe that most tutorials use, and the one to beat.
PLAIN_RECIPE: Mapping[str, Value] = MappingProxyType(
    {"learning_rate": 2e-5, "batch_size": 16, "epochs": 3, "freeze_depth": 0}
)


@dataclass(frozen=True, slots=True)
class Range:
    """All values from `low` to `high`, both included, on a linear or a logarithmic scale."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values listed; a single one is a fixed value."""

    values: tuple[Value, ...]


Dimension = Range | Choice


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

    @property
    def size(self) -> float:
        """Number of different configurations; infinite where a range is continuous."""
        return sum(math.prod(map(_cardinality, knobs.items())) for knobs in self._dimensions.values())

    def distributions(self, model: str) -> dict[str, BaseDistribution]:
        """The Optuna distributions of a trial of `model`, by Optuna's parameter name."""
        from optuna.distributions import CategoricalDistribution

        found: dict[str, BaseDistribution] = {}
        if len(self.models) > 1:
            found["model"] = CategoricalDistribution(self.models)
        for knob, dimension in self._dimensions[model].items():
            if not _fixed(dimension):
                found[self._parameter(model, knob)] = _distribution(knob, dimension)
        return found

    def config(self, model: str, params: Mapping[str, Any]) -> TrialConfig:
        """The configuration that Optuna's `params` of a trial of `model` stand for."""
        values: dict[str, Any] = {}
        for knob, dimension in self._dimensions[model].items():
            value = dimension.values[0] if _fixed(dimension) else params[self._parameter(model, knob)]  # type: ignore[union-attr]
            values[knob] = value if value is None else KNOBS[knob].kind(value)
        return TrialConfig(model=model, seed=self._seed, **values)

    def params(self, point: Mapping[str, Any]) -> dict[str, Any] | None:
        """A point of the space as Optuna's parameters.

        Args:
            point: `model` and some knobs; a knob that is missing takes its default, or the nearest
                end of its dimension.

        Returns:
            The parameters, or None where a value that `point` names lies outside the space.
        """
        model = point.get("model", self.models[0])
        if model not in self._dimensions:
            return None
        params: dict[str, Any] = {"model": model} if len(self.models) > 1 else {}
        for knob, dimension in self._dimensions[model].items():
            if knob in point:
                value = point[knob]
                if not _contains(dimension, value):
                    return None
            else:
                value = _nearest(dimension, KNOBS[knob].default)
            if not _fixed(dimension):
                params[self._parameter(model, knob)] = value
        return params

    def nearest(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point whose values outside the space have given way to the nearest ones inside."""
        dimensions = self._dimensions[point["model"]]
        return {knob: value if knob == "model" else _nearest(dimensions[knob], value) for knob, value in point.items()}

    def only(self, models: Sequence[str]) -> Space:
        """The space of some of the models."""
        return Space({model: self._dimensions[model] for model in self.models if model in models}, self._seed)

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
) -> Space:
    """The space for models whose numbers of blocks are known.

    Args:
        space: Dimensions by knob, for all models.
        models: References of the models.
        per_model: Dimensions that hold for one model only and go before `space`.
        blocks: Number of blocks of each model, by reference.
        seed: The seed that every trial is trained with.

    Returns:
        A space with `all` replaced, and with depths that a model doesn't have left out.

    Raises:
        SpecError: A model has none of the depths listed.
    """
    resolved: dict[str, dict[str, Dimension]] = {}
    problems = []
    for model in models:
        own = {**space, **per_model.get(model, {})}
        resolved[model] = {knob: own.get(knob, Choice((KNOBS[knob].default,))) for knob in KNOBS}
        depths = _depths(resolved[model]["freeze_depth"], blocks[model])
        if depths is None:
            found = describe(resolved[model]["freeze_depth"])
            problems.append(f"space.freeze_depth: {found} is too deep for {model}, which has {blocks[model]} blocks")
        else:
            resolved[model]["freeze_depth"] = depths
    if problems:
        raise SpecError(*problems)
    return Space(resolved, seed)


def upper(dimension: Dimension) -> float:
    """The largest number in a dimension."""
    if isinstance(dimension, Range):
        return dimension.high
    return max(value for value in dimension.values if isinstance(value, int | float))


def describe(dimension: Dimension) -> str:
    """A dimension as a person writes it."""
    if isinstance(dimension, Range):
        step = f", step {dimension.step:g}" if dimension.step else ""
        return f"{dimension.low:g} … {dimension.high:g}{', log' if dimension.log else ''}{step}"
    return ", ".join(
        "model's own" if v is None else f"{v:g}" if isinstance(v, float) else str(v) for v in dimension.values
    )


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


def _cardinality(item: tuple[str, Dimension]) -> float:
    knob, dimension = item
    if isinstance(dimension, Choice):
        return len(dimension.values)
    if dimension.step is None and KNOBS[knob].kind is float:
        return math.inf
    return math.floor((dimension.high - dimension.low) / (dimension.step or 1) + 1e-9) + 1


def _contains(dimension: Dimension, value: Any) -> bool:
    if isinstance(dimension, Choice):
        return value in dimension.values
    if not dimension.low <= value <= dimension.high:
        return False
    steps = (value - dimension.low) / dimension.step if dimension.step else 0.0
    return math.isclose(steps, round(steps), abs_tol=1e-9)


def _nearest(dimension: Dimension, value: Any) -> Any:
    if _contains(dimension, value):
        return value
    if isinstance(dimension, Choice):
        if isinstance(value, str) or any(not isinstance(own, int | float) for own in dimension.values):
            return dimension.values[0]
        return min(dimension.values, key=lambda own: abs(own - value))
    return dimension.low if value < dimension.low else dimension.high


def _distribution(knob: str, dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if KNOBS[knob].kind is int:
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1)
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
