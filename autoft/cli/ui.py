"""`autoft ui`: MLflow's pages on the searches."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from autoft.cli import options
from autoft.errors import InputError, SpecError, TrackingError
from autoft.words import RUNS


def ui(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A search whose page is to be shown.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 5000,
    runs: options.Runs = RUNS,
    tracking_uri: options.TrackingUri = None,
) -> None:
    """Open the searches in MLflow. Only this machine can reach it; Ctrl-C ends it.

    Examples:
      autoft ui
      autoft ui quickstart
      autoft ui --port 0
    """
    from autoft import tracking
    from autoft.tracking.serve import LOOPBACK

    known = told(runs, name)
    uri = tracking_uri or store_uri(runs, known)
    if not uri.startswith(("http://", "https://")) and tracking_uri is None and not runs.is_dir():
        raise InputError(f"--runs {runs}: there is no such folder, so there are no searches to show")
    port = port or tracking.free_port()
    server = tracking.serve(uri, LOOPBACK, port)
    if isinstance(server, str):  # somebody else's server, which runs already
        typer.echo(f"MLflow: {_page(server, known)}")
        return
    base = f"http://{LOOPBACK}:{port}"
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job starts with Ctrl-C ignored
        signal.signal(number, signal.default_int_handler)
    try:
        if not tracking.wait_until_up(base, server):
            ended = f"it ended with code {server.returncode}" if server.poll() is not None else "it does not answer"
            raise TrackingError(f"MLflow did not start: {ended}")
        typer.echo(f"MLflow: {_page(base, known)}\nCtrl-C ends it")
        code = server.wait()
    except KeyboardInterrupt:
        return
    finally:
        _end(server)
    raise TrackingError(f"MLflow ended by itself with code {code}")


def told(runs: Path, name: str | None) -> dict[str, str]:
    """What a search says of MLflow: its report, and as `given` what its spec says of the store."""
    if name is None:
        return {}
    from autoft import api
    from autoft.spec import read_yaml

    folder = api.folder_of(name, runs)
    if not folder.is_dir():
        raise InputError(f"there is no search {name!r} in {runs}; `autoft show --all` lists them")
    found: dict[str, Any] = {}
    with suppress(FileNotFoundError):  # not finished: the pages are there already, the report is not
        found |= json.loads((folder / "report.json").read_text(encoding="utf-8")).get("mlflow") or {}
    with suppress(SpecError):
        section = read_yaml(folder / "spec.yaml").get("tracking")
        found["given"] = section.get("uri") if isinstance(section, dict) else None
    return {key: str(value) for key, value in found.items() if value is not None}


def store_uri(runs: Path, said: dict[str, str]) -> str:
    """The store of a search; the one in the report is without credentials, and gets those that are known."""
    from autoft import tracking

    shown, given = said.get("tracking_uri"), said.get("given")
    environment = tracking.resolve_uri(None, runs)
    for known in (given, environment):
        if known is not None and shown in (None, tracking.public_uri(known)):
            return known
    return shown or environment


def _page(base: str, said: dict[str, str]) -> str:
    from autoft import tracking

    if "experiment_id" in said and "run_id" in said:
        url: str = tracking.run_url(base, said["experiment_id"], said["run_id"])
        return url
    return base


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
