"""MLflow's own pages: a server for this machine only, and the addresses of runs and models in it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import quote

from autoft.errors import SpecError
from autoft.tracking.target import ENVIRONMENT, Target

LOOPBACK = "127.0.0.1"


def serve(uri: str, host: str = LOOPBACK, port: int = 5000) -> subprocess.Popen[bytes] | str:
    """Start MLflow's server on a store, or name the one that runs already.

    Args:
        uri: Tracking URI.
        host: Address to listen on; anything but the loopback shows the store to others.
        port: Port to listen on.

    Returns:
        The server's process, which the caller waits for and ends; for an http(s) URI its address.

    Raises:
        SpecError: The port is taken.
    """
    if uri.startswith(("http://", "https://")):
        return Target(uri, "").public_uri.rstrip("/")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SpecError(f"--port: {host}:{port} can't be used ({error.strerror}); choose another, or 0") from error
    target = Target(uri, "")
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    if target.database:
        target.database.parent.mkdir(parents=True, exist_ok=True)
        command += ["--artifacts-destination", target.artifact_location or ""]
    environment = {
        **ENVIRONMENT,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a background worker that nothing here has a use for
        **os.environ,
        # Not on the command line, which every user of the machine can read: the URI may hold a password.
        "MLFLOW_BACKEND_STORE_URI": uri,
    }
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)


def free_port(host: str = LOOPBACK) -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_up(url: str, process: subprocess.Popen[bytes], timeout: float = 120.0) -> bool:
    """Wait until the server at `url` answers; False where `process` ends or `timeout` seconds pass before."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 - our own server
                if answer.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    return False


def page(address: str) -> str:
    """One of MLflow's pages with the menu for training; MLflow 3 shows that for language-model agents otherwise."""
    return f"{address}?workflowType=machine_learning"


def run_url(base: str, experiment_id: str, run_id: str) -> str:
    """Address of a run's page on the server at `base`."""
    return page(f"{base.rstrip('/')}/#/experiments/{quote(experiment_id, safe='')}/runs/{quote(run_id, safe='')}")


def model_url(base: str, name: str, version: str | None = None) -> str:
    """Address of a registered model's page, or of one of its versions, on the server at `base`."""
    page = f"{base.rstrip('/')}/#/models/{quote(name, safe='')}"
    return f"{page}/versions/{quote(version, safe='')}" if version else page
