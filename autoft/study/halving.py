"""Asynchronous successive halving with promotion: who goes on from a rung, and who waits.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (arXiv 1810.05934). A trial that
reaches a rung goes on if it stands in the best 1/eta of those seen there so far; else it is paused,
and is promoted later should the others turn out worse. No more than 1/eta of them are sent on in all: one that was
sent on too early, while few had been seen, takes the place of a later one. In a short search those are many. Only the
best of those who wait keep their place (and their checkpoint). Where what a model costs is a second objective, "best"
is by non-domination rank, then by gain: Schmucker et al., "Multi-objective Asynchronous Successive Halving" (arXiv
2106.12639). Pure: no clock, no Ray, no torch.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from autoft.study.ranking import Key, Ranking

PLACES = 8
_LEAST_STEPS = 16
_LEAST_SAMPLES = 768
_APART = 1.5  # times the samples: a rung closer to the end of the first epoch than that isn't worth its evaluation


def default_rungs(rows: int, epochs: int, eta: int, batch_size: int, first: int | None = None) -> tuple[int, ...]:
    """Rungs that grow by `eta`: within the first epoch in samples, then in whole epochs, from the first on.

    At the end of an epoch every trial is evaluated anyway, and one with so long a horizon has nothing left to train.

    Args:
        rows: Number of training rows.
        epochs: The longest horizon, in epochs.
        eta: Factor from a rung to the next.
        batch_size: The largest batch; rungs within an epoch are multiples of it, so that every smaller power-of-two
            batch reaches them exactly.
        first: The first rung in samples; by default a quarter of an epoch, at most 4,000 samples, and at
            least `_LEAST_STEPS` steps of the largest batch: before that, small data tell trials apart by chance. And
            at least `_LEAST_SAMPLES`: where learning curves were recorded, most of the recipes that were good in the
            end stood at the majority's score after 700 samples, and were off it after 1,050.

    Returns:
        Samples seen at each rung, rising and below the longest horizon; empty where the data are too few for a rung.
    """
    quarter = min(rows // 4, 4_000)
    steps = max(_LEAST_STEPS, -(-_LEAST_SAMPLES // batch_size), round(quarter / batch_size))
    rung = steps * batch_size if first is None else first
    rungs: list[int] = []
    while rung * _APART <= rows:
        rungs.append(rung)
        rung *= eta
    end = 1 if rungs else -(-rung // rows)
    if first is not None and not rungs:
        rungs, end = [first], max(1, round(first * eta / rows))
    while end < epochs:
        rungs.append(end * rows)
        end *= eta
    return tuple(rung for rung in rungs if rung < rows * epochs)


class Halving:
    """The rungs of a search.

    Args:
        rungs: Samples seen at each rung, rising.
        eta: One in `eta` trials goes on.
        places: How many may wait at a rung.
    """

    def __init__(self, rungs: Sequence[int], eta: int, places: int = PLACES) -> None:
        self.rungs = tuple(rungs)
        self.eta = eta
        self.places = places
        self._index = {samples: i for i, samples in enumerate(self.rungs)}
        self._levels = [_Rung(eta) for _ in self.rungs]
        self._waits_at: dict[int, _Rung] = {}
        self._last: dict[int, _Place] = {}

    def is_rung(self, samples: int) -> bool:
        """Whether a milestone is a rung."""
        return samples in self._index

    def record(
        self, trial: int, samples: int, gain: Sequence[float], *, spare: bool = False, cost: float = 0.0
    ) -> bool:
        """Takes down a trial's value at a rung.

        Args:
            trial: Number of the trial.
            samples: The rung.
            gain: What it reached there: the objective, then what decides between equals; finite, with the
                signs that make larger better.
            spare: It got there on a worker to spare. It is ranked like any other, but sends nobody on: free
                workers would make the search longer otherwise.
            cost: What its model costs, where that is a second objective; else the same for all.

        Returns:
            Whether the trial goes on at once; otherwise it waits to be promoted.
        """
        self.send(trial)  # it waits no more where it may have waited before
        rung = self._levels[self._index[samples]]
        key = (*(-part for part in gain), trial)
        rung.ranking.add(key, cost)
        rung.senders += not spare
        self._last[trial] = _Place(rung, key, cost)
        if rung.sends(key, cost):
            rung.sent.add(trial)
            return True
        heapq.heappush(rung.waiting.setdefault(cost, []), key)
        self._waits_at[trial] = rung
        return False

    def crowded_out(self, samples: int) -> list[int]:
        """Takes the place from those who wait at a rung behind `places` better ones; they will never go on.

        Returns:
            Their numbers.
        """
        rung = self._levels[self._index[samples]]
        waiting = [
            (key, cost)
            for cost, keys in rung.waiting.items()
            for key in keys
            if self._waits_at.get(int(key[-1])) is rung
        ]
        if len(waiting) <= self.places:
            return []
        waiting.sort(key=lambda entry: rung.ranking.place(*entry))
        lost = [int(key[-1]) for key, _ in waiting[self.places :]]
        for trial in lost:
            self.leave(trial)
        rung.waiting = {}
        for key, cost in waiting[: self.places]:  # sorted, hence heaps
            rung.waiting.setdefault(cost, []).append(key)
        return lost

    def promotable(self, *, last_call: bool = False) -> int | None:
        """The trial to go on with, from the highest rung that has one; None where there is none.

        Args:
            last_call: No new trials will come. Shares are then rounded up, and the best of every rung goes on, so that
                the search ends with a trial trained to its horizon; with two objectives, with all trials of the front.
        """
        for rung in reversed(self._levels):
            if (first := self._first(rung)) is not None and rung.sends(*self._last[first][1:], last_call=last_call):
                return first
        return None

    def runner_up(self) -> int | None:
        """The best of the highest rung where anybody waits, whether or not it has earned its promotion."""
        for rung in reversed(self._levels):
            if (first := self._first(rung)) is not None:
                return first
        return None

    def leads(self, trial: int) -> bool:
        """Whether nobody is better at the last rung that the trial reached (and costs no more)."""
        last = self._last.get(trial)
        return last is not None and last.rung.ranking.leads(last.key, last.cost)

    def send(self, trial: int) -> None:
        """The trial, if it waits, goes on: by right of its place, or with a worker to spare, which takes no place."""
        rung = self._waits_at.pop(trial, None)
        if rung is not None and rung.sends(*self._last[trial][1:], last_call=True):
            rung.sent.add(trial)

    def wait(self, trial: int) -> None:
        """The trial waits where it last was, as one that was sent on and never went."""
        self.withdraw(trial)
        last = self._last.get(trial)
        if last is None:
            return
        waiting = last.rung.waiting.setdefault(last.cost, [])
        if last.key not in waiting:  # one that has left may still lie there
            heapq.heappush(waiting, last.key)
        self._waits_at[trial] = last.rung

    def withdraw(self, trial: int) -> None:
        """The trial has ended where it last was, or failed beyond it: whoever comes next has its place."""
        self.leave(trial)
        if trial in self._last:
            self._last[trial].rung.sent.discard(trial)

    def leave(self, trial: int) -> None:
        """The trial waits no longer, for it has ended. It keeps its place in the rankings."""
        self._waits_at.pop(trial, None)

    def _first(self, rung: _Rung) -> int | None:
        """The number of the best of those who wait at a rung."""
        heads = []
        for cost, waiting in rung.waiting.items():
            while waiting and self._waits_at.get(int(waiting[0][-1])) is not rung:
                heapq.heappop(waiting)  # has left since
            if waiting:
                heads.append((rung.ranking.place(waiting[0], cost), int(waiting[0][-1])))
        return min(heads)[1] if heads else None


class _Rung:
    """One rung: everyone who reached it, and those who wait there.

    Args:
        eta: One in `eta` goes on.

    Attributes:
        senders: How many of them entitle the best to go on.
        sent: Who of them was sent on.
        ranking: All of them.
        waiting: A heap for each cost, since only trials of the same cost keep their order when others come.
    """

    __slots__ = ("_eta", "ranking", "senders", "sent", "waiting")

    def __init__(self, eta: int) -> None:
        self._eta = eta
        self.senders = 0
        self.sent: set[int] = set()
        self.ranking = Ranking()
        self.waiting: dict[float, list[Key]] = {}

    def sends(self, key: Key, cost: float, *, last_call: bool = False) -> bool:
        """Whether a trial that is there, and was not sent on yet, may go on."""
        place = self.ranking.place(key, cost)
        share = -(-self.senders // self._eta) if last_call else self.senders // self._eta
        if place < share and len(self.sent) < share:
            return True
        return last_call and place < min(self.ranking.leaders, self.senders)


class _Place(NamedTuple):
    """Where a trial stands in the ranking of a rung."""

    rung: _Rung
    key: Key
    cost: float
