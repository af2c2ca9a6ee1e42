"""The decisions of a search: which trial runs next, who goes on, who waits, when it is over.

It knows neither Ray nor torch nor the clock. Whoever drives it (the Tune adapters, or a simulation)
asks `next`, tells what happened, and obeys the decision that comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any

from autoft.records import Report, TrialConfig, TrialRecord, TrialState
from autoft.space import Space
from autoft.study.ledger import Ledger
from autoft.study.policies import Policy
from autoft.study.sampling import draw

_ATTEMPTS = 40  # draws for a configuration that is new


class Decision(StrEnum):
    """What a trial does after a report."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


class Core:
    """One search.

    Args:
        ledger: Where everything is taken down; trials that it holds open are gone on with.
        space: What is searched.
        halving: Who goes on from a rung; one without rungs never pauses a trial.
        sampler: Name of the sampler.
        seed: Seed of the search.
        workers: Trials at once.
        trials: Number of trials to start in all, None for as many as time allows.
        start: Points of the space to try first; those outside of it are left out.
        anchor: One of them that no rung pauses: slow to start and good in the end, it would never get there.
    """

    def __init__(
        self,
        ledger: Ledger,
        space: Space,
        halving: Policy,
        *,
        sampler: str,
        seed: int,
        workers: int,
        trials: int | None,
        start: Sequence[Mapping[str, Any]] = (),
        anchor: Mapping[str, Any] | None = None,
    ) -> None:
        self._ledger = ledger
        self._space = space
        self._halving = halving
        self._sampler = sampler
        self._seed = seed
        self._workers = workers
        self._trials = trials
        self._start = [
            (str(point.get("model", space.models[0])), params)
            for point in start
            if (params := space.params(point)) is not None
        ]
        fixed = None if anchor is None else space.params(anchor)
        self._anchor = None if anchor is None or fixed is None else space.config(str(anchor["model"]), fixed)
        self._tried = {record.config for record in ledger.records()}
        self._running: set[int] = set()
        self._spare: set[int] = set()  # those among the running that only use a worker nobody else needs
        self._restart: list[int] = []
        self._draining = False
        self._lingering = False  # the clock alone will end the search, and until then no worker has to be idle
        self._closed = ""
        self._cut_short: set[int] = set()
        self._readmit()

    @property
    def workers(self) -> int:
        """Trials at once."""
        return self._workers

    @workers.setter
    def workers(self, workers: int) -> None:
        self._workers = workers

    @property
    def running(self) -> frozenset[int]:
        """Numbers of the trials that hold a worker."""
        return frozenset(self._running)

    @property
    def closed(self) -> str:
        """Why nothing is trained any more; empty while the search goes on."""
        return self._closed

    @property
    def done(self) -> bool:
        """Nothing runs, and nothing will."""
        return not self._running and self._waiting() is None and not self._may_start() and self._beside() is None

    def next(self) -> int | None:
        """The number of the trial to run now, taken as running from here on; None where a worker has to wait.

        A number that was handed out before means a paused trial that goes on.
        """
        if len(self._running) >= self._workers:
            return None
        number = self._waiting()
        if number is None and self._may_start():
            number = self._draw()
            if number is None:  # the space is exhausted: from now on those who wait are all there is
                number = self._waiting()
        if number is None and (number := self._beside()) is not None:
            self._spare.add(number)
        if number is not None:
            if number in self._restart:
                self._restart.remove(number)
            self._halving.send(number)
            self._running.add(number)
        return number

    def ended(self, number: int) -> bool:
        """Whether the trial has ended."""
        return self._ledger[number].state is not TrialState.OPEN

    def config(self, number: int) -> TrialConfig:
        """What a trial trains."""
        return self._ledger[number].config

    def report(self, number: int, *reports: Report) -> Decision:
        """Takes down finite reports, by rising samples, and decides on the trial.

        Without a report it is a sign of life. After a restart several may come at once, and some that are
        known already.
        """
        if self.ended(number):
            self._let_go(number)
            return Decision.STOP
        goes_on = self._take_down(number, reports)
        for report in reports:
            if self._halving.is_rung(report.samples):
                for behind in self._halving.crowded_out(report.samples):
                    self._ledger.prune(behind, self._behind(self._ledger[behind]))
        if number in self._spare and self._halving.leads(number):
            self._spare.discard(number)  # whatever it runs on, the search is about it now
        if goes_on and not self._closed and (number not in self._spare or self._spares_go_on):
            return Decision.CONTINUE
        if self._closed:
            self._cut_short.add(number)
        elif goes_on:  # on a worker to spare, and nobody else trains on: it may still have earned its promotion
            self._halving.wait(number)
        self._let_go(number)
        return Decision.STOP if self.ended(number) else Decision.PAUSE

    def complete(self, number: int, reason: str, *reports: Report) -> None:
        """The trial was trained to its end, with these last reports."""
        if not self.ended(number):
            self._take_down(number, reports)
            self._ledger.complete(number, reason)
        self._leave(number)

    def fail(self, number: int, reason: str, *reports: Report) -> None:
        """The trial broke, after these last reports."""
        if not self.ended(number):
            self._take_down(number, reports)
            self._ledger.fail(number, reason)
        self._leave(number)

    def retry(self, number: int) -> None:
        """The trial's worker died, and it is being run again from its last checkpoint, wherever it stood."""
        if self._ledger[number].state is TrialState.OPEN:
            self._halving.send(number)
            self._running.add(number)

    def drain(self) -> None:
        """No new trials from here on; those that lead go on to their end, and beside them whoever waits."""
        self._draining = True
        self._lingering = self._trials is None  # else it is over when they are

    def close(self, reason: str) -> None:
        """Nothing is trained from here on: every running trial is paused at its next sign of life."""
        self._closed = self._closed or reason

    def interrupt(self) -> None:
        """Nothing is trained from here on, and what is open stays open, to be gone on with."""
        self._closed = "interrupted"

    def settle(self) -> None:
        """Ends the trials that are still open, once the search is done."""
        for record in self._ledger.records():
            if record.state is not TrialState.OPEN:
                continue
            if not record.reports:
                self._ledger.prune(record.number, f"{self._closed} before its first report")
            elif record.number in self._cut_short:
                self._ledger.prune(record.number, f"{self._closed} at {record.samples:,} samples")
            elif self._closed:  # it might have gone on, had there been time
                self._ledger.prune(record.number, f"{self._closed}, waiting at {record.samples:,} samples")
            else:
                self._ledger.prune(record.number, self._behind(record))

    def _behind(self, record: TrialRecord) -> str:
        return f"not among the 1/{self._halving.eta} that went on from {record.samples:,} samples"

    def _gain(self, report: Report) -> tuple[float, float]:
        # Early on many trials are equal, all at the majority's accuracy; the loss tells them apart.
        return self._ledger.search.direction.gain(report.value), -report.metrics.get("loss", 0.0)

    def _take_down(self, number: int, reports: Sequence[Report]) -> bool:
        """Whether the trial may go on after the last of them."""
        goes_on = True
        for report in reports:
            new = self._ledger.report(number, report)
            if new and self._halving.is_rung(report.samples):
                goes_on = self._rank(number, report, spare=number in self._spare)
        return goes_on

    def _rank(self, number: int, report: Report, *, spare: bool = False) -> bool:
        """Whether the trial may go on after a report at a rung."""
        gain, cost = self._gain(report), self._ledger.cost(number)
        goes_on = self._halving.record(number, report.samples, gain, spare=spare, cost=cost)
        if not goes_on and self._ledger[number].config == self._anchor:
            self._halving.send(number)
            return True
        return goes_on

    def _let_go(self, number: int) -> None:
        self._running.discard(number)
        self._spare.discard(number)

    def _leave(self, number: int) -> None:
        self._let_go(number)
        self._end(self._ledger[number])

    def _end(self, record: TrialRecord) -> None:
        """Takes a trial that has ended from the rungs; if it was sent on and came to nothing, its place is free."""
        if record.state is TrialState.FAILED or self._halving.is_rung(record.samples):
            self._halving.withdraw(record.number)
        else:
            self._halving.leave(record.number)

    def _waiting(self) -> int | None:
        if self._closed:
            return None
        if self._restart:
            return self._restart[0]
        return self._halving.promotable(last_call=not self._may_start())

    @property
    def _spares_go_on(self) -> bool:
        return self._lingering or bool(self._running - self._spare)

    def _beside(self) -> int | None:
        """The best of those who wait, where a worker would stand idle: it may show what is in it."""
        return self._halving.runner_up() if self._spares_go_on and not self._closed else None

    def _may_start(self) -> bool:
        if self._closed or self._draining:
            return False
        count = len(self._ledger)
        return count < self._space.size and (self._trials is None or count < self._trials)

    def _draw(self) -> int | None:
        """Starts a trial with a configuration that none had before; None where no new one is found."""
        number = len(self._ledger)
        for model, params in chain(self._start, self._draws(number)):
            config = self._space.config(model, params)
            if config not in self._tried:
                self._tried.add(config)
                return self._ledger.add(config, params, self._space.distributions(model, params))
        self._draining = True
        return None

    def _draws(self, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        history = self._ledger.history()
        attempts = int(self._space.size) if self._sampler == "grid" else _ATTEMPTS
        for attempt in range(attempts):
            yield draw(
                self._space,
                history,
                self._ledger.search.direction,
                # A sampler that is sure of its optimum repeats it; chance finds what is left of the space.
                sampler=self._sampler if attempt < _ATTEMPTS // 4 or self._sampler == "grid" else "random",
                seed=self._seed,
                number=number,
                attempt=attempt,
                two=bool(self._ledger.costs),
            )

    def _readmit(self) -> None:
        """Brings the rungs to where the ledger stands."""
        records = self._ledger.records()
        went_on = [True] * len(records)
        events: list[tuple[float, int, Report | None]] = [
            (report.time, record.number, report) for record in records for report in record.reports
        ]
        events += [(record.finished or 0.0, record.number, None) for record in records if self.ended(record.number)]
        for _, number, report in sorted(events, key=lambda event: (*event[:2], event[2] is None)):  # as they came in
            if report is None:
                self._end(records[number])
                continue
            self._halving.send(number)  # where it waited, it went on since
            if self._halving.is_rung(report.samples):
                went_on[number] = self._rank(number, report)
        for record in records:
            at_rung = bool(record.reports) and self._halving.is_rung(record.reports[-1].samples)
            if record.state is TrialState.OPEN and (not at_rung or went_on[record.number]):
                self._restart.append(record.number)
