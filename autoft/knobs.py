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
        about: What it is, in a few words.
    """

    kind: type[int] | type[float] | type[str]
    default: Value
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    choices: tuple[str, ...] = ()
    optional: bool = False
    about: str = ""

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
            return f"{value!r} is out of bounds: it has to be {self.bounds}"
        return None

    @property
    def bounds(self) -> str:
        """The values allowed: `above 0 and at most 1`, or a list of names."""
        if self.choices:
            return ", ".join(self.choices)
        low = f"{'above' if self.open_low else 'at least'} {self.low:g}" if self.low > -math.inf else ""
        high = f"at most {self.high:g}" if self.high < math.inf else ""
        return " and ".join(filter(None, (low, high)))


KNOBS: Mapping[str, Knob] = MappingProxyType(
    {
        "learning_rate": Knob(float, 2e-5, low=0, high=1, open_low=True, about="peak learning rate"),
        "batch_size": Knob(int, 16, low=1, high=4096, about="training samples per optimiser step"),
        "epochs": Knob(int, 3, low=1, high=1000, about="passes over the data, the length of the schedule"),
        "adapter": Knob(
            str, "none", choices=("none", "lora"), about="train the model's own weights, or low-rank updates of them"
        ),
        "freeze_depth": Knob(
            int, 0, low=0, high=1000, about="blocks that stay frozen, from the input; all of them with `all`"
        ),
        "lora_rank": Knob(int, 8, low=1, high=1024, about="rank of the updates"),
        "lora_alpha": Knob(int, 16, low=1, high=4096, about="the updates count lora_alpha / lora_rank times"),
        "lora_dropout": Knob(float, 0.0, low=0, high=0.9, about="dropout before the updates"),
        "optimizer": Knob(str, "adamw", choices=("adamw", "adam", "sgd", "adafactor"), about="the optimiser"),
        "momentum": Knob(float, 0.9, low=0, high=0.999, about="of SGD"),
        "weight_decay": Knob(float, 0.01, low=0, high=1, about="L2 penalty on weights, not on biases and norms"),
        "l1": Knob(float, 0.0, low=0, high=1, about="L1 penalty on the same weights"),
        "warmup": Knob(float, 0.1, low=0, high=0.99, about="share of the horizon in which the learning rate rises"),
        "schedule": Knob(
            str,
            "linear",
            choices=("linear", "cosine", "constant", "wsd"),
            about="of the learning rate after the warm-up; wsd is stable, then falls",
        ),
        "cooldown": Knob(
            float, 0.2, low=0, high=1, open_low=True, about="share of the horizon in which wsd falls to 0"
        ),
        "layer_decay": Knob(
            float,
            1.0,
            low=0,
            high=1,
            open_low=True,
            about="factor on the learning rate from a block to the one before it",
        ),
        "max_grad_norm": Knob(float, 1.0, low=0, about="gradients are clipped to this norm; 0: never"),
        "max_length": Knob(int, 128, low=2, high=8192, about="tokens after which a text is cut"),
        "dropout": Knob(float, None, low=0, high=0.9, optional=True, about="dropout of the trained part"),
        "micro_batch_size": Knob(
            int,
            None,
            low=1,
            high=4096,
            optional=True,
            about="samples whose gradients are computed at once and summed up; null: the whole batch",
        ),
        "loss": Knob(
            str,
            None,
            choices=("cross-entropy", "weighted", "focal", "mse", "huber"),
            optional=True,
            about="the training loss; null: the task's own",
        ),
        "focal_gamma": Knob(float, 2.0, low=0, high=10, about="how much less what is certain counts"),
        "huber_delta": Knob(float, 1.0, low=0, open_low=True, about="error above which the loss is linear"),
        "label_smoothing": Knob(float, 0.0, low=0, high=0.9, about="probability spread evenly over all classes"),
        "pooling": Knob(
            str,
            None,
            choices=("first", "last", "mean"),
            optional=True,
            about="from tokens to one vector, where the model's config can select it",
        ),
        "augmentation": Knob(
            str,
            "none",
            choices=("none", "delete", "swap", "mask", "synonym"),
            about="what is done to words of the training texts, anew in every epoch",
        ),
        "augmentation_rate": Knob(
            float, 0.1, low=0, high=0.9, open_low=True, about="probability of that for each word"
        ),
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
