"""A running search where there is no terminal: one line for what has happened, with the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console

from autoft.records import Snapshot, TrialRecord, TrialState, ranked
from autoft.report.labels import recipe, score
from autoft.words import format_duration


class Lines:
    """Prints a line when a trial pauses or ends and when the phase changes; each thing once.

    May be called from any thread.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.time) -> None:
        self._console = console
        self._clock = clock
        self._lock = threading.Lock()
        self._phase = ""
        self._said: dict[int, tuple[TrialState, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, snapshot: Snapshot) -> None:
        """Prints what is new in `snapshot`."""
        with self._lock:
            leader = next(iter(ranked(snapshot.trials, snapshot.direction)), None)
            for trial in sorted(snapshot.trials, key=lambda trial: (trial.finished or float("inf"), trial.number)):
                self._trial(trial, snapshot, trial is leader)
            if snapshot.phase != self._phase:
                self._phase = snapshot.phase
                self._say(f"{snapshot.name}: {snapshot.phase}{_left(snapshot)}")

    def _trial(self, trial: TrialRecord, snapshot: Snapshot, leader: bool) -> None:
        paused = trial.state is TrialState.OPEN
        if paused and (trial.number in snapshot.running or not trial.reports):
            return
        now = (trial.state, trial.samples)
        if self._said.get(trial.number) == now:
            return
        self._said[trial.number] = now
        horizon = snapshot.horizons.get(trial.number)
        of = f" of {horizon:,}" if horizon else ""
        at = f" at {trial.samples:,}{of} samples" if trial.reports else ""
        what = f"#{trial.number} {'paused' if paused else trial.state}{at}"
        best = trial.best(snapshot.direction)
        if best:
            what += f", validation {snapshot.metric} {score(best.value)}{' (best so far)' if leader else ''}"
        what += f"; {recipe(trial.config.as_dict(), snapshot.blocks.get(trial.config.model))}"
        if trial.reason:
            what += f"; {' '.join(trial.reason.split())}"
        self._say(what)

    def _say(self, text: str) -> None:
        stamp = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        self._console.print(f"{stamp}  {text}", markup=False, soft_wrap=True)


def _left(snapshot: Snapshot) -> str:
    if snapshot.budget is None:
        return ""
    return f", {format_duration(max(0.0, snapshot.budget - snapshot.elapsed))} left"
