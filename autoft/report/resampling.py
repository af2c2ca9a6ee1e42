"""The test rows drawn again: the interval of a score, and of the difference between two models on the same rows.

A metric is known by the task's `measure` alone, which takes a millisecond: a thousand resamples of each of ten models
are minutes. Two kinds of metrics need no such call, and are told by trying them on the rows themselves:

    decisions   single-label classification: the counts of (class, predicted class) say all; they are drawn
                from the multinomial distribution, which is the same as drawing rows
    means       the metric of rows is the mean of what it is on each row alone: exact match, ROUGE, log loss

Everything else (a correlation, perplexity, the F1 of spans) goes through `measure`, resample by resample.

Coverage. The percentile bootstrap knows no error that it has not seen: at accuracy 0.99 and 100 rows its 95 % interval
holds the truth in 60 % of the cases, for there may be no wrong row to draw, and for the macro F1 of eight unequal
classes as in R8 (1,000 rows, accuracy 0.97) in 89 %. So decisions and shares of rows are drawn from the counts with a
quarter of a right row and a quarter of a wrong row added for each class: the idea of Agresti and Coull (1998), class by
class. In tests/test_simulated_truth.py the interval then holds the truth in 94 to 97 % of the runs, in more only where
hardly an error is to be expected (100 rows at 0.99); where a class has errors enough nothing changes. A difference has
no such correction (it would hide true ones where the classes are many); see `chance` for what guards it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoft.report.drawing import Decisions, Draws, Kind, Means, Whole
from autoft.report.interval import check_lengths, indexable
from autoft.tasks.metrics import from_margins

Measure = Callable[[Any, Any], Mapping[str, float]]
Rows = Sequence[Any] | NDArray[Any]

_PROBED = 16  # rows on which a metric is tried


@dataclass(frozen=True, slots=True)
class Resampling:
    """The test rows, drawn again for one metric.

    Attributes:
        measure: Gives all metrics of some rows from their scores and examples.
        metric: The one that counts.
        examples: What there is to know of each row.
        resamples: How often the rows are drawn.
        seed: Of the draws: the same rows give the same interval.
        level: Coverage of the intervals, in (0, 1).
    """

    measure: Measure
    metric: str
    examples: Rows
    resamples: int = 1000
    seed: int = 0
    level: float = 0.95

    def interval(self, scores: Rows) -> tuple[float, float]:
        """The interval of the metric of one model; (nan, nan) where it is mostly undefined.

        Args:
            scores: The model's output for each of n rows.

        Raises:
            ValueError: The lengths don't fit, or there are no rows.
        """
        return self._kind(scores).interval()

    def difference(self, scores: Rows, others: Rows) -> tuple[float, float]:
        """The interval of how much larger the metric of one model is than that of another, on the same drawn rows.

        What makes a row hard for both cancels out: it is far narrower than two separate intervals.
        """
        return self._kind(scores, others).difference()

    def chance(self, scores: Rows, others: Rows) -> float:
        """How often two equally good models would differ as much: the p-value of a paired randomisation test.

        On each row the two answers change sides at random; counted is how often the metrics are then at least as far
        apart, in either direction, as they are. It is exact for any number of rows, where the bootstrap is not: of four
        rows on which two models differ all four favour one of them in an eighth of the cases, and no resample would
        have one that favours the other. See Fisher, The Design of Experiments (1935), chapter 3.
        """
        return self._kind(scores, others).chance()

    def _value(self, scores: Any, examples: Any) -> float:
        return float(self.measure(scores, examples)[self.metric])

    def _kind(self, *models: Rows) -> Kind:
        examples, outputs = indexable(self.examples), [indexable(scores) for scores in models]
        for scores in outputs:
            check_lengths(scores, examples)
        draws = Draws(self.resamples, self.seed, self.level)
        if (decided := self._decided(outputs, examples)) is not None:
            return Decisions(draws, self.metric, *decided)
        means: list[NDArray[np.float64]] = []
        for scores in outputs:
            if (values := self._each(scores, examples)) is None:
                return Whole(draws, self._value, outputs, examples)
            means.append(values)
        return Means(draws, means)

    def _decided(
        self, outputs: list[NDArray[Any]], examples: NDArray[Any]
    ) -> tuple[NDArray[np.intp], list[NDArray[np.intp]], int] | None:
        """Classes of the rows, what each model takes them for, and their number, where they say what the metric is."""
        labels, classes = _labels(examples), outputs[0].shape[-1]
        if labels is None or classes < 2 or any(scores.shape != (len(labels), classes) for scores in outputs):
            return None
        if labels.min() < 0 or labels.max() >= classes:
            return None
        told = [scores.argmax(axis=1) for scores in outputs]
        for scores, said in zip(outputs, told, strict=True):

            def counted(rows: NDArray[np.intp], said: NDArray[np.intp] = said) -> float:
                real, predicted = labels[rows], said[rows]
                margins = (real[real == predicted], real, predicted)
                found = from_margins(*(np.bincount(margin, minlength=classes) for margin in margins))
                return float(found.get(self.metric, math.nan))

            if not self._agrees(scores, examples, counted):  # one of the same name may be another in somebody's task
                return None
        return labels, told, classes

    def _each(self, scores: NDArray[Any], examples: NDArray[Any]) -> NDArray[np.float64] | None:
        """The metric of every row alone, where that of many is their mean."""
        few = np.random.default_rng(self.seed).permutation(len(examples))[:_PROBED]
        if self._alone(scores[few], examples[few]) is None:
            return None
        return self._alone(scores, examples)

    def _alone(self, scores: NDArray[Any], examples: NDArray[Any]) -> NDArray[np.float64] | None:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # of a correlation of one row, say
                values = np.array([self._value(scores[[i]], examples[[i]]) for i in range(len(examples))])
        except (ValueError, ArithmeticError, IndexError):  # it can't be measured on one row
            return None
        return values if self._agrees(scores, examples, lambda rows: float(values[rows].mean())) else None

    def _agrees(
        self, scores: NDArray[Any], examples: NDArray[Any], shortcut: Callable[[NDArray[np.intp]], float]
    ) -> bool:
        """Whether a shortcut gives what `measure` gives: on all rows, and on some resamples."""
        random = np.random.default_rng(self.seed)
        rows = np.arange(len(examples))
        for drawn in (rows, *(random.integers(len(rows), size=len(rows)) for _ in range(4))):
            try:
                value = self._value(scores[drawn], examples[drawn])
            except ValueError:
                return False
            if not math.isclose(shortcut(drawn), value, rel_tol=1e-6, abs_tol=1e-9):  # scores may be float32
                return False
        return True


def _labels(examples: NDArray[Any]) -> NDArray[np.intp] | None:
    """The class of each row, where each has one."""
    found = [example.get("labels") if isinstance(example, Mapping) else None for example in examples]
    if any(isinstance(label, bool) or not isinstance(label, int | np.integer) for label in found):
        return None
    return np.array(found, dtype=np.intp)
