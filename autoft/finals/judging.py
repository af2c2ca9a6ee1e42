"""What the entrants are worth: on validation, where the winner is chosen, and then on the test rows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.finals import predictions
from autoft.finals.entrants import Attempt, Entrant, Kind
from autoft.records import Direction, Report, TrialConfig
from autoft.tasks import Splits
from autoft.training import export
from autoft.training.job import Job
from autoft.training.predict import Predictor
from autoft.training.soup import Gain, Weights, greedy

if TYPE_CHECKING:
    from autoft.tasks.base import Example, Scores


@dataclass(frozen=True, slots=True)
class Judged:
    """An entrant with the weights that stand for it.

    Attributes:
        entrant: The recipe.
        attempt: The training that its weights are from; of a soup the first ingredient.
        load: Loads its weights, by name.
        digest: Of the weights: which model it is.
        validation: Scores of the validation rows.
        validation_metrics: All metrics there.
        test: Scores of the test rows; None before they are read.
    """

    entrant: Entrant
    attempt: Attempt
    load: Callable[[], Weights]
    digest: str
    validation: Scores
    validation_metrics: Mapping[str, float]
    test: Any = None  # Scores

    @property
    def name(self) -> str:
        """Of the entrant."""
        return self.entrant.name


class Judge:
    """Judges the entrants of one search.

    Args:
        folder: Of the search.
        job: What all trials share.
        splits: The rows.
    """

    def __init__(self, folder: Path, job: Job, splits: Splits) -> None:
        self._folder = folder
        self._job = job
        self._splits = splits
        self._once = 0.0  # seconds that a model takes for the validation rows, at the most
        self.examples: list[Example] = []
        """The first example of each test row, once they are read."""

    def validate(self, entrants: Iterable[Entrant]) -> list[Judged]:
        """Each entrant on the validation rows; one whose weights are damaged or gone is left out."""
        found = []
        for entrant in entrants:
            whole = tuple(
                attempt for attempt in entrant.attempts if export.holds(attempt.checkpoints, attempt.best.samples)
            )
            if not whole:
                continue
            own = replace(entrant, attempts=whole)
            attempt = own.chosen(self._job.direction)

            def load(attempt: Attempt = attempt) -> Weights:
                return export.best_weights(attempt.checkpoints)

            found.append(self._judged(own, attempt, load))
        return found

    def soup(
        self, judged: Sequence[Judged], others: Iterable[Attempt], go_on: Callable[[float], bool]
    ) -> Judged | None:
        """The mean of trainings of one model, the best of the entrants' first; None where there is nothing to mix.

        Args:
            judged: The entrants, judged on validation.
            others: More trainings that may go in.
            go_on: Whether there is time for another try, and so many seconds after it.
        """

        def place(attempt: Attempt) -> tuple[float, float, str]:
            best = attempt.best
            return -self._job.direction.gain(best.value), best.metrics.get("loss", 0.0), attempt.name

        own = [attempt for one in judged for attempt in one.entrant.attempts]
        first = min(own, key=place)
        more = [a for a in others if _mixable(first.config, a.config) and export.holds(a.checkpoints, a.best.samples)]
        rest = [a for a in own if a is not first and _mixable(first.config, a.config)]
        alike = [first, *sorted((*rest, *more), key=place)]
        if len(alike) < 2 or not go_on(0.0):
            return None
        origin = next(one for one in judged if first in one.entrant.attempts)
        predictor = Predictor.assembled(self._job, first.config, {})
        pretrained = predictor.weights()

        def judge(weights: Weights) -> Gain:
            predictor.load_weights(weights)
            scores, examples = predictor.evaluated(self._splits.validation)
            return self._gain(self._measure(scores, examples))

        if origin.attempt is first:
            gain = self._gain(origin.validation_metrics)
        else:
            gain = judge(export.best_weights(first.checkpoints))  # what training reported may be of a lower precision
        # What comes after: the soup on validation, and all of them on the test rows.
        after = self._once * (1 + (len(judged) + 1) * len(self._splits.test) / len(self._splits.validation))
        mixed = greedy(
            pretrained,
            [lambda attempt=attempt: export.best_weights(attempt.checkpoints) for attempt in alike],  # type: ignore[misc]
            gain,
            judge,
            lambda: go_on(self._once + after),
        )
        if mixed is None:
            return None
        entrant = Entrant(
            Kind.SOUP,
            Kind.SOUP,
            origin.entrant.trial,
            (),
            tuple(alike[i] for i in mixed.ingredients),
        )
        soup = self._judged(entrant, first, lambda: mixed.weights)
        best = Report(
            samples=first.best.samples,
            value=soup.validation_metrics[self._job.metric],
            metrics=soup.validation_metrics,
            train_loss=first.best.train_loss,
            seconds=0.0,
            time=first.best.time,
        )
        as_one = replace(first, name=f"{Kind.SOUP}/{first.config.seed}", best=best, seconds=0.0, fresh=False)
        return replace(soup, entrant=replace(entrant, attempts=(as_one,)))

    def hand_over(self, winner: Judged, target: Path, extra: Mapping[str, Any]) -> None:
        """Saves the winner as a model that transformers opens."""
        export.save(self._job, winner.attempt.config, winner.load(), target, extra)

    def test(self, judged: Sequence[Judged], winner: Path) -> tuple[list[Judged], int]:
        """Each entrant on the test rows.

        Args:
            judged: The winner first.
            winner: The folder that the winner was saved to: what is scored is what is handed over.

        Returns:
            They with their scores, and how many other models were read on these rows before.
        """
        earlier = predictions.read_before(self._folder, {one.name: one.digest for one in judged})
        found = []
        for place, one in enumerate(judged):
            predictor = Predictor.load(winner) if place == 0 else self._predictor(one)
            scores, self.examples = predictor.evaluated(self._splits.test)
            predictions.keep(self._folder, "test", one.name, scores, self.examples)
            found.append(replace(one, test=scores))
        return found, earlier

    def _predictor(self, one: Judged) -> Predictor:
        return Predictor.assembled(self._job, one.attempt.config, one.load())

    def _judged(self, entrant: Entrant, attempt: Attempt, load: Callable[[], Weights]) -> Judged:
        began = time.monotonic()
        weights = load()
        predictor = Predictor.assembled(self._job, attempt.config, weights)
        scores, examples = predictor.evaluated(self._splits.validation)
        self._once = max(self._once, time.monotonic() - began)
        predictions.keep(self._folder, "validation", entrant.name, scores, examples)
        return Judged(entrant, attempt, load, _digest(weights), scores, self._measure(scores, examples))

    def _measure(self, scores: Scores, examples: Sequence[Example]) -> dict[str, float]:
        return self._job.task.measure(scores, examples, self._job.meta)

    def _gain(self, metrics: Mapping[str, float]) -> Gain:
        direction: Direction = self._job.direction
        return direction.gain(metrics[self._job.metric]), -metrics.get("loss", 0.0)


def _mixable(config: TrialConfig, other: TrialConfig) -> bool:
    """Whether the mean of their weights means anything: one pretrained model, read out in the same way."""
    ways = ("model", "pooling", "adapter")
    return config.adapter == "none" and all(getattr(config, way) == getattr(other, way) for way in ways)


def _digest(weights: Weights) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().view(-1).cpu().numpy().tobytes())
    return digest.hexdigest()
