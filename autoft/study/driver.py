"""Drives a search over Ray Tune, from an open ledger to one where every trial has ended.

The clock, the signals and Ray's lifetime live here; the decisions are the core's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from autoft.errors import Interrupted, ResourceError
from autoft.records import TrialState
from autoft.spec import Resources
from autoft.study.core import Core
from autoft.study.ledger import Ledger
from autoft.study.trainable import TrialRunner, checkpoints
from autoft.training.export import keep_best
from autoft.training.job import Job

INTERRUPTED, BUDGET = "interrupted", "out of time"
# After this share of the time no new trial starts; the rest belongs to those that lead.
DRAIN_AT = 0.75
# Ended trials whose weights stay on disk; the winner is one of them.
KEEP_WEIGHTS = 3

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a user's relative paths mean the same in a worker
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's own snapshots are of no use here, the ledger is the state; one at the end is enough.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a search may go on.

    Attributes:
        trials: Trials to start in all; None for as many as time allows.
        deadline: `time.monotonic()` at which training ends; None where only `trials` counts.
    """

    trials: int | None
    deadline: float | None


@contextlib.contextmanager
def ray_session(resources: Resources) -> Iterator[int]:
    """Ray, for as long as the search lasts; gives the number of trials that run at once.

    Raises:
        ResourceError: The cores or GPUs are not there, or the cluster can't be reached.
    """
    os.environ |= {key: os.environ.get(key, value) for key, value in _ENVIRONMENT.items()}
    import ray

    local: dict[str, Any] = {}
    if resources.address is None:
        workers = local_workers(resources)
        local = {"num_cpus": workers * resources.cpus_per_trial, "include_dashboard": False}
    try:
        ray.init(
            address=resources.address,
            configure_logging=True,
            logging_level=logging.ERROR,
            log_to_driver=False,
            **local,
        )
    except (ConnectionError, ValueError) as error:
        where = resources.address or "on this machine"
        raise ResourceError(f"resources.address: no Ray at {where}: {str(error).splitlines()[0]}") from None
    try:
        yield cluster_workers(resources, ray.cluster_resources())
    finally:
        ray.shutdown()


def local_workers(resources: Resources) -> int:
    """Trials at once on this machine.

    Raises:
        ResourceError: More is asked for than there is.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if resources.cpus_per_trial > cores:
        raise ResourceError(
            f"resources.cpus_per_trial: {resources.cpus_per_trial} cores for each trial, but this machine has {cores}"
        )
    fit = cores // resources.cpus_per_trial
    if resources.workers is not None and resources.workers > fit:
        raise ResourceError(
            f"resources.workers: {resources.workers} workers with {resources.cpus_per_trial} core(s) each need "
            f"{resources.workers * resources.cpus_per_trial} cores, but this machine has {cores}; "
            f"take at most {fit}"
        )
    return resources.workers or fit


def cluster_workers(resources: Resources, there: Mapping[str, float]) -> int:
    """Trials at once on a cluster with the resources `there`.

    Raises:
        ResourceError: More is asked for than there is.
    """
    fit = int(there.get("CPU", 0) // resources.cpus_per_trial)
    if resources.gpus_per_trial:
        fit = min(fit, int(there.get("GPU", 0) / resources.gpus_per_trial + 1e-6))
    if fit < 1 or (resources.workers is not None and resources.workers > fit):
        raise ResourceError(
            f"resources: {resources.workers or 1} worker(s) with {resources.cpus_per_trial} core(s) and "
            f"{resources.gpus_per_trial:g} GPU(s) each, but Ray has {there.get('CPU', 0):g} cores and "
            f"{there.get('GPU', 0):g} GPUs; that is enough for {fit}"
        )
    return resources.workers or fit


def drive(
    core: Core,
    ledger: Ledger,
    job: Job,
    *,
    folder: Path,
    resources: Resources,
    limits: Limits,
    watch: Callable[[dict[int, int]], None],
) -> None:
    """Runs trials until the core is done, inside a `ray_session`.

    Args:
        core: The decisions.
        ledger: What the core writes to.
        job: What all trials share.
        folder: The folder of the search.
        resources: What a trial may use.
        limits: How long it may go on.
        watch: Gets the samples seen by each running trial, several times a second at most.

    Raises:
        Interrupted: The user stopped it; open trials stay open in the ledger, with their checkpoints.
    """
    from ray import tune

    from autoft.study.adapters import Conductor, CoreScheduler, CoreSearcher

    # Tune reads this when it is made: it may ask for as many trials as there are workers.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(core.workers)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    keeper = _Keeper(ledger, folder)
    timer = _Timer(core, limits)

    def tick(samples: dict[int, int]) -> None:
        timer.tick()
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
    with interruptible(lambda: core.close(INTERRUPTED)):
        tuner.fit()
    if core.closed == INTERRUPTED:
        raise Interrupted("stopped by the user")
    if any(record.reports for record in ledger.records()):
        core.settle()
        keeper.tick()


@contextlib.contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C or SIGTERM calls `stop` once; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        for name in before:
            signal.signal(name, signal.default_int_handler if name == signal.SIGINT else signal.SIG_DFL)
        stop()

    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    for name in before:
        signal.signal(name, handle)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


class _Timer:
    """Closes the core when time is up, and lets no new trial start shortly before."""

    def __init__(self, core: Core, limits: Limits) -> None:
        self._core = core
        self._deadline = limits.deadline
        now = time.monotonic()
        self._drain = None if self._deadline is None else now + DRAIN_AT * (self._deadline - now)

    def tick(self) -> None:
        now = time.monotonic()
        if self._drain is not None and now > self._drain:
            self._core.drain()
        if self._deadline is not None and now > self._deadline:
            self._core.close(BUDGET)


class _Keeper:
    """Frees the disk of trials that have ended, but for the weights of the best."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger = ledger
        self._folder = folder
        self._slim: set[int] = set()
        self._gone: set[int] = set()
        self._ended = -1

    def tick(self) -> None:
        direction = self._ledger.search.direction
        ended = [record for record in self._ledger.records() if record.state is not TrialState.OPEN]
        if len(ended) == self._ended:
            return
        self._ended = len(ended)
        ranked = sorted(
            (record for record in ended if record.reports and record.state is not TrialState.FAILED),
            key=lambda record: (-direction.gain(record.best(direction).value), record.number),  # type: ignore[union-attr]
        )
        keep = {record.number for record in ranked[:KEEP_WEIGHTS]}
        for number in keep - self._slim:
            keep_best(checkpoints(self._folder, number))
            self._slim.add(number)
        for number in {record.number for record in ended} - keep - self._gone:
            shutil.rmtree(checkpoints(self._folder, number), ignore_errors=True)
            self._gone.add(number)
