"""One search from its plan to its winner: trained, scored, handed over."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoft.errors import Interrupted, SearchError, TrackingError
from autoft.folder import CACHE, DATA, MODEL, REPORT, SPEC, STUDY, locked
from autoft.pareto import preferred
from autoft.planning import Plan
from autoft.records import Snapshot, TrialRecord, TrialState
from autoft.report import bootstrap_interval, build, compare, write
from autoft.report.front import pareto
from autoft.stopping import Stop, graceful
from autoft.study.cluster import ray_session
from autoft.study.core import Core
from autoft.study.driver import OUT_OF_TIME, Timer, drive
from autoft.study.halving import PLACES
from autoft.study.ledger import Ledger
from autoft.study.policies import policy
from autoft.study.starting import starting_points
from autoft.study.trainable import checkpoints
from autoft.tracking import Mirror, Published, Target, resolve_uri
from autoft.training.checkpoint import load_latest
from autoft.training.cost import model_costs
from autoft.training.export import export
from autoft.training.job import Job, horizon
from autoft.training.predict import Predictor
from autoft.training.probe import Probed, Question, probe_models
from autoft.words import resume_command

Observer = Callable[[Snapshot], None]

MINIMUM_RESERVE = 20.0  # seconds of a budget kept for its end, at least
REFRESH = 0.25  # seconds between two snapshots for whoever watches
NOTE_TIME = 5.0  # seconds between two notes of the time spent, for a search that gets killed
DONE = "done"
STOPPING = "stopping; Ctrl-C again stops at once"
UNPUBLISHED = "MLflow does not know of it yet"


class Session:
    """A search that is being run by this process.

    Args:
        folder: Its folder.
        plan: What it does.
        observer: Told how it goes.
        began: `time.monotonic()` of the moment from which the budget counts.
        budget: Seconds for this session; None where there is no bound.

    Raises:
        SpecError: Another process runs this search.
    """

    def __init__(self, folder: Path, plan: Plan, observer: Observer, began: float, budget: float | None) -> None:
        self.folder = folder
        self.plan = plan
        self._observer = observer
        self._began = began
        self._budget = budget
        self._lock = locked(folder)
        self._ledger = Ledger.open(folder / STUDY)
        self._before = self._ledger.spent
        self._told = self._noted = 0.0
        self._probed: list[Probed] = []
        self._notes: list[str] = []
        self._stopping = False

    def run(self) -> dict[str, Any]:
        """Trains what is left to train, picks the winner, hands it over.

        Returns:
            The report.

        Raises:
            SearchError: No trial gave a model.
            Interrupted: The user stopped it; `autoft resume` goes on.
        """
        tracking = self.plan.spec.tracking
        target = Target(resolve_uri(tracking.uri, self.folder.parent), tracking.experiment)
        blocks = {model.ref: model.blocks for model in self.plan.models}
        mirror = Mirror(self._ledger.search, target, self._ledger.records, blocks=blocks)
        mirror.start()
        try:
            with graceful(self._acknowledge) as stop:
                self._search(stop)
                self._tell("scoring the winner")
                report = self._finish(stop)
                stop.check()
                self._tell("handing over to MLflow")
                report = self._publish(mirror, report, stop)
                shutil.rmtree(self.folder / CACHE, ignore_errors=True)  # large, and quickly made anew
                self._tell(DONE)
                return report
        except (KeyboardInterrupt, Interrupted) as error:
            with suppress(KeyboardInterrupt):  # who presses it a third time waits for nothing
                mirror.stop("KILLED", timeout=10.0 if isinstance(error, Interrupted) else 2.0)
            raise Interrupted(f"stopped; nothing is lost. Go on with: {resume_command(self.folder)}") from None
        except Exception:
            mirror.stop("FAILED")
            raise
        finally:
            self._ledger.spend(self._elapsed)
            self._ledger.close()
            self._lock.release()

    @property
    def _elapsed(self) -> float:
        return self._before + time.monotonic() - self._began

    @property
    def _left(self) -> float:
        """Seconds left of the budget, never below 5; plenty where there is none."""
        return 60.0 if self._budget is None else max(5.0, self._began + self._budget - time.monotonic())

    def _acknowledge(self) -> None:
        self._stopping = True
        self._noted = time.monotonic()  # from this thread the ledger is only read
        self._tell(STOPPING)

    def _tell(self, phase: str, running: Mapping[int, int] | None = None) -> None:
        now = time.monotonic()
        if running is not None and now - self._told < REFRESH:
            return
        self._told = now
        if now - self._noted > NOTE_TIME:
            self._noted = now
            self._ledger.spend(self._elapsed)
        rows = len(self.plan.splits.train)
        trials = self._ledger.records()
        self._observer(
            Snapshot(
                name=self._ledger.search.name,
                phase=STOPPING if self._stopping and phase != DONE else phase,
                metric=self._ledger.search.metric,
                direction=self._ledger.search.direction,
                trials=trials,
                running=dict(running or {}),
                # Where a row is several samples, how many there are is known only to those who train on them.
                horizons={} if self.plan.task.windows else {t.number: horizon(t.config, rows) for t in trials},
                planned=self.plan.spec.search.trials,
                blocks={model.ref: model.blocks for model in self.plan.models},
                elapsed=self._elapsed,
                budget=None if self._budget is None else self._before + self._budget,
            )
        )

    def _search(self, stop: Stop) -> None:
        if against := self.plan.spec.search.against:
            self._tell(f"measuring the {against} of the models")
            rows, known = self.plan.splits.train, self._ledger.costs
            self._ledger.costs = model_costs(against, self._question(), self.plan.models, rows, known)
        core = self._core(self.plan.workers)
        if self._budget is not None and self._left < MINIMUM_RESERVE and any(t.reports for t in self._ledger.records()):
            core.close(OUT_OF_TIME)  # not even the workers would have started
        if core.done:
            core.settle()
            return
        # A search that has begun without probes goes on without: its trials were drawn from the whole space.
        to_be_probed = self.plan.spec.search.probe and not len(self._ledger) and not self._ledger.probes
        self._tell("starting the workers, probing the models" if to_be_probed else "starting the workers")
        timer = None if self._budget is None else Timer(self._began + self._budget, self._reserve)
        resources = self.plan.spec.resources
        with ThreadPoolExecutor(1) as thread:  # Ray's start and the probe both take seconds, and one core
            probing = thread.submit(self._probe, stop) if to_be_probed else None
            with ray_session(resources) as workers:
                stop.install()  # Ray has put a handler of its own there
                if probing is not None:
                    self._take_down(probing)
                stop.check()
                drive(
                    self._core(workers),
                    self._ledger,
                    self._job(),
                    folder=self.folder,
                    resources=resources,
                    timer=timer,
                    stop=stop,
                    watch=lambda samples: self._tell("searching", samples),
                )

    def _take_down(self, probing: Future[list[Probed]]) -> None:
        try:
            self._probed = probing.result()
        except Exception as error:  # a model that can't be probed may be trained all the same
            self._notes.append(f"the models were not probed: {' '.join(str(error).split())[:200]}")
        self._ledger.probes = [one.probe for one in self._probed]

    def _core(self, workers: int) -> Core:
        """The decisions, from where the ledger stands."""
        plan, search = self.plan, self.plan.spec.search
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
        )

    def _question(self) -> Question:
        plan = self.plan
        return Question(
            task=plan.task,
            meta=plan.meta,
            metric=plan.metric,
            max_length=plan.space.max_length,
            seed=plan.spec.search.seed,
            threads=plan.spec.resources.cpus_per_trial,
        )

    def _probe(self, stop: Stop) -> list[Probed]:
        splits, costs = self.plan.splits, self._ledger.costs
        return probe_models(
            self._question(), self.plan.models, splits.train, splits.validation, lambda: stop.requested, costs=costs
        )

    def _reserve(self) -> float:
        """Seconds to keep for the end: loading, the test rows, the report and MLflow.

        A row costs no more to evaluate than half of what it costs to train and evaluate on, which is known.
        """
        pace = max((trial.seconds / trial.samples for trial in self._ledger.records() if trial.samples), default=0.0)
        probe = max((probe.seconds / probe.rows for probe in self._ledger.probes), default=0.0)
        return max(MINIMUM_RESERVE, 10.0 + (0.5 * pace + probe) * len(self.plan.splits.test))

    def _job(self) -> Job:
        plan = self.plan
        return Job(
            task=plan.task,
            meta=plan.meta,
            data=str((self.folder / DATA).absolute()),
            metric=plan.metric,
            direction=self._ledger.search.direction,
            rungs=plan.rungs,
            patience=plan.spec.search.patience,
            threads=plan.spec.resources.cpus_per_trial,
            precision=plan.spec.resources.precision,
            cache=str((self.folder / CACHE).absolute()),
            synonyms=plan.spec.data.synonyms or "",
        )

    def _finish(self, stop: Stop) -> dict[str, Any]:
        """Saves the winner and reads the test set, once."""
        plan, ledger = self.plan, self._ledger
        winner = self._winner()
        known = self._known_report(winner)
        if known is not None:
            return known
        model_dir = self.folder / MODEL
        metric = plan.metric
        export(
            self._job(),
            winner.config,
            checkpoints(self.folder, winner.number),
            model_dir,
            {"search": ledger.search.name, "search_id": ledger.search.id, "trial": winner.number, "metric": metric},
        )
        train, test = plan.splits.train, plan.splits.test
        predictor = Predictor.load(model_dir)
        # What is scored is what is handed over: the saved folder, not the model in memory.
        scores, examples = predictor.evaluated(test)
        measure = plan.task.measure
        metrics = measure(scores, examples, plan.meta)
        interval = bootstrap_interval(lambda s, e: measure(s, e, plan.meta)[metric], scores, examples)
        trivial = plan.task.baselines(train, test, predictor.examples(train), examples, plan.meta)
        if ledger.probes and (probed := self._probed or self._probe(stop)):
            said = probed[0].scores(test)
            trivial |= {} if said is None else {"probe": said}
        direction = ledger.search.direction
        baselines = compare(
            lambda s, e: measure(s, e, plan.meta), metric, direction, scores=scores, others=trivial, examples=examples
        )
        report = build(
            ledger.search,
            ledger.records(),
            winner.number,
            test=metrics[metric],
            interval=interval,
            test_metrics=metrics,
            baselines=baselines,
            probes=ledger.probes,
            seconds=self._elapsed,
            model_dir=model_dir,
            rows=plan.rows,
            labels=plan.labels,
            fingerprint=plan.splits.fingerprint,
            models={model.ref: {"name": model.name, "blocks": model.blocks} for model in plan.models},
            pipeline=plan.task.pipeline,
            pairs=bool(plan.meta.get("text_pair")),
            notes=(*plan.notes, *plan.splits.notes, *plan.meta.get("notes", ()), *self._notes),
        )
        wanted = plan.spec.search
        report |= pareto(ledger.search, wanted.against, ledger.records(), ledger.costs, wanted.within)
        write(report, self.folder)
        return report

    def _known_report(self, winner: TrialRecord) -> dict[str, Any] | None:
        """The report of an earlier session, where nothing was trained since: the test set is not read again."""
        path = self.folder / REPORT
        if not path.is_file() or not (self.folder / MODEL).is_dir():
            return None
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = report["winner"]["trial"] == winner.number and report["trials"]["total"] == len(self._ledger.records())
        return report if same else None

    def _winner(self) -> TrialRecord:
        """The best trial on validation whose best weights are there, and whole."""
        trials = self._ledger.records()
        contenders = preferred(trials, self._ledger.search.direction, self._ledger.costs, self.plan.spec.search.within)
        for trial in contenders:
            if self._handed_in(trial):
                return trial
        failed = [trial for trial in trials if trial.state is TrialState.FAILED]
        if contenders and not failed:
            raise SearchError(f"{self.folder / 'checkpoints'}: the weights of every trial are gone; search again")
        if failed:
            raise SearchError(
                f"no trial gave a model; {len(failed)} of {len(trials)} failed, the first with: {failed[0].reason}"
            )
        raise SearchError(
            f"time was up before any trial reported; give it more: {resume_command(self.folder)} --budget 10m"
        )

    def _handed_in(self, trial: TrialRecord) -> bool:
        # A damaged checkpoint gives way to the one before, which may not have seen the trial's best.
        best = trial.best(self._ledger.search.direction)
        found = load_latest(checkpoints(self.folder, trial.number))
        return best is not None and found is not None and best.samples in {r["samples"] for r in found.state["reports"]}

    def _publish(self, mirror: Mirror, report: dict[str, Any], stop: Stop) -> dict[str, Any]:
        """Hands the winner to MLflow; where MLflow is down the search is no less done."""
        tracking = self.plan.spec.tracking
        report = {**report, "seconds": self._elapsed}
        report["notes"] = [note for note in report["notes"] if not note.startswith(UNPUBLISHED)]
        write(report, self.folder)
        known = report.get("mlflow")

        def files(published: Published) -> list[Path]:
            report["mlflow"] = asdict(published)
            write(report, self.folder)
            return [self.folder / name for name in ("report.md", REPORT, SPEC)]

        try:
            mirror.finish(
                report,
                model_dir=self.folder / MODEL,
                model_name=self._ledger.search.name if tracking.register_model else None,
                pipeline=self.plan.task.pipeline,
                artifacts=files,
                timeout=min(60.0, self._left),
                check=stop.check,
            )
        except TrackingError as error:
            report["mlflow"] = known
            report["notes"].append(f"{UNPUBLISHED}: {error}; later: {resume_command(self.folder)}")
            write(report, self.folder)
        return report
