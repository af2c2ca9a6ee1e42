"""What is trained once more after the search: each finalist with new seeds, and the plain recipe to its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoft.records import Direction, SearchRecord, TrialConfig, TrialRecord, TrialState, ranked
from autoft.space import PLAIN_RECIPE
from autoft.spec import Finals
from autoft.study.ledger import Ledger

FOLDER = "finals"  # in the folder of the search
_LEDGER = "study.db"


@dataclass(frozen=True, slots=True)
class Repeats:
    """What the finals train.

    Attributes:
        finalists: Trials of the search, the best on validation first.
        plain: The plain recipe; None where it isn't wanted.
        configs: What is trained, in the order of its importance: time may end before the list does.
    """

    finalists: tuple[TrialRecord, ...]
    plain: TrialConfig | None
    configs: tuple[TrialConfig, ...]

    @classmethod
    def of(
        cls,
        trials: Iterable[TrialRecord],
        direction: Direction,
        wanted: Finals,
        *,
        plain: TrialConfig,
        able: Callable[[TrialRecord], bool] = lambda _: True,
    ) -> Repeats:
        """What is to be trained after a search.

        Args:
            trials: Of the search.
            direction: Of the objective.
            wanted: How many finalists and repeats.
            plain: The plain recipe.
            able: Whether a trial's weights are there.
        """
        finalists: list[TrialRecord] = []
        for trial in ranked(trials, direction):
            if len(finalists) == wanted.finalists:
                break
            if able(trial):
                finalists.append(trial)
        rounds = [
            [replace(trial.config, seed=trial.config.seed + i) for trial in finalists]
            for i in range(1, wanted.repeats + 1)
        ]
        rival = plain if wanted.plain and not any(_whole(trial, plain) for trial in finalists) else None
        middle = [rival] if rival is not None else []
        configs = [config for turn in (*rounds[:1], middle, *rounds[1:]) for config in turn]
        return cls(tuple(finalists), plain if wanted.plain else None, tuple(dict.fromkeys(configs)))

    def seconds(self, trials: Sequence[TrialRecord], rows: int, workers: int) -> float:
        """Wall clock that the finals would take, as far as the search has shown what training costs.

        Args:
            trials: Of the search.
            rows: Training rows.
            workers: Trainings at once.
        """
        known = [trial for trial in trials if trial.samples]
        if not known:
            return 0.0
        costs = []
        for config in self.configs:
            # Of those that train the most like it, the slowest: too much time kept is better than too little.
            likeness = [(t.config.model == config.model) + (_shape(t.config) == _shape(config)) for t in known]
            pace = max(t.seconds / t.samples for t, like in zip(known, likeness, strict=True) if like == max(likeness))
            costs.append(pace * config.epochs * rows)
        return max(sum(costs) / workers, max(costs, default=0.0))


def plain_recipe(model: str, max_length: int, seed: int) -> TrialConfig:
    """The recipe that everybody begins with: learning rate 2e-5, batch 16, 3 epochs, nothing frozen."""
    knobs: dict[str, Any] = dict(PLAIN_RECIPE)
    return TrialConfig(model=model, max_length=max_length, seed=seed, **knobs)


def open_ledger(folder: Path, search: SearchRecord, configs: Sequence[TrialConfig]) -> Ledger:
    """The ledger of the finals, in which each of `configs` stands; those that were trained before aren't again.

    Args:
        folder: Of the search.
        search: What it is.
        configs: What is to be trained.
    """
    path = folder / FOLDER / _LEDGER
    path.parent.mkdir(exist_ok=True)
    ledger = Ledger.open(path) if path.is_file() else Ledger.create(path, search)
    known = {record.config for record in ledger.records()}
    for config in configs:
        if config not in known:
            ledger.add(config, {}, {})
    return ledger


def known_records(folder: Path) -> tuple[TrialRecord, ...]:
    """What the finals of a search have trained so far."""
    path = folder / FOLDER / _LEDGER
    if not path.is_file():
        return ()
    ledger = Ledger.open(path)
    try:
        return ledger.records()
    finally:
        ledger.close()


def _whole(trial: TrialRecord, config: TrialConfig) -> bool:
    return trial.state is TrialState.COMPLETE and trial.config == config


def _shape(config: TrialConfig) -> tuple[str, int, str, float]:
    return config.model, config.freeze_depth, config.adapter, math.log2(config.batch_size)
