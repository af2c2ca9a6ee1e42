"""Who may win: a recipe, with every training of it that there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from autoft.finals.repeats import FOLDER, Repeats
from autoft.records import Direction, Report, TrialConfig, TrialRecord, TrialState
from autoft.study.trainable import checkpoints


class Kind(StrEnum):
    """What an entrant is."""

    FINALIST = "finalist"
    PLAIN = "plain"
    SOUP = "soup"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One training of a recipe.

    Attributes:
        name: `trial-7/2`: entrant and seed.
        config: With its seed.
        best: The report of its best weights.
        seconds: What it took.
        whole: Trained as far as it should be; the budget may have cut it short.
        fresh: Trained after the search had made its choice, so that its value was not chosen for being high.
        checkpoints: Where its weights lie.
    """

    name: str
    config: TrialConfig
    best: Report
    seconds: float
    whole: bool
    fresh: bool
    checkpoints: Path


@dataclass(frozen=True, slots=True)
class Entrant:
    """A recipe that may win.

    Attributes:
        name: `trial-7`, `plain`, or `soup`.
        kind: What it is.
        trial: Number of the trial of the search; None where the search had none, and it can't win.
        attempts: Its trainings, that of the search first.
        ingredients: The trainings that a soup is the mean of.
    """

    name: str
    kind: Kind
    trial: int | None
    attempts: tuple[Attempt, ...]
    ingredients: tuple[Attempt, ...] = ()

    @property
    def values(self) -> tuple[float, ...]:
        """What its trainings reached on validation; of those that were cut short only where there is no other."""
        whole = tuple(attempt.best.value for attempt in self.attempts if attempt.whole or not attempt.fresh)
        return whole or tuple(attempt.best.value for attempt in self.attempts)

    def trains(self, config: TrialConfig | None) -> bool:
        """Whether one of its trainings is that configuration's, to its end."""
        alone = self.kind is not Kind.SOUP
        return alone and any(attempt.whole and attempt.config == config for attempt in self.attempts)

    def chosen(self, direction: Direction) -> Attempt:
        """The training whose weights stand for it: the best on validation, the earlier one where two are equal."""
        return max(self.attempts, key=lambda a: (direction.gain(a.best.value), -self.attempts.index(a)))


def entrants(
    folder: Path, repeats: Repeats, trained: Iterable[TrialRecord], direction: Direction
) -> tuple[Entrant, ...]:
    """All but the soup: the finalists, the best of the search first, then the plain recipe.

    A plain recipe that was cut short is another recipe, and a worse one: to be better than that would mean nothing.

    Args:
        folder: Of the search.
        repeats: What the finals were to train.
        trained: What they have trained.
        direction: Of the objective.
    """
    known = {trial.config: trial for trial in trained if trial.reports}
    found = []
    for trial in repeats.finalists:
        name = f"trial-{trial.number}"
        own = _attempt(name, trial, checkpoints(folder, trial.number), direction, fresh=False)
        again = [known[c] for c in repeats.configs if c != repeats.plain and _same(c, trial.config) and c in known]
        found.append(Entrant(name, Kind.FINALIST, trial.number, _whole(own, *_trained(folder, name, again, direction))))
    if repeats.plain in known:
        attempts = _trained(folder, Kind.PLAIN, [known[repeats.plain]], direction)
        if attempts and attempts[0].whole:
            found.append(Entrant(Kind.PLAIN, Kind.PLAIN, repeats.plain_trial, tuple(attempts)))
    return tuple(found)


def others(folder: Path, repeats: Repeats, direction: Direction) -> tuple[Attempt, ...]:
    """The trainings that can't win by themselves, and may go into a soup."""
    found = (
        _attempt(f"trial-{t.number}", t, checkpoints(folder, t.number), direction, fresh=False) for t in repeats.others
    )
    return _whole(*found)


def _whole(*attempts: Attempt | None) -> tuple[Attempt, ...]:
    return tuple(attempt for attempt in attempts if attempt is not None)


def _trained(folder: Path, name: str, trials: Sequence[TrialRecord], direction: Direction) -> list[Attempt]:
    found = [_attempt(name, t, checkpoints(folder / FOLDER, t.number), direction, fresh=True) for t in trials]
    return [attempt for attempt in found if attempt is not None]


def _attempt(name: str, trial: TrialRecord, place: Path, direction: Direction, *, fresh: bool) -> Attempt | None:
    best = trial.best(direction)
    if best is None or trial.state is TrialState.FAILED:
        return None
    return Attempt(
        name=f"{name}/{trial.config.seed}",
        config=trial.config,
        best=best,
        seconds=trial.seconds,
        whole=trial.state is TrialState.COMPLETE,
        fresh=fresh,
        checkpoints=place,
    )


def _same(config: TrialConfig, other: TrialConfig) -> bool:
    return replace(config, seed=other.seed) == other
