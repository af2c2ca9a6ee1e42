"""The champions of an MLflow store: the models that autoft has registered and that are the best of their name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from autoft.errors import TrackingError
from autoft.tracking import projection
from autoft.tracking.registry import CHAMPION, PREVIOUS, SINCE, Measured
from autoft.tracking.target import Target, connect, explain

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Champion:
    """A registered model's champion.

    Attributes:
        model: Name of the registered model.
        version: The champion's number.
        search: Name of the search that found it.
        search_id: The search's id.
        metric: The objective.
        score: The objective on the test rows; None where it is not known.
        interval: Its 95 % interval, where it is known.
        since: Unix time from which it is the champion.
        previous: Version that was the champion before; None where there was none.
    """

    model: str
    version: str
    search: str
    search_id: str
    metric: str
    score: float | None
    interval: tuple[float, float] | None
    since: float
    previous: str | None


def champions(uri: str) -> list[Champion]:
    """The champions in a store, by name; none where the store doesn't exist yet.

    Args:
        uri: Tracking URI.

    Raises:
        TrackingError: MLflow could not be reached or refused.
    """
    target = Target(uri, "")
    if target.database is not None and not target.database.is_file():
        return []
    client = connect(target)
    try:
        found = [_champion(client, name) for name in _names(client)]
    except Exception as error:
        raise TrackingError(explain(error, target)) from error
    return sorted((one for one in found if one is not None), key=lambda one: one.model)


def _names(client: MlflowClient) -> list[str]:
    names: list[str] = []
    token: str | None = None
    while True:
        page = client.search_registered_models(page_token=token)
        names += [model.name for model in page]
        token = page.token
        if not token:
            return names


def _champion(client: MlflowClient, name: str) -> Champion | None:
    aliases: dict[str, Any] = client.get_registered_model(name).aliases  # what a search of models finds may have none
    if CHAMPION not in aliases:
        return None
    version = client.get_model_version(name, str(aliases[CHAMPION]))
    if projection.SEARCH not in version.tags:  # somebody else's model
        return None
    measured = Measured.read(version.tags)
    previous = aliases.get(PREVIOUS)
    try:
        since = datetime.fromisoformat(version.tags.get(SINCE, "")).timestamp()
    except ValueError:  # moved by hand before autoft had moved it
        since = version.creation_timestamp / 1000
    return Champion(
        model=name,
        version=str(version.version),
        search=measured.search or name,
        search_id=version.tags[projection.SEARCH],
        metric=measured.metric,
        score=measured.score,
        interval=measured.interval,
        since=since,
        previous=None if previous is None else str(previous),
    )
