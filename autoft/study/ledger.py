"""The ledger: an Optuna study that holds everything a search has to know to go on after a crash.

Only the driver writes to it. Trials go in whole, in one transaction, and every report stands there
before anything is decided on it. The records are also kept in memory, so that reading never waits for the database.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from sqlalchemy import event

from autoft.errors import SearchError
from autoft.records import Direction, Probe, Report, SearchRecord, TrialConfig, TrialRecord, TrialState
from autoft.study.ranking import Ranking
from autoft.study.sampling import observation

_STATES = {
    OptunaState.RUNNING: TrialState.OPEN,
    OptunaState.WAITING: TrialState.OPEN,
    OptunaState.COMPLETE: TrialState.COMPLETE,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}
_OPTUNA_STATES = {state: optuna_state for optuna_state, state in reversed(_STATES.items())}
_CONFIG, _REASON, _STARTED, _FINISHED, _REPORT = "config", "reason", "started", "finished", "report:"
_SEARCH, _SPENT, _PROBES, _COSTS = "search", "spent", "probes", "costs"
# What a sampler gets to see, so that a draw costs the same after 10,000 trials as after 100: the best, and the
# latest. TPE takes the best tenth of what it sees as good, so all of the best are among the good.
BEST, LATEST = 10, 82


class Ledger:
    """The trials of one search; make one with `create` or `open`."""

    def __init__(self, study: optuna.Study, search: SearchRecord) -> None:
        self.search = search
        self._study = study
        self._storage: BaseStorage = study._storage
        self._records: list[TrialRecord] = []
        self._drawn: list[tuple[dict[str, Any], dict[str, BaseDistribution]]] = []
        self._observations: dict[int, tuple[TrialRecord, FrozenTrial]] = {}  # made anew when the record changes
        self._costs: dict[str, float] = dict(study.user_attrs.get(_COSTS, {}))
        self._probes = tuple(Probe(**known) for known in study.user_attrs.get(_PROBES, ()))
        self._ranking = Ranking()  # by the best report
        for trial in study.get_trials(deepcopy=False):
            self._mend(trial)
            self._append(_record(trial), dict(trial.params), dict(trial.distributions))

    @classmethod
    def create(cls, path: Path | None, search: SearchRecord) -> Ledger:
        """A new ledger in the SQLite file `path`, or in memory where it is None."""
        study = optuna.create_study(storage=_storage(path), study_name=search.name, direction=search.direction.value)
        study.set_user_attr(
            _SEARCH,
            {
                "id": search.id,
                "name": search.name,
                "task": search.task,
                "metric": search.metric,
                "direction": search.direction.value,
                "started": search.started,
                "tags": dict(search.tags),
            },
        )
        return cls(study, search)

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """The ledger in the file `path`.

        Raises:
            SearchError: There is none, or it can't be read.
        """
        if not path.is_file():
            raise SearchError(f"{path}: there is no such ledger; the search never started")
        try:
            storage = _storage(path)
            (name,) = optuna.get_all_study_names(storage)
            study = optuna.load_study(study_name=name, storage=storage)
            known = study.user_attrs[_SEARCH]
        except Exception as error:
            raise SearchError(f"{path}: not a ledger of autoft: {error}") from error
        return cls(study, SearchRecord(**{**known, "direction": Direction(known["direction"])}))

    def close(self) -> None:
        """Lets go of the database; a SQLite file is whole by itself from then on."""
        self._storage.remove_session()
        backend = getattr(self._storage, "_backend", None)
        if isinstance(backend, RDBStorage):
            backend.engine.dispose()

    def records(self) -> tuple[TrialRecord, ...]:
        """All trials by number. Cheap, and safe from any thread."""
        return tuple(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> TrialRecord:
        return self._records[number]

    def history(self) -> list[FrozenTrial]:
        """The best and the latest trials, as a sampler should see them."""
        latest = range(max(0, len(self._records) - LATEST), len(self._records))
        numbers = sorted({*latest, *self._ranking.best(BEST)})
        return [self._observation(number) for number in numbers]

    @property
    def spent(self) -> float:
        """Seconds that the search has taken in earlier sessions."""
        return float(self._study.user_attrs.get(_SPENT, 0.0))

    def spend(self, seconds: float) -> None:
        """Takes down the seconds that the search has taken so far."""
        self._study.set_user_attr(_SPENT, round(seconds, 1))

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What the probes of the models gave, the best first; empty as long as none is known."""
        return self._probes

    @probes.setter
    def probes(self, probes: Sequence[Probe]) -> None:
        self._probes = tuple(probes)
        self._study.set_user_attr(_PROBES, [asdict(probe) for probe in probes])

    @property
    def costs(self) -> Mapping[str, float]:
        """What each model costs, by its reference; empty where the score is the only objective."""
        return dict(self._costs)

    @costs.setter
    def costs(self, costs: Mapping[str, float]) -> None:
        self._costs = dict(costs)
        self._study.set_user_attr(_COSTS, self._costs)
        self._observations, self._ranking = {}, Ranking()
        for record in self._records:
            self._rank(record)

    def cost(self, number: int) -> float:
        """What the model of a trial costs; 0 where the score is the only objective."""
        return self._cost(self._records[number])

    def add(self, config: TrialConfig, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> int:
        """Starts a trial, in one transaction.

        Returns:
            Its number.
        """
        now = time.time()
        trial = optuna.trial.create_trial(
            state=OptunaState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            user_attrs={_CONFIG: config.as_dict(), _STARTED: now},
        )
        self._study.add_trial(trial)
        number = len(self._records)
        self._append(TrialRecord(number, config, TrialState.OPEN, started=now), dict(params), dict(distributions))
        return number

    def report(self, number: int, report: Report) -> bool:
        """Takes down a report; the same one again (after a restart) changes nothing.

        Returns:
            Whether it was new.
        """
        record = self._records[number]
        if any(known.samples == report.samples for known in record.reports):
            return False
        trial_id = self._trial_id(number)
        # The whole report first: an objective without it would look like a report that is complete.
        self._storage.set_trial_user_attr(trial_id, f"{_REPORT}{report.samples}", report.as_dict())
        self._storage.set_trial_intermediate_value(trial_id, report.samples, report.value)
        reports = tuple(sorted((*record.reports, report), key=lambda r: r.samples))
        self._replace(number, reports=reports)
        return True

    def complete(self, number: int, reason: str) -> None:
        """Ends a trial that was trained as far as it should be; its value is its best."""
        best = self._records[number].best(self.search.direction)
        if best is None:
            self.fail(number, "ended without a value")
            return
        self._end(number, TrialState.COMPLETE, OptunaState.COMPLETE, reason, best.value)

    def prune(self, number: int, reason: str) -> None:
        """Ends a trial that was not worth going on with, or that the budget cut short."""
        self._end(number, TrialState.PRUNED, OptunaState.PRUNED, reason)

    def fail(self, number: int, reason: str) -> None:
        """Ends a trial that broke."""
        self._end(number, TrialState.FAILED, OptunaState.FAIL, reason)

    def _end(
        self, number: int, state: TrialState, optuna_state: OptunaState, reason: str, value: float | None = None
    ) -> None:
        now = time.time()
        trial_id = self._trial_id(number)
        self._storage.set_trial_user_attr(trial_id, _REASON, reason)
        self._storage.set_trial_user_attr(trial_id, _FINISHED, now)
        self._study.tell(number, value, state=optuna_state)
        self._replace(number, state=state, reason=reason, finished=now)

    def _mend(self, trial: FrozenTrial) -> None:
        """Makes up for the one write that a killed driver may have left undone."""
        if trial.state.is_finished():
            return
        for key, value in trial.user_attrs.items():
            if key.startswith(_REPORT) and value["samples"] not in trial.intermediate_values:
                self._storage.set_trial_intermediate_value(trial._trial_id, value["samples"], value["value"])

    def _observation(self, number: int) -> FrozenTrial:
        record = self._records[number]
        known = self._observations.get(number)
        if known is not None and known[0] is record:
            return known[1]
        params, distributions = self._drawn[number]
        best = record.best(self.search.direction)
        seen = observation(
            number,
            params,
            distributions,
            values={report.samples: report.value for report in record.reports},
            best=best.value if best else None,
            state=_OPTUNA_STATES[record.state],
            cost=self._costs.get(record.config.model),
        )
        self._observations[number] = (record, seen)
        return seen

    def _append(self, record: TrialRecord, params: dict[str, Any], distributions: dict[str, BaseDistribution]) -> None:
        self._records.append(record)
        self._drawn.append((params, distributions))
        self._rank(record)

    def _replace(self, number: int, **changes: Any) -> None:
        self._unrank(self._records[number])
        self._records[number] = replace(self._records[number], **changes)
        self._rank(self._records[number])

    def _rank(self, record: TrialRecord) -> None:
        if (best := record.best(self.search.direction)) and record.state is not TrialState.FAILED:
            self._ranking.add((-self.search.direction.gain(best.value), record.number), self._cost(record))

    def _unrank(self, record: TrialRecord) -> None:
        if best := record.best(self.search.direction):
            self._ranking.discard((-self.search.direction.gain(best.value), record.number), self._cost(record))

    def _cost(self, record: TrialRecord) -> float:
        return self._costs.get(record.config.model, 0.0)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)


def _storage(path: Path | None) -> BaseStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if path is None:
        return InMemoryStorage()
    storage = RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
    event.listen(storage.engine, "connect", _write_ahead)
    storage.engine.dispose()  # connections made before the listener was there
    return storage


def _write_ahead(connection: Any, _record: Any) -> None:
    # Measured: a report costs 4 ms instead of 42, and a killed process loses nothing.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _record(trial: FrozenTrial) -> TrialRecord:
    attrs = trial.user_attrs
    reports = sorted(
        (Report(**value) for key, value in attrs.items() if key.startswith(_REPORT)), key=lambda r: r.samples
    )
    return TrialRecord(
        number=trial.number,
        config=TrialConfig(**attrs[_CONFIG]),
        state=_STATES[trial.state],
        reports=tuple(reports),
        # A driver that was killed while it ended the trial may have left these on one that is still open.
        reason=attrs.get(_REASON, "") if trial.state.is_finished() else "",
        started=attrs[_STARTED],
        finished=attrs.get(_FINISHED) if trial.state.is_finished() else None,
    )
