"""Where MLflow is, how it is named without its password, and how it is kept quiet."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote

from autoft.errors import TrackingError
from autoft.words import public_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]*)")

# A server that is down must cost seconds, not the minutes of MLflow's defaults; the rest is telemetry and noise.
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
)
_LOUD = {
    "mlflow": logging.ERROR,  # its warnings are about model cards and licences of a hub nobody asked
    "alembic": logging.WARNING,
    "urllib3.connectionpool": logging.ERROR,  # it warns of every retry; `Mirror.problem` says it once
}


@dataclass(frozen=True)
class Target:
    """An MLflow store and an experiment in it.

    Attributes:
        uri: Tracking URI: a database such as `sqlite:///…`, or `http(s)://…` of a server. It may hold
            credentials, and is therefore left out of `repr`.
        experiment: Name of the experiment.
    """

    uri: str = field(repr=False)
    experiment: str

    @property
    def public_uri(self) -> str:
        """The URI as it may be shown and stored."""
        return public_uri(self.uri)

    @property
    def database(self) -> Path | None:
        """The SQLite file, or None for any other store."""
        match = _SQLITE.fullmatch(self.uri.partition("?")[0])
        return Path(unquote(match["path"])).absolute() if match and match["path"] else None

    @property
    def artifact_location(self) -> str | None:
        """Where artifacts of a new experiment go: beside the SQLite file; None leaves it to the server."""
        # MLflow's own default is ./mlruns, which depends on the folder that one happens to stand in.
        return (self.database.parent / "mlartifacts").as_uri() if self.database else None


def default_uri(runs: Path) -> str:
    """Tracking URI of the embedded store in the folder of all searches; the folder need not exist yet."""
    return f"sqlite:///{(runs.absolute() / 'mlflow.db').as_posix()}"


def resolve_uri(uri: str | None, runs: Path) -> str:
    """The tracking URI to use: the one given, else `MLFLOW_TRACKING_URI`, else the embedded store in `runs`.

    Credentials belong in MLflow's own environment variables; those in `MLFLOW_TRACKING_URI` are used, and
    never stored (what is stored is `public_uri`).
    """
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(runs)


def connect(target: Target) -> MlflowClient:
    """A client for `target`. Imports MLflow, which takes seconds, but does not talk to the store yet.

    Only this process is changed, and only settings that nobody has made: MLflow's telemetry is off, its
    requests give up after seconds, and it doesn't write on a screen that belongs to the search.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if target.database:
        target.database.parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    for name, level in _LOUD.items():  # after the import, which sets them
        logger = logging.getLogger(name)
        logger.setLevel(max(level, logger.level))
    return MlflowClient(tracking_uri=target.uri, registry_uri=target.uri)


def explain(error: BaseException, target: Target) -> str:
    """`error` in one line for a person, without credentials."""
    if isinstance(error, TrackingError):
        return str(error)
    text = " ".join(public_uri(str(error)).split()) or type(error).__name__
    where = f"MLflow at {target.public_uri}"
    if "timed out" in text or "Max retries exceeded" in text or "Connection refused" in text:
        why = "refuses connections" if "refused" in text else "does not answer"
        return f"{where} {why}; check that the server runs and that the address is right"
    return f"{where}: {text if len(text) <= 300 else text[:299] + '…'}"
