"""Which entrant wins, by validation alone, and how far the search's own value of it flatters.

An entrant is a recipe that was trained with one or more seeds: a finalist of the search, the plain recipe, a soup.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoft.records import Direction
from autoft.report.amounts import amounts, is_fraction

TIE = 1e-9
"""Scores that are as close as this, of the larger one, are a tie: what is left is rounding."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """What the choice has to know of an entrant.

    Attributes:
        name: As in `report.json`.
        values: What it reached on validation with each seed; at least one, all finite.
        cost: What it takes to use or to train, in any unit that is the same for all: it decides between equals.
    """

    name: str
    values: tuple[float, ...]
    cost: float = 0.0

    def __post_init__(self) -> None:
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ValueError(f"{self.name} can't be chosen: it needs a finite validation score, not {self.values}")

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return math.fsum(self.values) / len(self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None where there is but one."""
        return None if len(self.values) < 2 else math.sqrt(_squares(self) / (len(self.values) - 1))


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome.

    Attributes:
        order: Names, the winner first.
        scores: What each is ranked by, in the metric's own unit.
        spread: Standard deviation over seeds, pooled; None where nothing was trained with a second seed.
        rule: The rule as a sentence.
    """

    order: tuple[str, ...]
    scores: Mapping[str, float]
    spread: float | None
    rule: str


def choose(entrants: Sequence[Entrant], direction: Direction) -> Choice:
    """Ranks the entrants by their mean over the seeds, less the standard error of that mean.

    The standard error is s / √m with the m seeds of the entrant and one s for all, pooled over everything that was
    trained with more than one seed. The spread of two or three seeds is itself far too uncertain to rank by (a lucky
    pair of equal values would look infinitely reliable). So where all have as many seeds, the mean decides; one with a
    single seed, as a soup has, must be ahead by more, for its value is more of a gamble. Equal scores go to the cheaper
    entrant, then to the one named first. Without any second seed the spread is unknown and the means are ranked alone.

    The rule was chosen in a simulation of 3,000 searches for each of 15 settings (20 configurations, the best three by
    the search's value trained with two more seeds, a plain recipe with one seed or three, a soup of a flattered value;
    true spread of the configurations 0.3, 1 and 3 times that of the seeds). Share of the searches in which the truly
    best entrant was picked, over the settings at 1 and 3 times: this rule 0.48 to 0.80, the mean alone 0.45 to 0.77,
    the entrant's own spread 0.47 to 0.79, the fresh seeds' mean 0.43 to 0.75, the best single value 0.43 to 0.77, the
    search's own value 0.33 to 0.70. Where configurations hardly differ (0.3) no rule is right often, and the price of a
    wrong pick is a quarter of a seed's spread or less.

    Args:
        entrants: At least one, with different names.
        direction: Of the metric.

    Raises:
        ValueError: There are none, or two have one name.
    """
    if not entrants or len({entrant.name for entrant in entrants}) < len(entrants):
        raise ValueError("a choice takes entrants, each with a name of its own")
    spread = _pooled(entrants)
    gains = {
        entrant.name: direction.gain(entrant.mean) - (spread or 0.0) / math.sqrt(len(entrant.values))
        for entrant in entrants
    }
    # Ties are looked for among neighbours of the ranking: what is equal to rounding gets one and the same gain.
    ordered = sorted(entrants, key=lambda entrant: -gains[entrant.name])
    ranks, held = {}, gains[ordered[0].name]
    for entrant in ordered:
        gain = gains[entrant.name]
        if held - gain > TIE * max(abs(held), abs(gain)):
            held = gain
        ranks[entrant.name] = held
    position = {entrant.name: i for i, entrant in enumerate(entrants)}
    ordered.sort(key=lambda entrant: (-ranks[entrant.name], entrant.cost, position[entrant.name]))
    return Choice(
        order=tuple(entrant.name for entrant in ordered),
        scores={name: direction.gain(gain) for name, gain in gains.items()},
        spread=spread,
        rule=_rule(entrants, direction, spread),
    )


def optimism(
    searched: float | None, fresh: Sequence[float], metric: str, direction: Direction
) -> tuple[float | None, str]:
    """By how much the search's validation value of the winner flatters it, for having been chosen.

    The value of the best of many trials is the best partly by luck; the same recipe with seeds that nobody chose has
    the same skill without that luck. What is left in those, too, is that each training keeps its best evaluation.

    Args:
        searched: What the search had measured; None where the winner has no such value, as a soup.
        fresh: Validation values of the same recipe with other seeds, without the search's own.
        metric: Its name.
        direction: Its direction.

    Returns:
        The search's value less the mean of the fresh ones, positive where it flatters; None where it isn't known. And
        a sentence that says so.
    """
    if searched is None:
        return (
            None,
            "The winner is none of the trials of the search: its value on validation was not chosen among many.",
        )
    if not fresh:
        return (
            None,
            "The winner was not trained again with another seed: how far the search's value flatters it is open.",
        )
    mean = math.fsum(fresh) / len(fresh)
    flattered = direction.gain(searched) - direction.gain(mean)
    (by,) = amounts([abs(flattered)], metric)
    unit = ("point" if by == "1.0" else "points") if is_fraction(metric) else f"of {metric}"
    again = (
        f"{len(fresh)} other seeds it has {mean:.4f} on average"
        if len(fresh) > 1
        else f"another seed it has {mean:.4f}"
    )
    says = f"On validation the search had measured {metric} {searched:.4f} for the winner; trained again with {again}: "
    if flattered > 0:
        return flattered, f"{says}the search's value flatters it by {by} {unit}."
    return flattered, f"{says}the search's value does not flatter it."


def _squares(entrant: Entrant) -> float:
    return math.fsum((value - entrant.mean) ** 2 for value in entrant.values)


def _pooled(entrants: Sequence[Entrant]) -> float | None:
    freedom = sum(len(entrant.values) - 1 for entrant in entrants)
    return math.sqrt(math.fsum(map(_squares, entrants)) / freedom) if freedom else None


def _rule(entrants: Sequence[Entrant], direction: Direction, spread: float | None) -> str:
    if len(entrants) == 1:
        return "There was one entrant, and nothing to choose between."
    if spread is None:
        return (
            "The best value on validation wins, a tie goes to the cheaper; nothing was trained with a second seed, so "
            "how far luck decided is not known."
        )
    better = "highest" if direction is Direction.MAXIMIZE else "lowest"
    sign = "less" if direction is Direction.MAXIMIZE else "plus"
    return (
        f"The {better} mean on validation over the seeds, {sign} its standard error, wins (the spread of a seed, "
        f"{spread:.4f}, is pooled over all that were trained more than once); a tie goes to the cheaper."
    )
