"""Ray Tune's Searcher and TrialScheduler around the core: they translate, and decide nothing.

Tune asks the searcher for trials that are new to this session, and the scheduler which paused one to
resume; both ask the core. A trial goes through Tune once: it is paused and resumed, never made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from autoft.records import Report
from autoft.study.core import Core, Decision
from autoft.study.trainable import COMPLETE, FAILED

_DECISIONS = {
    Decision.CONTINUE: TrialScheduler.CONTINUE,
    Decision.PAUSE: TrialScheduler.PAUSE,
    Decision.STOP: TrialScheduler.STOP,
}


class Conductor:
    """What searcher and scheduler share.

    Args:
        core: The decisions.
        tick: Called at every turn of Tune's loop with the samples seen by each running trial; it may
            close the core.
    """

    def __init__(self, core: Core, tick: Callable[[dict[int, int]], None]) -> None:
        self.core = core
        self.trials: dict[int, Trial] = {}
        self.samples: dict[int, int] = {}
        self._tick = tick
        self._queued: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles what it is given so as to restore it one day. The ledger is the only state here.
        return {}

    def tick(self) -> None:
        """Passes the time."""
        self._tick({number: self.samples.get(number, 0) for number in self.core.running})

    def take(self, *, known: bool) -> int | None:
        """The next trial to run, where it is one that Tune knows (or one that it doesn't)."""
        if self._queued is None:
            self._queued = self.core.next()
        elif self.core.closed:
            self.core.report(self._queued)  # gives its place back
            self._queued = None
        if self._queued is None or (self._queued in self.trials) is not known:
            return None
        if known and self.trials[self._queued].status != Trial.PAUSED:
            return None  # its checkpoint is still being written
        number, self._queued = self._queued, None
        return number

    def retry(self, number: int) -> None:
        """Tune has lost the trial's worker, at whatever it did, and starts it again."""
        if self._queued == number:
            self._queued = None
        self.core.retry(number)

    def over(self) -> list[Trial]:
        """Paused trials of Tune that will never go on."""
        everyone = self.core.done
        return [
            trial
            for number, trial in self.trials.items()
            if trial.status == Trial.PAUSED and (everyone or self.core.ended(number))
        ]

    def hear(self, result: dict[str, Any]) -> str:
        """Tells the core what a trial did; gives back Tune's word for what it does now."""
        number = int(result["number"])
        self.samples[number] = int(result["samples"])
        reports = [Report(**raw) for raw in result["reports"]]
        if result["outcome"] == COMPLETE:
            self.core.complete(number, result["reason"], *reports)
        elif result["outcome"] == FAILED:
            self.core.fail(number, result["reason"], *reports)
        else:
            return str(_DECISIONS[self.core.report(number, *reports)])
        return str(TrialScheduler.STOP)


class CoreSearcher(Searcher):
    """Gives Tune the trials that are new to it."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, None where a worker has to wait, FINISHED when the search is done."""
        self._conductor.tick()
        core = self._conductor.core
        number = self._conductor.take(known=False)
        if number is None:
            return str(self.FINISHED) if core.done else None
        self._numbers[trial_id] = number
        return {"number": number, "config": core.config(number).as_dict()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial whose worker died more often than Tune retries."""
        if error:
            number = self._numbers[trial_id]
            self._conductor.core.fail(number, "its worker died, again and again (out of memory?)")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the only state."""


class CoreScheduler(TrialScheduler):
    """Pauses, resumes and stops Tune's trials as the core says."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Remembers which of Tune's trials is which."""
        self._conductor.trials[trial.config["number"]] = trial

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        """Obeys the core."""
        decision = self._conductor.hear(result)
        self._conductor.tick()
        return decision

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """The paused trial to go on with; at the end, stops those that will never go on."""
        self._conductor.tick()
        number = self._conductor.take(known=True)
        if number is not None:
            return self._conductor.trials[number]
        for trial in self._conductor.over():
            tune_controller.stop_trial(trial)
            # Tune's record on disk would say PAUSED for ever: it is written for trials with an actor only.
            tune_controller._mark_trial_to_checkpoint(trial)
        return None

    def on_trial_complete(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> None:
        """Nothing more to do: the core knows."""

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        """Nothing more to do: the core knows."""

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """Tune runs the trial again, or gives it up and tells the searcher."""
        self._conductor.retry(trial.config["number"])

    def debug_string(self) -> str:
        """For Tune's own status line, which is off."""
        return "autoft"
