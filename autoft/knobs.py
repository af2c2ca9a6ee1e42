"""The knobs of the recipe, and what a user may say about each: a range, a list of choices or one fixed value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

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
        "adapter": Knob(str, "none", choices=("none", "lora")),
        "freeze_depth": Knob(int, 0, low=0, high=1000),
        "lora_rank": Knob(int, 8, low=1, high=1024),
        "lora_alpha": Knob(int, 16, low=1, high=4096),
        "lora_dropout": Knob(float, 0.0, low=0, high=0.9),
        "optimizer": Knob(str, "adamw", choices=("adamw", "adam", "sgd", "adafactor")),
        "momentum": Knob(float, 0.9, low=0, high=0.999),
        "weight_decay": Knob(float, 0.01, low=0, high=1),
        "l1": Knob(float, 0.0, low=0, high=1),
        "warmup": Knob(float, 0.1, low=0, high=0.99),
        "schedule": Knob(str, "linear", choices=("linear", "cosine", "constant", "wsd")),
        "cooldown": Knob(float, 0.2, low=0, high=1, open_low=True),
        "layer_decay": Knob(float, 1.0, low=0, high=1, open_low=True),
        "max_grad_norm": Knob(float, 1.0, low=0),
        "max_length": Knob(int, 128, low=2, high=8192),
        "dropout": Knob(float, None, low=0, high=0.9, optional=True),
        "micro_batch_size": Knob(int, None, low=1, high=4096, optional=True),
        "loss": Knob(str, None, choices=("cross-entropy", "weighted", "focal", "mse", "huber"), optional=True),
        "focal_gamma": Knob(float, 2.0, low=0, high=10),
        "huber_delta": Knob(float, 1.0, low=0, open_low=True),
        "label_smoothing": Knob(float, 0.0, low=0, high=0.9),
        "pooling": Knob(str, None, choices=("first", "last", "mean"), optional=True),
        "augmentation": Knob(str, "none", choices=("none", "delete", "swap", "mask", "synonym")),
        "augmentation_rate": Knob(float, 0.1, low=0, high=0.9, open_low=True),
    }
)
LARGEST_GRID = 100_000  # configurations that the grid sampler takes on
# Knobs that mean something for some tasks only; a task names those that its `loss`, `build` and texts obey.
TASK_KNOBS = ("loss", "focal_gamma", "huber_delta", "label_smoothing", "pooling", "augmentation", "augmentation_rate")

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


def values_of(knob: str, dimension: Dimension) -> tuple[Value, ...]:
    """All values in a dimension.

    Raises:
        ValueError: It is continuous.
    """
    if isinstance(dimension, Choice):
        return dimension.values
    count = cardinality(knob, dimension)
    if count == math.inf:
        raise ValueError(f"{knob} is continuous")
    step = dimension.step or 1
    return tuple(KNOBS[knob].kind(round(dimension.low + i * step, 12)) for i in range(int(count)))


def cardinality(knob: str, dimension: Dimension) -> float:
    """Number of values in a dimension; infinite where it is continuous."""
    if isinstance(dimension, Choice):
        return len(dimension.values)
    if dimension.step is None and KNOBS[knob].kind is float:
        return math.inf
    return math.floor((dimension.high - dimension.low) / (dimension.step or 1) + 1e-9) + 1


def contains(dimension: Dimension, value: Any) -> bool:
    """Whether a value lies in a dimension, on one of its steps where it has steps."""
    if isinstance(dimension, Choice):
        return value in dimension.values
    if not dimension.low <= value <= dimension.high:
        return False
    steps = (value - dimension.low) / dimension.step if dimension.step else 0.0
    return math.isclose(steps, round(steps), abs_tol=1e-9)


def nearest_to(dimension: Dimension, value: Any) -> Any:
    """The value itself, the nearest end of a range, the nearest of the numbers listed, or the first choice."""
    if contains(dimension, value):
        return value
    if isinstance(dimension, Choice):
        if not isinstance(value, int | float) or not all(isinstance(own, int | float) for own in dimension.values):
            return dimension.values[0]
        return min(dimension.values, key=lambda own: abs(own - value))  # type: ignore[operator]
    return dimension.low if value < dimension.low else dimension.high
