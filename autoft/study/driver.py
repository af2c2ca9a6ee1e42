"""Drives a search over Ray Tune, from an open ledger to one where every trial has ended.

The clock and the disk are looked after here; the decisions are the core's.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from autoft.pareto import front
from autoft.records import TrialRecord, TrialState, ranked
from autoft.spec import Resources
from autoft.stopping import Stop
from autoft.study.core import Core
from autoft.study.ledger import Ledger
from autoft.study.trainable import TrialRunner, checkpoints
from autoft.training.export import keep_best
from autoft.training.job import Job

OUT_OF_TIME = "out of time"
# After this share of the time no new trial starts; the rest belongs to those that lead.
DRAIN_AT = 0.75
# Ended trials whose weights stay on disk; the winner is one of them, or stands on the front.
KEEP_WEIGHTS = 5


def drive(
    core: Core,
    ledger: Ledger,
    job: Job,
    *,
    folder: Path,
    resources: Resources,
    timer: Timer | None,
    stop: Stop,
    watch: Callable[[dict[int, int]], None],
    keep: int = KEEP_WEIGHTS,
) -> None:
    """Runs trials until the core is done, inside a `ray_session`.

    Args:
        core: The decisions.
        ledger: What the core writes to.
        job: What all trials share.
        folder: The folder of the search.
        resources: What a trial may use.
        timer: Ends it in time; None where only the number of trials counts.
        stop: Whether the user has asked to stop.
        watch: Gets the samples seen by each running trial, several times a second at most.
        keep: Ended trials, the best ones, whose weights stay on disk.

    Raises:
        Interrupted: The user stopped it; open trials stay open in the ledger, with their checkpoints.
    """
    from ray import tune

    from autoft.study.adapters import Conductor, CoreScheduler, CoreSearcher

    # Tune reads this when it is made: it may ask for as many trials as there are workers.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(core.workers)
    # What goes wrong with a trial is in the ledger, in a line that a person can read.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    keeper = _Keeper(ledger, folder, keep)

    def tick(samples: dict[int, int]) -> None:
        if stop.requested:
            core.interrupt()
        elif timer is not None:
            timer.tick(core)
        keeper.tick()
        watch(samples)

    conductor = Conductor(core, tick)
    sessions = folder / "ray"
    session = f"session-{sum(1 for _ in sessions.glob('session-*')) + 1}"
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(TrialRunner, job=job, folder=str(folder.absolute())),
            {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial},
        ),
        tune_config=tune.TuneConfig(
            search_alg=CoreSearcher(conductor),
            scheduler=CoreScheduler(conductor),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=lambda trial: f"trial-{trial.config['number']:05d}",
            trial_dirname_creator=lambda trial: f"trial-{trial.config['number']:05d}",
        ),
        run_config=tune.RunConfig(
            name=session,
            storage_path=str(sessions.absolute()),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=2),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )
    tuner.fit()
    stop.check()
    if any(record.reports for record in ledger.records()):
        core.settle()
        keeper.tick()


LEAST_SHARE = 0.4  # of a budget that is for the search, whatever the finals and the end may take


class Timer:
    """Closes the core when time is up, and lets no new trial start shortly before.

    Args:
        end: `time.monotonic()` at which the whole search has to be over.
        reserve: Gives the seconds that the end of the search will need, as far as is known by then.
        share: Of the time that is for training whatever the end may take.
    """

    def __init__(self, end: float, reserve: Callable[[], float], share: float = LEAST_SHARE) -> None:
        self._end = end
        self._reserve = reserve
        self._share = share
        self._began = time.monotonic()

    def tick(self, core: Core) -> None:
        """Looks at the clock."""
        now = time.monotonic()
        deadline = max(self._end - self._reserve(), self._began + self._share * (self._end - self._began))
        if now > self._began + DRAIN_AT * (deadline - self._began):
            core.drain()
        if now > deadline:
            core.close(OUT_OF_TIME)


class _Keeper:
    """Frees the disk of trials that have ended, but for the weights of the best."""

    def __init__(self, ledger: Ledger, folder: Path, keep: int) -> None:
        self._ledger = ledger
        self._keep = keep
        self._folder = folder
        self._whole: dict[int, bool] = {}
        self._gone: set[int] = set()
        self._ended = -1

    def tick(self) -> None:
        direction = self._ledger.search.direction
        ended = [record for record in self._ledger.records() if record.state is not TrialState.OPEN]
        if len(ended) == self._ended:
            return
        self._ended = len(ended)
        # A trial whose weights are damaged takes no place from one that can still win.
        best = islice(filter(self._keeps, ranked(ended, direction)), self._keep)
        cheap = filter(self._keeps, front(ended, direction, self._ledger.costs))
        keep = {record.number for record in (*best, *cheap)}
        damaged = {number for number, whole in self._whole.items() if not whole}
        for number in {record.number for record in ended} - keep - damaged - self._gone:
            shutil.rmtree(checkpoints(self._folder, number), ignore_errors=True)
            self._gone.add(number)

    def _keeps(self, record: TrialRecord) -> bool:
        """Whether the best weights of an ended trial are there; what else it has left is removed."""
        number = record.number
        if number not in self._whole:
            self._whole[number] = number not in self._gone and keep_best(checkpoints(self._folder, number))
        return self._whole[number]
