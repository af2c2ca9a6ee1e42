"""All that a search trains: its trials, then those of its finals, with the same workers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autoft.finals import FOLDER as FINALS
from autoft.finals import OTHERS, Repeats, judging_threads, known_records, needed, open_ledger, plain_recipe
from autoft.folder import CACHE, DATA
from autoft.pareto import preferred
from autoft.planning import Plan
from autoft.records import TrialConfig, TrialRecord, TrialState
from autoft.stopping import Stop
from autoft.study.cluster import ray_session
from autoft.study.core import Core
from autoft.study.driver import KEEP_WEIGHTS, LEAST_SHARE, OUT_OF_TIME, Timer, drive
from autoft.study.halving import PLACES
from autoft.study.ledger import Ledger
from autoft.study.policies import policy
from autoft.study.starting import anchor, starting_points
from autoft.study.trainable import checkpoints
from autoft.training.export import holds
from autoft.training.job import Job
from autoft.training.model_cost import model_costs
from autoft.training.probe import Probed, Question, probe_models

FINALS_SHARE = 0.4  # of a budget, at most, for what the finals train
SETTLING = 5.0  # seconds until the trials that the end of the search has stopped have put everything down
MINIMUM_RESERVE = 20.0  # seconds of a budget kept for its end, at least


class Tell(Protocol):
    """Whoever watches: told of a phase, and of the samples that each running trial has seen."""

    def __call__(self, phase: str, running: Mapping[int, int] | None = None) -> None:
        """Says it."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time that a session has.

    Attributes:
        began: `time.monotonic()` of the moment from which the budget counts.
        budget: Seconds; None where there is no bound.
    """

    began: float
    budget: float | None

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds left of the budget, never below 5; infinite where there is none."""
        return math.inf if self.budget is None else max(5.0, self.budget - self.elapsed)

    def timer(self, reserve: Callable[[], float], share: float = LEAST_SHARE) -> Timer | None:
        """Ends a phase so that `reserve()` seconds are left, but not before its `share`; None without a bound."""
        return None if self.budget is None else Timer(self.began + self.budget, reserve, share)


class Training:
    """The training of one search.

    Args:
        folder: Of the search.
        plan: What it does.
        ledger: Of its trials.
        clock: The time that there is.
        tell: Told how it goes.

    Attributes:
        probed: The pretrained models as this session has probed them, the best first.
        notes: What a reader of the report has to know, a sentence each.
    """

    def __init__(self, folder: Path, plan: Plan, ledger: Ledger, clock: Clock, tell: Tell) -> None:
        self._folder, self._plan, self._ledger, self._clock, self._tell = folder, plan, ledger, clock, tell
        self.probed: list[Probed] = []
        self.notes: list[str] = []

    @property
    def job(self) -> Job:
        """What all trials share."""
        return job_of(self._plan, self._folder, self._folder / CACHE)

    def run(self, stop: Stop) -> None:
        """Trains: first the trials of the search, then those of the finals, with the same workers."""
        if against := self._plan.spec.search.against:
            self._tell(f"measuring the {against} of the models")
            rows, known = self._plan.splits.train, self._ledger.costs
            self._ledger.costs = model_costs(against, self.question, self._plan.models, rows, known)
        core = self._core(self._plan.workers)
        late = self._clock.left < MINIMUM_RESERVE
        if late and any(t.reports for t in self._ledger.records()):
            core.close(OUT_OF_TIME)  # not even the workers would have started
        if core.done:
            core.settle()
            if late or not self._to_repeat(self._plan.workers):
                return
        # A search that has begun without probes goes on without: its trials were drawn from the whole space.
        to_be_probed = self._plan.spec.search.probe and not len(self._ledger) and not self._ledger.probes
        self._tell("starting the workers, probing the models" if to_be_probed else "starting the workers")
        resources = self._plan.spec.resources
        with ThreadPoolExecutor(1) as thread:  # Ray's start and the probe both take seconds, and one core
            probing = thread.submit(self.probe, stop) if to_be_probed else None
            with ray_session(resources) as workers:
                stop.install()  # Ray has put a handler of its own there
                if probing is not None:
                    self._take_down(probing)
                stop.check()
                core = self._core(workers)
                if not core.done:
                    drive(
                        core,
                        self._ledger,
                        self.job,
                        folder=self._folder,
                        resources=resources,
                        timer=self._clock.timer(lambda: self._reserve() + self._finals_time(workers)),
                        stop=stop,
                        watch=lambda samples: self._tell("searching", samples),
                        keep=max(KEEP_WEIGHTS, self._plan.spec.finals.finalists + OTHERS),
                    )
                self._repeat(workers, stop)

    def repeats(self) -> Repeats:
        """What the finals have to train, as the search stands; trials whose weights are gone are passed over."""
        return self._repeats(self.handed_in)

    def _repeats(self, able: Callable[[TrialRecord], bool]) -> Repeats:
        plan = self._plan
        best = self._ledger.probes[0].model if self._ledger.probes else plan.models[0].ref
        within = plan.spec.search.within
        return Repeats.of(
            preferred(self._ledger.records(), self._ledger.search.direction, self._ledger.costs, within),
            plan.spec.finals.where(within),
            plain=plain_recipe(best, plan.space.max_length, plan.spec.search.seed),
            able=able,
            plain_may_win=within is None,
        )

    def _to_repeat(self, workers: int) -> tuple[TrialConfig, ...]:
        """What the finals have left to train, as far as there is time for it; what time cut short is trained anew."""
        left, repeats = self._clock.left - self._reserve(), self.repeats()
        if left < 0 or not repeats.finalists:
            return ()
        configs = repeats.within(left, self._ledger.records(), len(self._plan.splits.train), workers)
        unfinished = (TrialState.OPEN, TrialState.PRUNED)
        ended = {trial.config for trial in known_records(self._folder) if trial.state not in unfinished}
        return tuple(config for config in configs if config not in ended)

    def _repeat(self, workers: int, stop: Stop) -> None:
        """Trains what the finals need, or as much of it as there is time for."""
        if not (configs := self._to_repeat(workers)):
            return
        search = self._plan.spec.search
        ledger = open_ledger(self._folder, self._ledger.search, configs)
        try:
            core = Core(
                ledger,
                self._plan.space,
                policy("none", (), search.eta),
                sampler=search.sampler,
                seed=search.seed,
                workers=workers,
                trials=len(ledger),
            )
            drive(
                core,
                ledger,
                self.job,
                folder=self._folder / FINALS,
                resources=self._plan.spec.resources,
                timer=self._clock.timer(self._reserve, 0.0),
                stop=stop,
                watch=lambda samples: self._tell(_progress(ledger.records()), {}),
                keep=len(ledger),
            )
        finally:
            ledger.close()

    def _finals_time(self, workers: int) -> float:
        """Seconds of a budget that the finals will want, as far as the search has shown what training costs.

        It is asked for while trials run, and to look whether weights are whole is to read all of them.
        """
        repeats, trials, rows = self._repeats(lambda _: True), self._ledger.records(), len(self._plan.splits.train)
        most = FINALS_SHARE * (self._clock.budget or 0.0)
        return min(needed(repeats.within(most, trials, rows, workers), trials, rows, workers), most) + SETTLING

    def _take_down(self, probing: Future[list[Probed]]) -> None:
        try:
            self.probed = probing.result()
        except Exception as error:  # a model that can't be probed may be trained all the same
            self.notes.append(f"the models were not probed: {' '.join(str(error).split())[:200]}")
        self._ledger.probes = [one.probe for one in self.probed]

    def _core(self, workers: int) -> Core:
        """The decisions, from where the ledger stands."""
        plan, search = self._plan, self._plan.spec.search
        named = {point["model"] for point in plan.start or ()}
        order = [probe.model for probe in self._ledger.probes if not probe.dropped or probe.model in named]
        space = plan.space.only(order) if order else plan.space
        blocks = {model.ref: model.blocks for model in plan.models}
        return Core(
            self._ledger,
            space,
            policy(search.scheduler, plan.rungs, search.eta, places=max(PLACES, plan.workers)),
            sampler=search.sampler,
            seed=search.seed,
            workers=workers,
            trials=search.trials,
            start=starting_points(space, order or space.models, blocks, each=bool(self._ledger.costs))
            if plan.start is None
            else plan.start,
            anchor=anchor(space, order or space.models, blocks) if plan.start is None else None,
        )

    def probe(self, stop: Stop) -> list[Probed]:
        """What each pretrained model knows of the task, the best first."""
        splits, costs = self._plan.splits, self._ledger.costs
        return probe_models(
            self.question, self._plan.models, splits.train, splits.validation, lambda: stop.requested, costs=costs
        )

    @property
    def question(self) -> Question:
        """What the probes ask of each pretrained model."""
        plan = self._plan
        return Question(
            task=plan.task,
            meta=plan.meta,
            metric=plan.metric,
            max_length=plan.space.max_length,
            seed=plan.spec.search.seed,
            threads=plan.spec.resources.cpus_per_trial,
        )

    def _reserve(self) -> float:
        """Seconds to keep for the end: loading, scoring the entrants, the report and MLflow.

        What a row costs to evaluate the probes have shown: a forward pass. Without them it is no more than half of
        what a row costs to train and evaluate on.
        """
        trials, probes = self._ledger.records(), self._ledger.probes
        reading = max((probe.reading for probe in probes), default=0.0)
        pace = reading or 0.5 * max((trial.seconds / trial.samples for trial in trials if trial.samples), default=0.0)
        plan = self._plan
        finals, splits = plan.spec.finals.where(plan.spec.search.within), plan.splits
        entrants = finals.finalists + finals.plain + finals.soup
        tried = finals.plain + finals.finalists * (1 + finals.repeats) + OTHERS if finals.soup else 0  # mixtures
        rows = len(splits.test)
        if not finals.off:
            rows = entrants * rows + (entrants + tried) * len(splits.validation)
        if judging_threads(plan) > plan.spec.resources.cpus_per_trial and not plan.spec.resources.gpus_per_trial:
            pace /= 1.4  # two cores instead of one; more than these add little to batches of short texts
        return max(MINIMUM_RESERVE, 10.0 + pace * rows + reading * len(splits.test))

    def handed_in(self, trial: TrialRecord) -> bool:
        """Whether the weights with which a trial was best are there, and whole."""
        best = trial.best(self._ledger.search.direction)
        return best is not None and holds(checkpoints(self._folder, trial.number), best.samples)


def job_of(plan: Plan, folder: Path, cache: Path) -> Job:
    """What the trials of a search share.

    Args:
        plan: Of the search.
        folder: Of the search; holds the rows.
        cache: Folder for what the frozen parts of the models give.
    """
    return Job(
        task=plan.task,
        meta=plan.meta,
        data=str((folder / DATA).absolute()),
        metric=plan.metric,
        direction=plan.task.metrics[plan.metric],
        rungs=plan.rungs,
        patience=plan.spec.search.patience,
        threads=plan.spec.resources.cpus_per_trial,
        precision=plan.spec.resources.precision,
        cache=str(cache.absolute()),
        synonyms=plan.spec.data.synonyms or "",
    )


def _progress(trials: Sequence[TrialRecord]) -> str:
    ended = sum(trial.state is not TrialState.OPEN for trial in trials)
    return f"training the best once more, with other seeds: {ended} of {len(trials)}"
