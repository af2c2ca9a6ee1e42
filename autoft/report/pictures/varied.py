"""The knobs that differ between trials, and the scale on which each is shown and weighed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoft.knobs import KNOBS
from autoft.records import TrialConfig
from autoft.words import compact, short_name

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_LOG = 10  # times the smallest value: then a logarithmic scale
_FEW = 5  # different numbers up to which each has its own tick


@dataclass(frozen=True, slots=True)
class Varied:
    """A knob with more than one value among some trials.

    Attributes:
        knob: Its name.
        values: The different values, sorted; names and None in the order of their first trial.
        log: On a logarithmic scale.
    """

    knob: str
    values: tuple[Any, ...]
    log: bool

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers, and not names."""
        return all(isinstance(value, int | float) for value in self.values)

    @property
    def few(self) -> bool:
        """Whether there are so few values that many trials share one."""
        return not self.numeric or len(self.values) <= _FEW

    @property
    def name(self) -> str:
        """The knob for people: `learning rate`."""
        return self.knob.replace("_", " ")

    def place(self, value: Any) -> float:
        """Where a value stands between the first (0) and the last (1)."""
        if not self.numeric:
            return self.values.index(value) / (len(self.values) - 1)
        low, high, at = (math.log(v) if self.log else v for v in (self.values[0], self.values[-1], value))
        return float((at - low) / (high - low))

    def say(self, value: Any) -> str:
        """A value for people."""
        if self.knob == "model":
            return short_name(str(value))
        return compact(value) if isinstance(value, int | float) or value is None else str(value)

    def ticks(self) -> list[tuple[float, str]]:
        """Places between 0 and 1 and what stands there."""
        shown = self.values if self.few else (self.values[0], self.values[-1])
        return [(self.place(value), self.say(value)) for value in shown]

    def distribution(self) -> BaseDistribution:
        """Optuna's, over the values that occur: the limits of the search space are not in the report."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not self.numeric:
            return CategoricalDistribution(self.values)
        if KNOBS[self.knob].kind is int:
            return IntDistribution(int(self.values[0]), int(self.values[-1]), log=self.log)
        return FloatDistribution(float(self.values[0]), float(self.values[-1]), log=self.log)


def varied(configs: Sequence[TrialConfig]) -> list[Varied]:
    """The knobs with more than one value, as they are ordered in a configuration; the seed is none of them."""
    found = []
    dictionaries = [config.as_dict() for config in configs]
    for knob in dict.fromkeys(knob for entries in dictionaries for knob in entries if knob != "seed"):
        values = list(dict.fromkeys(entries[knob] for entries in dictionaries if knob in entries))
        if len(values) > 1:
            numeric = all(isinstance(value, int | float) for value in values)
            ordered = tuple(sorted(values) if numeric else values)
            log = numeric and ordered[0] > 0 and ordered[-1] >= _LOG * ordered[0]
            found.append(Varied(knob, ordered, log))
    return found


def value_of(config: TrialConfig, knob: str) -> tuple[Any, bool]:
    """The value of a knob, and whether the knob has a part in the recipe at all."""
    entries: Mapping[str, Any] = config.as_dict()
    return entries.get(knob), knob in entries
