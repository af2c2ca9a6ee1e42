"""Trains a winner once more from its record, and says whether the same comes out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoft.errors import SearchError
from autoft.finals import predictions
from autoft.finals.entrants import Kind
from autoft.records import TrialConfig
from autoft.tasks import Splits
from autoft.training.job import Job
from autoft.training.predict import Predictor
from autoft.training.soup import Weights, mean

# Two processors round differently; below this nobody's verdict changes.
SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came out.

    Attributes:
        metric: Name of the objective.
        recorded: What the search had measured on validation.
        found: What was measured now, on the same rows.
        largest: The largest difference between a score of then and one of now, over all validation rows; None where
            the predictions of then are gone.
        versions: Libraries that have another version now, as `name 1.0 -> 1.1`.
    """

    metric: str
    recorded: float
    found: float
    largest: float | None
    versions: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the objective is the same."""
        return abs(self.found - self.recorded) <= SAME

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        names = ("metric", "recorded", "found", "largest")
        return {"same": self.same, **{name: getattr(self, name) for name in names}, "versions": list(self.versions)}


def reproduce(
    folder: Path,
    job: Job,
    splits: Splits,
    report: Mapping[str, Any],
    tell: Callable[[str], None] = lambda _: None,
) -> Reproduction:
    """Trains the winner of a finished search again, on the same rows from the same seed. The test rows stay locked.

    Args:
        folder: Of the search.
        job: What its trials shared.
        splits: Its rows.
        report: Its report.
        tell: Gets a line for each training.

    Raises:
        SearchError: The record doesn't say what was trained, or it can't be trained again.
    """
    winner = report["winner"]
    entrant = next((one for one in report.get("entrants") or () if one["name"] == winner.get("entrant")), None)
    if entrant is None:
        raise SearchError(f"{folder / 'report.json'}: says nothing of how the winner was trained; search again")
    if entrant["kind"] == Kind.SOUP and not entrant.get("recipes"):
        raise SearchError(f"{folder / 'report.json'}: doesn't say what the soup is made of; search again")
    recipes = entrant.get("recipes") or [_recipe(entrant, winner["seed"])]
    configs, weights = [TrialConfig(**one["params"]) for one in recipes], []
    for one, config in zip(recipes, configs, strict=True):
        tell(f"training {one['name']} again, {one['samples']:,} samples")
        weights.append(_train(job, config, one["samples"]))
    predictor = Predictor.assembled(job, configs[0], weights[0])
    if entrant["kind"] == Kind.SOUP:
        predictor.load_weights(mean(Predictor.assembled(job, config, {}).weights(), weights))
    scores, examples = predictor.evaluated(splits.validation)
    found = job.task.measure(scores, examples, job.meta)[job.metric]
    return Reproduction(
        job.metric, entrant["validation"], found, _largest(folder, str(entrant["name"]), scores), _changed(report)
    )


def _recipe(entrant: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The training that an entrant was chosen with: name, configuration, and the samples after which it was best."""
    name = f"{entrant['name']}/{seed}"
    for training in entrant["seeds"]:
        if training["seed"] == seed:
            return {"name": name, "params": {**entrant["params"], "seed": seed}, "samples": training["samples"]}
    raise SearchError(f"the record of {name} is gone; it can't be trained again")


def _train(job: Job, config: TrialConfig, samples: int) -> Weights:
    from autoft.training.finetune import FineTune

    trial = FineTune(job, config)
    while not trial.ended and not any(report.samples >= samples for report in trial.reports):
        trial.advance(math.inf)
    if not any(report.samples >= samples for report in trial.reports):
        raise SearchError(f"the training ended before the sample {samples:,}: {trial.ended}")
    return trial.weights()


def _largest(folder: Path, entrant: str, scores: Any) -> float | None:
    path = folder / predictions.FOLDER / f"validation-{entrant}.jsonl"
    if not path.is_file():
        return None
    then = [json.loads(line)["scores"] for line in path.read_text(encoding="utf-8").splitlines()]
    try:
        return float(np.abs(np.asarray(then, dtype=float) - np.asarray(predictions.plain(scores), dtype=float)).max())
    except (ValueError, TypeError):  # texts, or rows of unequal length
        return 0.0 if then == predictions.plain(scores) else None


def _changed(report: Mapping[str, Any]) -> tuple[str, ...]:
    from autoft.report.summary import versions

    now = versions()
    return tuple(
        f"{name} {old} -> {now[name]}" for name, old in report["versions"].items() if now.get(name, old) != old
    )
