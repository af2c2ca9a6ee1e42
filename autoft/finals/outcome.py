"""What the report says of the finals: the entrants, the choice among them, and how sure it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoft.finals.entrants import Attempt, Entrant, Kind
from autoft.finals.judging import Judged
from autoft.records import Direction, TrialConfig
from autoft.report import Resampling, comparison_with, selection
from autoft.report.labels import baseline_name

_MIXED = (
    "Validation decided which trainings went into the soup: its score there flatters it, and no other seed says by how "
    "much; its score on the test rows doesn't."
)


@dataclass(frozen=True, slots=True)
class Objective:
    """What the entrants are measured by.

    Attributes:
        measure: Gives all metrics of some rows from their scores and examples.
        metric: Name of the objective.
        direction: Its direction.
        examples: The first example of each test row.
    """

    measure: Callable[[Any, Any], Mapping[str, float]]
    metric: str
    direction: Direction
    examples: Sequence[Any]

    def compare(self, scores: Any, others: Any, name: str) -> dict[str, Any]:
        """How much better some scores of the test rows are than those of `name`."""
        return comparison_with(
            name, self.measure, self.metric, self.direction, scores=scores, others=others, examples=self.examples
        )

    def interval(self, scores: Any) -> tuple[float, float]:
        """The 95 % interval of the objective."""
        return Resampling(self.measure, self.metric, self.examples).interval(scores)


def chosen_first(judged: Sequence[Judged], direction: Direction) -> tuple[list[Judged], selection.Choice]:
    """The entrants, the winner first; the plain recipe can't win a search whose space it isn't in.

    Args:
        judged: Judged on validation.
        direction: Of the objective.
    """
    choice = selection.choose(
        [selection.Entrant(one.name, one.entrant.values, cost=one.attempt.best.seconds) for one in judged], direction
    )
    places = {name: place for place, name in enumerate(choice.order)}
    ordered = sorted(judged, key=lambda one: (one.entrant.trial is None, places[one.name]))
    return [ordered[0], *sorted(ordered[1:], key=lambda one: places[one.name])], choice


def outcome(
    judged: Sequence[Judged],
    objective: Objective,
    choice: selection.Choice,
    *,
    plain: TrialConfig | None,
    baselines: Mapping[str, Any],
    earlier: int,
    trained: int,
) -> dict[str, Any]:
    """The report's entries on the finals.

    Args:
        judged: The entrants, the winner first, with their scores on the test rows.
        objective: What they are measured by.
        choice: How the winner was chosen.
        plain: The plain recipe, whether it competed by itself or as a trial of the search; None where it isn't wanted.
        baselines: Scores of trivial models on the test rows, by their name.
        earlier: Models that these test rows were read on before.
        trained: Trainings of the finals.

    Returns:
        `entrants`, `selection`, `comparisons`, `test_read` and `finals`.
    """
    winner = judged[0]
    rivals = {one.name: objective.compare(winner.test, one.test, _words(one.entrant, plain)) for one in judged[1:]}
    compared = {
        "plain": next((rivals[one.name] for one in judged[1:] if one.entrant.trains(plain)), None),
        "runner_up": rivals[judged[1].name] if judged[1:] else None,
        "baseline": _against_baseline(winner, objective, baselines),
    }
    return {
        "entrants": [_row(one, objective, choice, rivals.get(one.name)) for one in judged],
        "selection": _selection(winner, choice, objective),
        "comparisons": {name: found for name, found in compared.items() if found is not None},
        "test_read": {"time": time.time(), "entrants": len(judged), "earlier": earlier},
        "finals": trained,
    }


def _against_baseline(winner: Judged, objective: Objective, baselines: Mapping[str, Any]) -> dict[str, Any] | None:
    said = {name: objective.measure(scores, objective.examples) for name, scores in baselines.items()}
    known = {name: metrics[objective.metric] for name, metrics in said.items() if objective.metric in metrics}
    if not known:
        return None
    best = max(known, key=lambda name: objective.direction.gain(known[name]))
    return objective.compare(winner.test, baselines[best], f"the best baseline, {baseline_name(best)}")


def winner_entry(winner: Judged) -> dict[str, Any]:
    """What the report says of the winner beside its scores on the test rows."""
    attempt = winner.attempt
    return {
        "entrant": winner.name,
        "seed": attempt.config.seed,
        "params": attempt.config.as_dict(),
        "validation": attempt.best.value if winner.entrant.kind is not Kind.SOUP else winner.entrant.values[0],
        "validation_metrics": dict(winner.validation_metrics),
        "samples": attempt.best.samples,
        "seconds": attempt.seconds,
    }


def _row(
    one: Judged, objective: Objective, choice: selection.Choice, rival: Mapping[str, Any] | None
) -> dict[str, Any]:
    metrics = objective.measure(one.test, objective.examples)
    return {
        "name": one.name,
        "kind": str(one.entrant.kind),
        "trial": one.entrant.trial,
        "params": one.attempt.config.as_dict(),
        "seeds": [_training(attempt) for attempt in one.entrant.attempts],
        "searched": _searched(one),
        # Of the weights that are handed over, in full precision; those of the seeds were measured while they trained.
        "validation": one.validation_metrics[objective.metric],
        "mean": sum(one.entrant.values) / len(one.entrant.values),
        "spread": selection.Entrant(one.name, one.entrant.values).spread,
        "score": choice.scores[one.name],
        "ingredients": [attempt.name for attempt in one.entrant.ingredients],
        "recipes": [_recipe(attempt) for attempt in one.entrant.ingredients],
        "test": metrics[objective.metric],
        "test_interval": list(objective.interval(one.test)),
        "test_metrics": dict(metrics),
        "difference": rival["difference"] if rival else None,
        "difference_interval": rival["interval"] if rival else None,
        "verdict": rival["sentence"] if rival else None,
    }


def _selection(winner: Judged, choice: selection.Choice, objective: Objective) -> dict[str, Any]:
    searched, fresh = _searched(winner), [a.best.value for a in winner.entrant.attempts if a.fresh and a.whole]
    by, sentence = selection.optimism(searched, fresh, objective.metric, objective.direction)
    if winner.entrant.kind is Kind.SOUP:
        sentence = _MIXED
    return {"rule": choice.rule, "spread": choice.spread, "optimism": by, "sentence": sentence}


def _searched(one: Judged) -> float | None:
    """What the search itself had measured; only a finalist has such a value."""
    if one.entrant.kind is not Kind.FINALIST:
        return None
    return next((attempt.best.value for attempt in one.entrant.attempts if not attempt.fresh), None)


def _training(attempt: Attempt) -> dict[str, Any]:
    return {
        "seed": attempt.config.seed,
        "validation": attempt.best.value,
        "samples": attempt.best.samples,
        "seconds": attempt.seconds,
        "whole": attempt.whole,
        "fresh": attempt.fresh,
    }


def _recipe(attempt: Attempt) -> dict[str, Any]:
    """What it takes to train an ingredient of a soup again: it needn't be a training of another entrant."""
    return {"name": attempt.name, "params": attempt.config.as_dict(), "samples": attempt.best.samples}


def _words(entrant: Entrant, plain: TrialConfig | None) -> str:
    if entrant.trains(plain):
        return "the plain recipe"
    return "the soup" if entrant.kind is Kind.SOUP else f"trial {entrant.trial}"
