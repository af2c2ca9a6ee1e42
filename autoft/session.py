"""One search from its plan to its winner: trained, scored, handed over."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoft.driving import Clock, Training
from autoft.errors import Interrupted, SearchError, TrackingError
from autoft.finals import Closing, known_records
from autoft.folder import CACHE, MODEL, REPORT, SPEC, STUDY, locked
from autoft.planning import Plan
from autoft.records import Snapshot, TrialRecord, TrialState, ranked
from autoft.report import write, write_html, write_pictures
from autoft.report.card import write_card
from autoft.stopping import Stop, graceful
from autoft.study.ledger import Ledger
from autoft.tracking import Mirror, Published, Target, resolve_uri
from autoft.training.energy import EnergyMeter, added
from autoft.training.job import horizon
from autoft.words import resume_command

Observer = Callable[[Snapshot], None]

REFRESH = 0.25  # seconds between two snapshots for whoever watches
NOTE_TIME = 5.0  # seconds between two notes of the time spent, for a search that gets killed
SPARE = 12.0  # seconds of a budget that have to be left for what may also be left out
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
        self._clock = Clock(began, budget)
        self._lock = locked(folder)
        self._ledger = Ledger.open(folder / STUDY)
        self._before = self._ledger.spent
        self._told = self._noted = 0.0
        self._stopping = False
        self._meter = EnergyMeter()
        self._training = Training(folder, plan, self._ledger, self._clock, self._tell)

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
                self._training.run(stop)
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
            self._meter.stop()
            self._ledger.spend(self._elapsed)
            self._ledger.close()
            self._lock.release()

    @property
    def _elapsed(self) -> float:
        return self._before + self._clock.elapsed

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
                budget=None if self._clock.budget is None else self._before + self._clock.budget,
            )
        )

    def _finish(self, stop: Stop) -> dict[str, Any]:
        """Chooses the winner, saves it and reads the test set, once."""
        plan, ledger = self.plan, self._ledger
        self._check_trained()
        trained = known_records(self.folder)
        before = self._report_before()
        if before is not None and self._still_holds(before, trained):
            return before
        training = self._training
        probed = (training.probed or training.probe(stop)) if ledger.probes else ()
        report = Closing(
            folder=self.folder,
            model_dir=self.folder / MODEL,
            plan=plan,
            ledger=ledger,
            job=training.job,
            question=training.question,
            repeats=training.repeats(),
            trained=trained,
            probed=probed,
            notes=(*training.notes, *self._passed_over()),
        ).judge(
            go_on=lambda seconds: self._clock.left > SPARE + seconds and not stop.requested,
            stopped=lambda: stop.requested,
            elapsed=lambda: self._elapsed,
        )
        report["cost"] |= added(before and before.get("cost"), self._meter.read())
        self._write(report)
        return report

    def _write(self, report: dict[str, Any]) -> None:
        """Writes the report in every form there is; a picture that can't be drawn is a note in it."""
        report["pictures"], undrawn = write_pictures(report, self._ledger.records(), self.plan.rungs, self.folder)
        report["notes"] = list(dict.fromkeys([*report["notes"], *undrawn]))
        write_card(report, self.folder / MODEL)
        write(report, self.folder)
        write_html(report, self.folder)

    def _report_before(self) -> dict[str, Any] | None:
        """The report of an earlier session; None where there is none, or no model with it."""
        path = self.folder / REPORT
        if not path.is_file() or not (self.folder / MODEL).is_dir():
            return None
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return report

    def _still_holds(self, report: Mapping[str, Any], trained: Sequence[TrialRecord]) -> bool:
        """Whether nothing was trained since: the test set is not read again."""
        return bool(
            report["trials"]["total"] == len(self._ledger.records()) and report.get("finals", 0) == len(trained)
        )

    def _passed_over(self) -> list[str]:
        """That the best trial can't win, where its weights are no longer what they were."""
        first = ranked(self._ledger.records(), self._ledger.search.direction)[0]
        if self._training.handed_in(first):
            return []
        return [
            f"trial {first.number} was the best on validation and could not win, for its weights are damaged or gone; "
            f"a search with --replace trains it again"
        ]

    def _check_trained(self) -> None:
        """Whether there is a trial whose best weights are there, and whole.

        Raises:
            SearchError: There is none.
        """
        trials = self._ledger.records()
        contenders = ranked(trials, self._ledger.search.direction)
        if any(self._training.handed_in(trial) for trial in contenders):
            return
        failed = [trial for trial in trials if trial.state is TrialState.FAILED]
        if contenders and not failed:
            place = self.folder / "checkpoints"
            raise SearchError(f"{place}: the weights of every trial are damaged or gone; search again")
        if failed:
            raise SearchError(
                f"no trial gave a model; {len(failed)} of {len(trials)} failed, the first with: {failed[0].reason}"
            )
        raise SearchError(
            f"time was up before any trial reported; give it more: {resume_command(self.folder)} --budget 10m"
        )

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
            write_html(report, self.folder)
            written = ("report.md", REPORT, SPEC, "report.html", "pictures")
            return [path for name in written if (path := self.folder / name).exists()]

        try:
            mirror.finish(
                report,
                model_dir=self.folder / MODEL,
                model_name=self._ledger.search.name if tracking.register_model else None,
                pipeline=self.plan.task.pipeline,
                artifacts=files,
                timeout=min(60.0, self._clock.left),
                check=stop.check,
                finals=known_records(self.folder),
            )
        except TrackingError as error:
            report["mlflow"] = known
            report["notes"].append(f"{UNPUBLISHED}: {error}; later: {resume_command(self.folder)}")
            write(report, self.folder)
        return report
