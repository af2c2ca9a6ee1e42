"""A world of recorded learning curves, and the search core driven through it in virtual time.

A configuration that wasn't recorded gets the mean of its three nearest neighbours of the same model, each weighted by
the inverse square of its distance, and compared at the same progress: the share of their horizons that was seen. What
it costs is the same mean over the neighbours in depth and batch size.
"""

from __future__ import annotations

import heapq
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from autoft.records import Direction, Report, SearchRecord, TrialConfig
from autoft.space import Space, resolve
from autoft.spec import parse
from autoft.study.core import Core, Decision
from autoft.study.halving import Halving
from autoft.study.ledger import Ledger
from autoft.study.starting import anchor, starting_points

NEIGHBOURS = 3
# What a change of a knob over its whole range counts for, beside one of the depth: a guess, and a coarse one.
_WEIGHTS = {"learning_rate": 2.0, "batch_size": 0.5, "epochs": 0.5, "freeze_depth": 1.0}


class World:
    """Recorded curves of one data set.

    Args:
        recorded: What `benchmarks.recording` wrote.
        space: Dimensions by knob, as in a spec.

    Attributes:
        rows: Training rows.
        space: What can be searched.
        start: Points to try first.
        anchor: The one of them that is never paused.
        best: The best value that was recorded anywhere.
    """

    def __init__(self, recorded: Mapping[str, Any], space: Mapping[str, Any]) -> None:
        self.rows = int(recorded["rows"])
        self.metric = str(recorded["metric"])
        self._blocks: dict[str, int] = dict(recorded["blocks"])
        curves = [curve for curve in recorded["curves"] if curve["samples"]]
        self._curves = {model: [c for c in curves if c["model"] == model] for model in self._blocks}
        self._curves = {model: own for model, own in self._curves.items() if own}
        spec = parse({"task": "text-classification", "data": "recorded", "models": list(self._curves), "space": space})
        self.space: Space = resolve(spec.space, tuple(self._curves), {}, self._blocks, seed=0)
        self._places = {model: np.array([self._place(c) for c in own]) for model, own in self._curves.items()}
        # A probe would say which model is the better one; so do the curves.
        order = sorted(self._curves, key=lambda model: -max(max(curve["value"]) for curve in self._curves[model]))
        self.start = starting_points(self.space, order, self._blocks)
        self.anchor = anchor(self.space, order, self._blocks)
        self.best = max(max(curve["value"]) for curve in curves)
        self.near = lru_cache(maxsize=None)(self._near)
        self.costs = lru_cache(maxsize=None)(self._costs)

    @classmethod
    def load(cls, path: Path, space: Mapping[str, Any]) -> World:
        """The world in a file of `benchmarks/curves`."""
        return cls(json.loads(path.read_text(encoding="utf-8")), space)

    def report(self, config: TrialConfig, samples: int, seconds: float, now: float) -> Report:
        """What a trial measures at a milestone."""
        progress = samples / (config.epochs * self.rows)
        value = loss = 0.0
        for curve, share in self.near(config):
            seen = np.asarray(curve["samples"]) / (curve["epochs"] * self.rows)
            value += share * float(np.interp(progress, seen, curve["value"]))
            loss += share * float(np.interp(progress, seen, curve["loss"]))
        return Report(samples, value, {"loss": loss}, loss, seconds, now)

    def full_cost(self) -> float:
        """Seconds of a full fine-tune of the dearest model at the longest horizon, batch 16."""
        epochs = self.space.max_epochs
        trials = (TrialConfig(model, 2e-5, 16, epochs, 0) for model in self._curves)
        return max(self.costs(config)[0] * epochs * self.rows for config in trials)

    def _near(self, config: TrialConfig) -> list[tuple[Mapping[str, Any], float]]:
        knobs = {knob: getattr(config, knob) for knob in _WEIGHTS} | {"model": config.model}
        return self._weighted(config.model, np.ones(len(_WEIGHTS)), self._place(knobs))

    def _costs(self, config: TrialConfig) -> tuple[float, float, float]:
        """Seconds for a training sample, for an evaluation, and for the start."""
        knobs = {knob: getattr(config, knob) for knob in _WEIGHTS} | {"model": config.model}
        relevant = np.array([knob in ("batch_size", "freeze_depth") for knob in _WEIGHTS], dtype=float)
        near = self._weighted(config.model, relevant, self._place(knobs))
        train, evaluate, load = (
            sum(share * curve[key] for curve, share in near) for key in ("train", "evaluate", "load")
        )
        return train, evaluate, load

    def _weighted(self, model: str, mask: Any, place: Any) -> list[tuple[Mapping[str, Any], float]]:
        distances = (((self._places[model] - place) * mask) ** 2).sum(axis=1)
        nearest = np.argsort(distances, kind="stable")[:NEIGHBOURS]
        weights = 1.0 / (distances[nearest] + 1e-6)
        shares = weights / weights.sum()
        return [(self._curves[model][i], float(share)) for i, share in zip(nearest, shares, strict=True)]

    def _place(self, knobs: Mapping[str, Any]) -> Any:
        return np.array([
            _WEIGHTS["learning_rate"] * math.log10(knobs["learning_rate"]) / 2,
            _WEIGHTS["batch_size"] * math.log2(knobs["batch_size"]) / 2,
            _WEIGHTS["epochs"] * knobs["epochs"] / 3,
            _WEIGHTS["freeze_depth"] * knobs["freeze_depth"] / self._blocks[knobs["model"]],
        ])  # fmt: skip


@dataclass
class Outcome:
    """What a simulated search did.

    Attributes:
        trials: Number of trials started.
        seconds: Virtual time from its start to its end.
        decided: Seconds of this processor's time that the core took, in all its calls.
        calls: Number of those calls.
        most: Trials at once, at most.
        rising: Every new best value, with its virtual time.
    """

    trials: int = 0
    seconds: float = 0.0
    decided: float = 0.0
    calls: int = 0
    most: int = 0
    rising: list[tuple[float, float]] = field(default_factory=list)

    def best(self, at: float) -> float:
        """The best value known at a virtual time; 0 before the first."""
        return max((value for when, value in self.rising if when <= at), default=0.0)


def search(
    world: World,
    *,
    rungs: Sequence[int],
    eta: int,
    sampler: str,
    seed: int,
    workers: int,
    trials: int | None,
    budget: float = math.inf,
    pause: float = 0.0,
    path: Path | None = None,
) -> Outcome:
    """Drives a real core through the world, from the points on that a search tries first.

    Args:
        world: What the trials would measure, and what they would cost.
        rungs: In samples; none for a search without pauses.
        eta: One in `eta` goes on.
        sampler: Its name.
        seed: Of the search.
        workers: Trials at once.
        trials: To start in all; None: as many as there is time for.
        budget: Virtual seconds after which the search is closed.
        pause: Seconds that a pause and a resumption cost together.
        path: Of a ledger on the disk; in memory by default.
    """
    record = SearchRecord("simulated", "simulated", "text-classification", world.metric, Direction.MAXIMIZE, 0.0)
    ledger = Ledger.create(path, record)
    halving = Halving(rungs, eta, places=max(8, workers))
    outcome, clock = Outcome(), _Stopwatch()
    core = clock(
        Core, ledger, world.space, halving,
        sampler=sampler, seed=seed, workers=workers, trials=trials, start=world.start, anchor=world.anchor,
    )  # fmt: skip
    events: list[tuple[float, int, int]] = []  # when a trial reaches a milestone, its number, the milestone
    seen: dict[int, int] = {}
    spent: dict[int, float] = {}
    now = 0.0

    def begin(number: int, extra: float = 0.0) -> None:
        config = core.config(number)
        ends = range(world.rows, config.epochs * world.rows + 1, world.rows)
        samples = min(s for s in (*rungs, *ends) if seen.get(number, 0) < s <= ends[-1])
        train, evaluate, _ = world.costs(config)
        cost = train * (samples - seen.get(number, 0)) + evaluate
        spent[number] = spent.get(number, 0.0) + cost
        heapq.heappush(events, (now + extra + cost, number, samples))

    while True:
        while (number := clock(core.next)) is not None:
            begin(number, pause if number in seen else world.costs(core.config(number))[2])
        outcome.most = max(outcome.most, len(events))
        if not events:
            break
        now, number, samples = heapq.heappop(events)
        if now > budget:
            core.close("out of time")
            break
        config = core.config(number)
        report = world.report(config, samples, spent[number], now)
        seen[number] = samples
        if report.value > outcome.best(now):
            outcome.rising.append((now, report.value))
        if samples == config.epochs * world.rows:
            clock(core.complete, number, "horizon", report)
        elif clock(core.report, number, report) is Decision.CONTINUE:
            begin(number)
    outcome.trials, outcome.seconds = len(ledger), min(now, budget)
    outcome.decided, outcome.calls = clock.seconds, clock.calls
    ledger.close()
    return outcome


class _Stopwatch:
    """Calls, and how long they took."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0

    def __call__(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        result = function(*args, **kwargs)
        self.seconds += time.process_time() - start
        self.calls += 1
        return result
