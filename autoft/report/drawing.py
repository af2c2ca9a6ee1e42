"""How the three kinds of metrics that `resampling` tells apart are drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autoft.report.interval import bootstrap_interval, paired_interval
from autoft.tasks.metrics import from_margins

PSEUDO = 0.25
"""Right rows, and as many wrong, that each class gets on top: fewer leave errors unseen, more pull at the score."""

SWAPS = 2000
"""Random exchanges of the answers of two models."""

_HELD = 4_000_000  # numbers in memory at once

_Floats = NDArray[np.float64]
_Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Draws:
    """How often, from which seed, and for which coverage."""

    resamples: int
    seed: int
    level: float

    def __post_init__(self) -> None:
        if self.resamples < 1 or not 0 < self.level < 1:
            raise ValueError(f"can't take {self.resamples} resamples at level {self.level}")

    def ends(self, drawn: Callable[[np.random.Generator, int], _Floats], width: int) -> tuple[float, float]:
        """The percentile interval of what `drawn` gives for a number of resamples, each of which holds `width`."""
        random = np.random.default_rng(self.seed)
        found = np.concatenate([drawn(random, many) for many in _portions(self.resamples, width)])
        low, high = np.quantile(found, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)

    def share_beyond(
        self, observed: float, swapped: Callable[[np.random.Generator, int], _Floats], width: int
    ) -> float:
        """Share of the swaps that are as far from zero as what was observed, which counts as one of them."""
        random = np.random.default_rng(self.seed)
        found = np.concatenate([swapped(random, many) for many in _portions(SWAPS, width)])
        beyond = np.abs(found) >= abs(observed) - 1e-12  # rounding tells no two apart
        return float((1 + beyond.sum()) / (1 + SWAPS))


class Kind(Protocol):
    """A metric of one model's rows, or of two models' on the same rows."""

    def interval(self) -> tuple[float, float]:
        """Of the first model's metric."""

    def difference(self) -> tuple[float, float]:
        """Interval of the first model's metric less the second's."""

    def chance(self) -> float:
        """How often a difference as large comes about where the answers change sides at random."""


class Decisions:
    """A metric that is read off the counts of (class, what each model says), which are drawn as counts.

    Args:
        draws: How.
        metric: One of those of `from_margins`.
        labels: Shape (n,), classes.
        told: For each model what it says, shape (n,).
        classes: Their number.
    """

    def __init__(self, draws: Draws, metric: str, labels: _Ints, told: list[_Ints], classes: int) -> None:
        self._draws, self._metric, self._classes, self._rows = draws, metric, classes, len(labels)
        # One entry for each combination that occurs; the first line holds classes, the others what the models say.
        self._cells, self._counts = np.unique(np.stack([labels, *told]), axis=1, return_counts=True)

    def interval(self) -> tuple[float, float]:
        """With rows added that keep errors possible that weren't seen; see `resampling`."""
        cells, weights = self._smoothed()

        def drawn(random: np.random.Generator, many: int) -> _Floats:
            counts = random.multinomial(self._rows, weights / weights.sum(), size=many)
            return self._value(counts, cells[0], cells[1])

        return self._draws.ends(drawn, len(weights))

    def difference(self) -> tuple[float, float]:
        """The two models' metrics come from the same drawn counts."""

        def drawn(random: np.random.Generator, many: int) -> _Floats:
            counts = random.multinomial(self._rows, self._counts / self._rows, size=many)
            return self._apart(counts, np.zeros_like(counts))

        return self._draws.ends(drawn, len(self._counts))

    def chance(self) -> float:
        """Of the rows in a cell a binomial number change sides."""
        everything = self._counts[None, :]
        observed = float(self._apart(everything, np.zeros_like(everything))[0])

        def swapped(random: np.random.Generator, many: int) -> _Floats:
            moved = random.binomial(self._counts, 0.5, size=(many, len(self._counts)))
            return self._apart(self._counts - moved, moved)

        return self._draws.share_beyond(observed, swapped, len(self._counts))

    def _apart(self, kept: _Ints, moved: _Ints) -> _Floats:
        """The difference where of each cell some rows are kept, and those moved have the two answers exchanged."""
        real, one, two = self._cells
        both = np.concatenate([kept, moved], axis=1)
        twice = np.concatenate([real, real])
        return self._value(both, twice, np.concatenate([one, two])) - self._value(
            both, twice, np.concatenate([two, one])
        )

    def _value(self, counts: _Ints, real: _Ints, said: _Ints) -> _Floats:
        """The metric for each line of counts of (class, prediction)."""
        known = np.eye(self._classes)
        hit = known[real] * (real == said)[:, None]
        margins = (counts.astype(np.float64) @ side for side in (hit, known[real], known[said]))
        return from_margins(*margins)[self._metric]

    def _smoothed(self) -> tuple[_Ints, _Floats]:
        """The cells with their counts, and of each class that occurs a little more that is right, and that is wrong."""
        real, said = self._cells[:2]
        table: dict[tuple[int, int], float] = {}
        for row, told, count in zip(real.tolist(), said.tolist(), self._counts.tolist(), strict=True):
            table[row, told] = table.get((row, told), 0.0) + count
        commonest = np.bincount(said, weights=self._counts, minlength=self._classes)
        for row in np.unique(real).tolist():
            # Wrong as it mostly is; where it never is, the commonest answer of the others.
            taken = np.array([table.get((row, told), 0.0) for told in range(self._classes)])
            taken = taken if np.delete(taken, row).any() else commonest.copy()
            taken[row] = -1.0
            wrong = int(taken.argmax())
            for told in (row, wrong):
                table[row, told] = table.get((row, told), 0.0) + PSEUDO
        return np.array(list(table)).T, np.array(list(table.values()))


class Means:
    """A metric that is the mean of a value of each row.

    Args:
        draws: How.
        values: For each model the values of the n rows.
    """

    def __init__(self, draws: Draws, values: list[_Floats]) -> None:
        self._draws, self._values, self._rows = draws, values, len(values[0])

    def interval(self) -> tuple[float, float]:
        """Of a share of rows with rows added, as of two classes."""
        values = self._values[0]
        if not np.isin(values, (0.0, 1.0)).all():
            return self._draws.ends(self._means_of(values), self._rows)
        share = (values.sum() + 2 * PSEUDO) / (self._rows + 4 * PSEUDO)

        def drawn(random: np.random.Generator, many: int) -> _Floats:
            found: _Floats = random.binomial(self._rows, share, size=many) / self._rows
            return found

        return self._draws.ends(drawn, 1)

    def difference(self) -> tuple[float, float]:
        """Of the mean of the rows' differences."""
        return self._draws.ends(self._means_of(self._values[0] - self._values[1]), self._rows)

    def chance(self) -> float:
        """The sign of every row's difference is random."""
        apart = self._values[0] - self._values[1]
        sizes = np.abs(apart[apart != 0])

        def swapped(random: np.random.Generator, many: int) -> _Floats:
            signs = random.integers(2, size=(many, len(sizes)), dtype=np.int8) * 2 - 1
            found: _Floats = signs @ sizes / self._rows
            return found

        return self._draws.share_beyond(float(apart.mean()), swapped, len(sizes))

    def _means_of(self, values: _Floats) -> Callable[[np.random.Generator, int], _Floats]:
        def drawn(random: np.random.Generator, many: int) -> _Floats:
            found: _Floats = values[random.integers(self._rows, size=(many, self._rows))].mean(axis=1)
            return found

        return drawn


class Whole:
    """Any other metric, measured on the rows of each resample.

    Args:
        draws: How.
        metric: Gives it from scores and examples.
        outputs: For each model its scores of the n rows.
        examples: What there is to know of the rows.
    """

    def __init__(
        self,
        draws: Draws,
        metric: Callable[[Any, Any], float],
        outputs: list[NDArray[Any]],
        examples: NDArray[Any],
    ) -> None:
        self._draws, self._metric, self._outputs, self._examples = draws, metric, outputs, examples
        self._settings = {"resamples": draws.resamples, "seed": draws.seed, "level": draws.level}

    def interval(self) -> tuple[float, float]:
        """See `bootstrap_interval`."""
        return bootstrap_interval(self._metric, self._outputs[0], self._examples, **self._settings)  # type: ignore[arg-type]

    def difference(self) -> tuple[float, float]:
        """See `paired_interval`."""
        return paired_interval(self._metric, *self._outputs, self._examples, **self._settings)  # type: ignore[arg-type, call-arg]

    def chance(self) -> float:
        """The models' scores of a row change sides."""
        one, two = self._outputs
        random = np.random.default_rng(self._draws.seed)
        observed = abs(self._metric(one, self._examples) - self._metric(two, self._examples))
        beyond = 1
        for _ in range(self._draws.resamples):
            side = random.integers(2, size=len(self._examples)).astype(bool).reshape(-1, *[1] * (one.ndim - 1))
            apart = self._metric(np.where(side, one, two), self._examples) - self._metric(
                np.where(side, two, one), self._examples
            )
            beyond += abs(apart) >= observed - 1e-12
        return beyond / (1 + self._draws.resamples)


def _portions(times: int, width: int) -> Iterator[int]:
    """How many to draw at once, each of `width` numbers, until there are `times`."""
    most = max(1, _HELD // max(1, width))
    for start in range(0, times, most):
        yield min(most, times - start)
