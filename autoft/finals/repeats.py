"""What is trained once more after the search: each finalist with new seeds, and the plain recipe to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from autoft.records import SearchRecord, TrialConfig, TrialRecord, TrialState
from autoft.space import PLAIN_RECIPE
from autoft.spec import Finals
from autoft.study.ledger import Ledger

FOLDER = "finals"  # in the folder of the search
_LEDGER = "study.db"
SLACK = 1.1  # of the time that a training is expected to take: too much kept is better than too little
OTHERS = 3  # trials beside the finalists whose weights may go into a soup: they cost no training


@dataclass(frozen=True, slots=True)
class Repeats:
    """What the finals train.

    Attributes:
        finalists: Trials of the search, the best on validation first.
        plain: The plain recipe; None where it isn't wanted.
        plain_trial: Number of the trial of the search that began with it; None where it can't win: the user's space
            is without it.
        soup: An average of their weights competes, too.
        others: The trials after the finalists whose weights may go into it.
        configs: What is trained, the plain recipe first: it takes the longest, and says nothing when it is cut short.
    """

    finalists: tuple[TrialRecord, ...]
    plain: TrialConfig | None
    plain_trial: int | None
    soup: bool
    others: tuple[TrialRecord, ...]
    configs: tuple[TrialConfig, ...]

    @classmethod
    def of(
        cls,
        trials: Iterable[TrialRecord],
        wanted: Finals,
        *,
        plain: TrialConfig,
        able: Callable[[TrialRecord], bool] = lambda _: True,
        plain_may_win: bool = True,
    ) -> Repeats:
        """What is to be trained after a search.

        Args:
            trials: Of the search, the one that should win first.
            wanted: How many finalists and repeats.
            plain: The plain recipe.
            able: Whether a trial's weights are there.
            plain_may_win: The plain recipe may win, too.
        """
        trials = tuple(trials)
        most = wanted.finalists
        best = list(islice(filter(able, trials), most + (OTHERS if wanted.soup else 0)))
        finalists = best[:most]
        tried = next((trial.number for trial in trials if trial.config == plain), None)
        rounds = [
            [replace(trial.config, seed=trial.config.seed + i) for trial in finalists]
            for i in range(1, wanted.repeats + 1)
        ]
        rival = plain if wanted.plain and not any(_whole(trial, plain) for trial in finalists) else None
        first = [rival] if rival is not None else []
        configs = [config for turn in (first, *rounds) for config in turn]
        return cls(
            finalists=tuple(finalists),
            plain=plain if wanted.plain else None,
            plain_trial=tried if plain_may_win else None,
            soup=wanted.soup,
            others=tuple(best[most:]),
            configs=tuple(dict.fromkeys(configs)),
        )

    def within(self, seconds: float, trials: Sequence[TrialRecord], rows: int, workers: int) -> tuple[TrialConfig, ...]:
        """What is worth beginning: all of it, but for a plain recipe that would leave no time for another seed.

        Args:
            seconds: Wall clock that there is.
            trials: Of the search.
            rows: Training rows.
            workers: Trainings at once.
        """
        others = tuple(config for config in self.configs if config != self.plain)
        least = (*(config for config in self.configs if config == self.plain), *others[:1])
        return self.configs if needed(least, trials, rows, workers) <= seconds else others


def needed(configs: Sequence[TrialConfig], trials: Sequence[TrialRecord], rows: int, workers: int) -> float:
    """Seconds of wall clock that some trainings would take, as far as the search has shown what training costs.

    Args:
        configs: What is to be trained.
        trials: Of the search.
        rows: Training rows.
        workers: Trainings at once.
    """
    costs = [_cost(config, trials, rows) for config in configs]
    return max(sum(costs) / workers, max(costs, default=0.0))


def plain_recipe(model: str, max_length: int, seed: int) -> TrialConfig:
    """The recipe that everybody begins with: learning rate 2e-5, batch 16, 3 epochs, nothing frozen."""
    knobs: dict[str, Any] = dict(PLAIN_RECIPE)
    return TrialConfig(model=model, max_length=max_length, seed=seed, **knobs)


def open_ledger(folder: Path, search: SearchRecord, configs: Sequence[TrialConfig]) -> Ledger:
    """The ledger of the finals, in which `configs` are what is open; what was cut short before stands there once more.

    Args:
        folder: Of the search.
        search: What it is.
        configs: What is to be trained, and hasn't been to its end.
    """
    path = folder / FOLDER / _LEDGER
    path.parent.mkdir(exist_ok=True)
    ledger = Ledger.open(path) if path.is_file() else Ledger.create(path, search)
    under_way = {record.config: record.number for record in ledger.records() if record.state is TrialState.OPEN}
    for config, number in under_way.items():
        if config not in configs:  # the search went on meanwhile, and has other finalists
            ledger.prune(number, "no longer in the finals")
    for config in configs:
        if config not in under_way:
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


def _cost(config: TrialConfig, trials: Sequence[TrialRecord], rows: int) -> float:
    """Seconds that one training would take, and a little more; none where the search has shown nothing yet."""
    known = [trial for trial in trials if trial.samples]
    likeness = [_likeness(trial.config, config) for trial in known]
    alike = [trial for trial, like in zip(known, likeness, strict=True) if like == max(likeness)]
    pace = sum(trial.seconds for trial in alike) / max(1, sum(trial.samples for trial in alike))
    return SLACK * pace * config.epochs * rows


def _likeness(one: TrialConfig, other: TrialConfig) -> tuple[bool, bool, int]:
    """What decides how long a sample takes, the weightiest first; the larger, the more alike."""
    return one.model == other.model, one.adapter == other.adapter, -abs(one.freeze_depth - other.freeze_depth)


def _whole(trial: TrialRecord, config: TrialConfig) -> bool:
    return trial.state is TrialState.COMPLETE and trial.config == config
