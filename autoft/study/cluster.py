"""Ray's lifetime, and how many trials it can run at once."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shutil
import socket
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autoft.errors import ResourceError
from autoft.spec import Resources
from autoft.training.devices import cores

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

_STARTING = {
    # Ray would start processes ahead whose environment is not that of the trials: they would never train, and take the
    # cores from the probes meanwhile.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_preload_python_modules": "autoft.study.preload",
}
_PATIENCE = 10.0  # seconds for a collection that another thread has begun


@contextlib.contextmanager
def ray_session(resources: Resources) -> Iterator[int]:
    """Ray, for as long as the search lasts; gives the number of trials that run at once.

    Raises:
        ResourceError: The cores or GPUs are not there, or the cluster can't be reached.
    """
    os.environ |= {key: os.environ.get(key, value) for key, value in _ENVIRONMENT.items()}
    import ray

    if ray.is_initialized():  # the caller's own, which is not ours to end
        yield cluster_workers(resources, ray.cluster_resources())
        return
    local: dict[str, Any] = {}
    if resources.address is None:
        os.environ |= {key: os.environ.get(key, value) for key, value in _STARTING.items()}
        local = {"num_cpus": cores(), "include_dashboard": False}
    try:
        context = ray.init(
            # Without any address Ray would join a cluster that happens to run here, and refuse the number of cores.
            address=resources.address or "local",
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
        with _no_garbage():
            ray.shutdown()
        if resources.address is None and "RAY_TMPDIR" not in os.environ:  # whoever names a place looks there
            _forget(Path(context.address_info["session_dir"]))


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """Collects all garbage, and keeps every thread from collecting any for as long as the block runs.

    What Tune leaves behind takes its placement groups back when it is collected. Were that done by another thread while
    Ray ends, Ray would end the process as well ("the core worker has already been shutdown").
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        circle: list[Any] = [_Sentinel()]
        circle[0].circle, gone = circle, weakref.ref(circle[0])
        del circle
        patience = time.monotonic() + _PATIENCE
        # As long as another thread is collecting, `collect` does nothing.
        while gone() is not None and time.monotonic() < patience:
            if not gc.collect():
                time.sleep(0.01)
        yield
    finally:
        if enabled:
            gc.enable()


class _Sentinel:
    circle: list[Any]


def _forget(session: Path) -> None:
    """Deletes the folder that a Ray of ours has left: sockets and logs, megabytes for each search."""
    latest = session.parent / "session_latest"
    with contextlib.suppress(OSError):
        if latest.is_symlink() and latest.readlink().name == session.name:  # and not a Ray that began later
            latest.unlink()
    shutil.rmtree(session, ignore_errors=True)


def reachable(address: str) -> None:
    """Looks whether anybody listens at `HOST:PORT`; Ray itself would wait for minutes.

    Raises:
        ResourceError: Nobody does.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # `auto`, or a scheme of Ray's own: Ray says what is wrong with it
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ResourceError(
            f"resources.address: no Ray cluster at {address} ({error}); "
            f"start one with `ray start --head`, or leave the address out to use this machine"
        ) from None


def local_workers(resources: Resources, gpus: int = 0) -> int:
    """Trials at once on this machine.

    Args:
        resources: What is asked for.
        gpus: Number of GPUs there are.

    Raises:
        ResourceError: More is asked for than there is.
    """
    there = cores()
    if resources.cpus_per_trial > there:
        raise ResourceError(
            f"resources.cpus_per_trial: {resources.cpus_per_trial} cores for each trial, but this machine has {there}"
        )
    if resources.gpus_per_trial > gpus:
        raise ResourceError(
            f"resources.gpus_per_trial: {resources.gpus_per_trial:g} GPU(s) for each trial, but this machine has {gpus}"
        )
    fit = there // resources.cpus_per_trial
    if resources.gpus_per_trial:
        fit = min(fit, int(gpus / resources.gpus_per_trial + 1e-6))
    if resources.workers is not None and resources.workers > fit:
        raise ResourceError(
            f"resources.workers: {resources.workers} workers with {resources.cpus_per_trial} core(s) each need "
            f"{resources.workers * resources.cpus_per_trial} cores, but this machine has {there}; "
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
