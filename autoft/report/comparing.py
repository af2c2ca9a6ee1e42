"""The winner against another entrant on the same test rows: by how much, how sure, and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autoft.records import Direction
from autoft.report.amounts import amounts, is_fraction
from autoft.report.resampling import Measure, Resampling, Rows

BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"

SIGNIFICANT = 0.05
"""A difference is shown where chance brings one as large in at most this share of the cases, in either direction."""


def comparison_with(
    name: str,
    measure: Measure,
    metric: str,
    direction: Direction,
    *,
    scores: Rows,
    others: Rows,
    examples: Rows,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Whether the winner is better than another model: an entry of `comparisons` in the report.

    "Better" and "worse" are said where the 95 % interval leaves out zero *and* the randomisation test agrees
    (p ≤ 0.05). The interval alone says them too often where few rows tell the models apart or classes are rare (up to
    4.8 % of "better" instead of 2.5 % in simulations with eight unequal classes). Of two equally good models the winner
    is so called better in at most 2.5 % of the cases, and worse in as many. Nothing is adjusted for the number of
    comparisons, and need not be: where the winner, the plain recipe and the runner-up are all equally good, a false
    "better" is said of one of the two in at most 5 % of the searches.

    Args:
        name: The other, as it stands in the sentence: "the plain recipe".
        measure: Gives all metrics of some rows from their scores and examples.
        metric: The objective.
        direction: Its direction.
        scores: The winner's output for each of n rows.
        others: The other's.
        examples: What there is to know of each row.
        resamples: How often the rows are drawn again.
        seed: Of the draws.

    Returns:
        `difference` and `interval` as gain, in the metric's own unit: positive where the winner is better, whatever the
        metric's direction; ends that aren't known are NaN. `chance`, the p-value, None where the interval holds zero
        and it was not needed. `verdict` and `sentence`.

    Raises:
        ValueError: The lengths don't fit, or there are no rows.
    """
    drawn = Resampling(measure, metric, examples, resamples, seed)
    difference = direction.gain(measure(scores, examples)[metric]) - direction.gain(measure(others, examples)[metric])
    low, high = drawn.difference(scores, others)
    if direction is Direction.MINIMIZE:
        low, high = -high, -low
    chance = drawn.chance(scores, others) if low > 0 or high < 0 else None  # false of NaN, too
    verdict = NOT_SHOWN
    if chance is not None and chance <= SIGNIFICANT:
        verdict = BETTER if low > 0 else WORSE
    return {
        "difference": difference + 0.0,  # never -0.0
        "interval": [low + 0.0, high + 0.0],
        "chance": chance,
        "verdict": verdict,
        "sentence": sentence(
            name,
            metric,
            direction,
            difference=difference,
            interval=(low, high),
            verdict=verdict,
            chance=chance,
        ),
    }


def sentence(
    name: str,
    metric: str,
    direction: Direction,
    *,
    difference: float,
    interval: Sequence[float],
    verdict: str,
    chance: float | None = None,
) -> str:
    """The comparison in words: `better than the plain recipe by 1.2 points, 95 % interval 0.3 to 2.1`.

    Args:
        name: The other model.
        metric: The objective; differences of fractions are told in points, a hundredth each.
        direction: Its direction.
        difference: The winner's lead as gain.
        interval: Its 95 % interval, as gain.
        verdict: `BETTER`, `WORSE` or `NOT_SHOWN`.
        chance: How often two equally good models would differ as much.
    """
    low, high = interval
    if not math.isfinite(difference):
        return f"no difference from {name} is shown: one of the two has no {metric}"
    if not (math.isfinite(low) and math.isfinite(high)):
        (by,) = amounts([difference], metric)
        return f"no difference from {name} is shown: {_lead(difference, by, metric, direction)}, how sure is not known"
    if verdict != NOT_SHOWN:
        sign = 1 if verdict == BETTER else -1
        ends = (sign * low, sign * high)[::sign]
        by, start, end = amounts([sign * difference, *ends], metric)
        if is_fraction(metric):
            return f"{verdict} than {name} by {by} {_points(by)}, 95 % interval {start} to {end}"
        aside = "higher" if (direction is Direction.MAXIMIZE) == (verdict == BETTER) else "lower"
        return f"{verdict} than {name}: {metric} {aside} by {by}, 95 % interval {start} to {end}"
    if difference == low == high == 0:
        return f"no difference from {name} is shown: the two are level, whichever test rows are drawn"
    by, start, end = amounts([difference, low, high], metric)
    lead = _lead(difference, by, metric, direction)
    if low <= 0 <= high:
        return f"no difference from {name} is shown: {lead}, and the interval, {start} to {end}, holds zero"
    share = f"{100 * chance:.0f} %" if chance is not None else "many"
    return (
        f"no difference from {name} is shown: {lead} (95 % interval {start} to {end}), but so few rows tell the two "
        f"apart that two equally good models would differ as much in {share} of the cases"
    )


def _lead(difference: float, by: str, metric: str, direction: Direction) -> str:
    if difference == 0:
        return "the two are level"
    by = by.removeprefix("-")
    if is_fraction(metric):
        return f"{by} {_points(by)} {'ahead' if difference > 0 else 'behind'}"
    aside = "higher" if (direction is Direction.MAXIMIZE) == (difference > 0) else "lower"
    return f"{metric} is {by} {aside}"


def _points(by: str) -> str:
    return "point" if by == "1.0" else "points"
