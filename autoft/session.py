"""One search from its plan to its winner, in the folder `runs/NAME`.

    spec.yaml      the spec with every default filled in
    data/          the rows as they were split; the test part is read once, at the end
    study.db       the ledger: an Optuna study
    checkpoints/   of trials that may still go on or win
    ray/           Ray Tune's own record of each session
    model/         the winner
    report.json, report.md

A search that was stopped, however rudely, goes on from this folder alone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoft import data
from autoft.errors import AutoftError, Interrupted, SearchError, SpecError
from autoft.planning import Plan, plan
from autoft.records import SearchRecord, Snapshot, TrialRecord, TrialState
from autoft.report import bootstrap_interval, build, write
from autoft.spec import RUNS, SearchSpec, load, write_yaml
from autoft.study.core import Core
from autoft.study.driver import Limits, drive, ray_session
from autoft.study.halving import Halving
from autoft.study.ledger import Ledger
from autoft.study.trainable import checkpoints
from autoft.tracking import Mirror, Target, default_uri
from autoft.training.export import export
from autoft.training.job import Job, horizon
from autoft.training.predict import Predictor

Observer = Callable[[Snapshot], None]

SPEC, STUDY, DATA, MODEL, REPORT = "spec.yaml", "study.db", "data", "model", "report.json"
# Seconds of a budget kept for the final evaluation and for MLflow: a tenth, within these.
RESERVE = (15.0, 60.0)
# How often whoever watches is told.
REFRESH = 0.25


def prepare(spec: SearchSpec, runs: Path, *, replace: bool) -> tuple[Path, Plan]:
    """Checks everything and makes the folder of a search, whole or not at all.

    Raises:
        InputError: One line for each problem; nothing was written.
    """
    folder = runs / spec.name
    if folder.exists() and not replace:
        raise SpecError(
            f"name: {folder} exists already; go on with it ({resume_command(folder)}), "
            f"take another name (--name), or delete it first (--replace)"
        )
    planned = plan(spec, runs)
    runs.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{spec.name}-", dir=runs))
    try:
        draft.chmod(0o755)
        write_yaml(planned.spec, draft / SPEC)
        data.write(planned.splits, draft / DATA)
        metric = planned.metric
        record = SearchRecord(
            id=uuid.uuid4().hex,
            name=spec.name,
            task=spec.task,
            metric=metric,
            direction=planned.task.metrics[metric],
            started=time.time(),
            tags={"data": spec.data.source or spec.data.train or "", "fingerprint": planned.splits.fingerprint},
        )
        Ledger.create(draft / STUDY, record).close()
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder, planned


def reopen(folder: Path, changes: Mapping[str, Any]) -> Plan:
    """The plan of a search that goes on.

    Args:
        folder: The folder of the search.
        changes: Entries of the spec's `search` section that are different from now on.

    Raises:
        InputError: There is no such search, or it can't go on here.
    """
    if not (folder / SPEC).is_file():
        raise SpecError(f"{folder}: there is no search; `autoft show --all` lists those there are")
    spec = load(folder / SPEC)
    if changes:
        spec = spec.model_copy(update={"search": spec.search.model_copy(update=dict(changes))})
        write_yaml(spec, folder / SPEC)
    return plan(spec, folder.parent, data.read(folder / DATA))


def resume_command(folder: Path) -> str:
    """What a person types to go on with the search in `folder`."""
    elsewhere = "" if folder.parent == RUNS else f" --runs {folder.parent}"
    return f"autoft resume {folder.name}{elsewhere}"


@dataclass
class Session:
    """A search that is being run by this process.

    Attributes:
        folder: Its folder.
        plan: What it does.
        observer: Told how it goes.
        began: `time.monotonic()` of the moment from which the budget counts.
        budget: Seconds for this session; None where there is no bound.
    """

    folder: Path
    plan: Plan
    observer: Observer
    began: float
    budget: float | None

    def run(self) -> dict[str, Any]:
        """Trains what is left to train, picks the winner, hands it over.

        Returns:
            The report.

        Raises:
            SearchError: No trial gave a model.
            Interrupted: The user stopped it; `autoft resume` goes on.
        """
        self._ledger = ledger = Ledger.open(self.folder / STUDY)
        self._before = ledger.spent
        self._told = 0.0
        tracking = self.plan.spec.tracking
        uri = tracking.uri or default_uri(self.folder.parent)
        blocks = {model.ref: model.blocks for model in self.plan.models}
        mirror = Mirror(ledger.search, Target(uri, tracking.experiment), ledger.records, blocks=blocks)
        mirror.start()
        try:
            self._search()
            self._tell("scoring the winner")
            report = self._finish()
            self._tell("handing over to MLflow")
            report = self._publish(mirror, report)
            self._tell("done")
            return report
        except (KeyboardInterrupt, Interrupted):
            mirror.stop("KILLED")
            raise Interrupted(f"stopped; nothing is lost. Go on with: {resume_command(self.folder)}") from None
        except Exception:
            mirror.stop("FAILED")
            raise
        finally:
            ledger.spend(self._elapsed)
            ledger.close()

    @property
    def _elapsed(self) -> float:
        return self._before + time.monotonic() - self.began

    def _tell(self, phase: str, running: Mapping[int, int] | None = None) -> None:
        now = time.monotonic()
        if running is not None and now - self._told < REFRESH:
            return
        self._told = now
        rows = len(self.plan.splits.train)
        trials = self._ledger.records()
        self.observer(
            Snapshot(
                name=self._ledger.search.name,
                phase=phase,
                metric=self._ledger.search.metric,
                direction=self._ledger.search.direction,
                trials=trials,
                running=dict(running or {}),
                horizons={trial.number: horizon(trial.config, rows) for trial in trials},
                planned=self.plan.spec.search.trials,
                blocks={model.ref: model.blocks for model in self.plan.models},
                elapsed=self._elapsed,
                budget=None if self.budget is None else self._before + self.budget,
            )
        )

    def _search(self) -> None:
        plan, ledger = self.plan, self._ledger
        search = plan.spec.search
        deadline = None
        if self.budget is not None:
            reserve = min(max(0.1 * self.budget, RESERVE[0]), RESERVE[1])
            deadline = self.began + max(self.budget - reserve, self.budget / 2)
        self._tell("starting the workers")
        with ray_session(plan.spec.resources) as workers:
            core = Core(
                ledger,
                plan.space,
                Halving(plan.rungs, search.eta),
                sampler=search.sampler,
                seed=search.seed,
                workers=workers,
                trials=search.trials,
                start=plan.start,
            )
            if core.done:
                core.settle()
                return
            drive(
                core,
                ledger,
                self._job(),
                folder=self.folder,
                resources=plan.spec.resources,
                limits=Limits(search.trials, deadline),
                watch=lambda samples: self._tell("searching", samples),
            )

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
        )

    def _finish(self) -> dict[str, Any]:
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
        test = plan.splits.test
        predictor = Predictor.load(model_dir)
        # What is scored is what is handed over: the saved folder, not the model in memory.
        scores = predictor.scores(test)
        targets = predictor.targets(test)
        measure = plan.task.measure
        metrics = measure(scores, targets, plan.meta)
        interval = bootstrap_interval(lambda s, t: measure(s, t, plan.meta)[metric], scores, targets)
        baselines = {
            name: {"test": (found := measure(trivial, targets, plan.meta))[metric], "metrics": found}
            for name, trivial in plan.task.baselines(plan.splits.train, test, plan.meta).items()
        }
        report = build(
            ledger.search,
            ledger.records(),
            winner.number,
            test=metrics[metric],
            interval=interval,
            test_metrics=metrics,
            baselines=baselines,
            seconds=self._elapsed,
            model_dir=model_dir,
            rows=plan.rows,
            labels=plan.labels,
            fingerprint=plan.splits.fingerprint,
            models={model.ref: {"name": model.name, "blocks": model.blocks} for model in plan.models},
            pipeline=plan.task.pipeline,
            pairs=bool(plan.meta.get("text_pair")),
            notes=(*plan.notes, *plan.splits.notes),
        )
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
        """The best trial on validation whose weights are there."""
        direction = self._ledger.search.direction
        trials = self._ledger.records()
        ranked = sorted(
            (trial for trial in trials if trial.reports and trial.state is not TrialState.FAILED),
            key=lambda trial: (-direction.gain(trial.best(direction).value), trial.number),  # type: ignore[union-attr]
        )
        for trial in ranked:
            if checkpoints(self.folder, trial.number).is_dir():
                return trial
        failed = [trial for trial in trials if trial.state is TrialState.FAILED]
        if failed:
            raise SearchError(
                f"no trial gave a model; {len(failed)} of {len(trials)} failed, the first with: {failed[0].reason}"
            )
        if ranked:
            raise SearchError(f"{self.folder / 'checkpoints'}: the weights of every trial are gone; search again")
        raise SearchError(
            f"time was up before any trial reported; give it more: {resume_command(self.folder)} --budget 10m"
        )

    def _publish(self, mirror: Mirror, report: dict[str, Any]) -> dict[str, Any]:
        """Hands the winner to MLflow; where MLflow is down the search is no less done."""
        tracking = self.plan.spec.tracking
        mirror.flush(60.0)
        try:
            published = mirror.finish(
                report,
                model_dir=self.folder / MODEL,
                model_name=self._ledger.search.name if tracking.register_model else None,
                pipeline=self.plan.task.pipeline,
                artifacts=[self.folder / name for name in ("report.md", REPORT, SPEC)],
            )
        except AutoftError as error:
            notes = [
                *report["notes"],
                f"MLflow does not know of it yet: {error}; later: {resume_command(self.folder)}",
            ]
            report = {**report, "notes": notes}
        else:
            entry = {
                "tracking_uri": published.tracking_uri,
                "experiment": published.experiment,
                "experiment_id": published.experiment_id,
                "run_id": published.run_id,
                "model_name": published.model_name,
                "model_version": published.model_version,
            }
            report = {**report, "mlflow": entry}
        report = {**report, "seconds": self._elapsed}
        write(report, self.folder)
        return report
