"""The model registry: a version for each winner, and which of them is the champion.

The rule. The first version of a model is the champion. A later one takes its place only where both were scored with
the same metric on the same test rows (`autoft.test_fingerprint`) and the later score is strictly better. Where the
test rows differ, the scores can't be compared, so the champion stays, and so it does where either has no score. The
version that loses the alias `champion` gets the alias `previous`. Whatever is decided is written on the version, with
its reason. A person may move the alias by hand at any time: the next winner is compared with whatever is there then.

The score of a champion that has beaten others on the same rows is flattered by that, as every chosen score is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from autoft.records import Direction, SearchRecord
from autoft.tracking import projection
from autoft.tracking.tables import number

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, PREVIOUS = "champion", "previous"
CONTENT = "autoft.content"  # digest of weights and config: the model's identity
DECISION = "autoft.decision"
SINCE = "autoft.champion_since"
UNTIL = "autoft.champion_until"
_TEST, _INTERVAL, _ROWS = "autoft.test_score", "autoft.test_interval", "autoft.test_fingerprint"
_MANY = 4500  # characters of a description; MLflow takes 5,000


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    Attributes:
        version: Its number.
        champion: Whether it is the champion.
        decision: Why it is, or is not, in a sentence.
    """

    version: str
    champion: bool
    decision: str


@dataclass(frozen=True)
class Measured:
    """What a version's tags say of how it was scored; an empty text or None where they don't.

    Attributes:
        search: Name of its search.
        task: Name of the task.
        metric: The objective.
        direction: Its direction.
        rows: Fingerprint of the test rows.
        score: The objective on them.
        interval: Its 95 % interval.
    """

    search: str
    task: str
    metric: str
    direction: str
    rows: str
    score: float | None
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, search: SearchRecord, report: Mapping[str, Any]) -> Measured:
        """The winner of a search, from its report."""
        winner = report.get("winner") or {}
        low, high = (_finite(end) for end in winner.get("test_interval") or (None, None))
        return cls(
            search=search.name,
            task=search.task,
            metric=search.metric,
            direction=str(search.direction),
            # Where only the whole data's fingerprint is known: it holds the test rows, too.
            rows=search.tags.get("test_fingerprint") or search.tags.get("fingerprint", ""),
            score=_finite(winner.get("test")),
            interval=None if low is None or high is None else (low, high),
        )

    @classmethod
    def read(cls, tags: Mapping[str, str]) -> Measured:
        """A version, from its tags."""
        low, high = (_finite(part) for part in tags.get(_INTERVAL, "").partition(" to ")[::2])
        return cls(
            search=tags.get(projection.NAME, ""),
            task=tags.get("autoft.task", ""),
            metric=tags.get("autoft.metric", ""),
            direction=tags.get("autoft.direction", ""),
            rows=tags.get(_ROWS, ""),
            score=_finite(tags.get(_TEST)),
            interval=None if low is None or high is None else (low, high),
        )

    def tags(self) -> dict[str, str]:
        """The tags that `read` reads."""
        found = {
            projection.NAME: self.search,
            "autoft.task": self.task,
            "autoft.metric": self.metric,
            "autoft.direction": self.direction,
            _ROWS: self.rows,
            _TEST: "" if self.score is None else repr(self.score),
            _INTERVAL: "" if self.interval is None else f"{self.interval[0]!r} to {self.interval[1]!r}",
        }
        return {key: value for key, value in found.items() if value}


def decide(new: Measured, champion: Measured | None, version: str = "") -> tuple[bool, str]:
    """Whether a new version takes the place of the champion, and why.

    Args:
        new: The new version.
        champion: The champion; None where there is none.
        version: The champion's number.
    """
    if champion is None:
        return True, "Champion: there was no other under this name."
    who = f"version {version}{f' (search {champion.search})' if champion.search else ''}"
    stays = f"Not the champion: {who} stays,"
    if new.score is None:
        return False, f"{stays} for this one has no test score."
    if champion.score is None:
        return False, f"{stays} for it has no test score to compare with."
    if (new.task, new.metric, new.direction) != (champion.task, champion.metric, champion.direction):
        return False, f"{stays} for it was measured by {champion.metric} ({champion.task}), this one by {new.metric}."
    if not new.rows or new.rows != champion.rows:
        return False, f"{stays} for it was measured on other test rows, so the two scores can't be compared."
    scores = f"{new.metric} {number(new.score)} against {number(champion.score)} on the same test rows"
    if not Direction(new.direction).better(new.score, champion.score):
        return False, f"{stays} for this one is not better: {scores}."
    apart = new.interval and champion.interval and not _overlap(new.interval, champion.interval)
    hedge = "" if apart else " Their 95 % intervals overlap, so the lead may be chance."
    return True, f"Champion: better than {who}: {scores}.{hedge}"


def register(
    client: MlflowClient,
    search: SearchRecord,
    name: str,
    model_id: str,
    *,
    run_id: str,
    content: str,
    measured: Measured,
    verdict: str,
) -> Registered:
    """Make a logged model a version of the registered model `name`, and the champion where it is the better one.

    Each step may be cut off and repeated: the alias moves last, when all that is said of it stands.

    Args:
        client: Client of the store.
        search: The search.
        name: Name of the registered model.
        model_id: The logged model.
        run_id: The search's run.
        content: Digest of the model's files: the same model of the same search gets no second version.
        measured: How it was scored.
        verdict: The outcome of the search in a few sentences, for the version's description.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=f"Models that autoft has found for {search.task}.")
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise
    tags = {projection.SEARCH: search.id, CONTENT: content, **measured.tags()}
    quoted = name.replace("'", "''")
    found = client.search_model_versions(f"name = '{quoted}' AND tags.`{CONTENT}` = '{content}'")
    versions = [version for version in found if version.tags.get(projection.SEARCH) == search.id]
    if versions:
        version = max(versions, key=lambda version: int(version.version))
    else:
        source = _source(client, model_id)
        version = client.create_model_version(
            name, source=source, run_id=run_id, tags=tags, description=verdict[:_MANY], model_id=model_id
        )
    # As mlflow.register_model notes it, for the model's page to link to its versions.
    noted = json.dumps([{"name": name, "version": version.version}])
    client.set_logged_model_tags(model_id, {"mlflow.modelVersions": noted})
    return _crown(client, name, str(version.version), tags=tags, measured=measured, verdict=verdict)


def _crown(
    client: MlflowClient, name: str, version: str, *, tags: Mapping[str, str], measured: Measured, verdict: str
) -> Registered:
    """Decide on a version and write it down."""
    aliases = {alias: str(number) for alias, number in client.get_registered_model(name).aliases.items()}
    holder = aliases.get(CHAMPION)
    known = client.get_model_version(name, version).tags
    if holder == version:
        said = known.get(DECISION, "")
        return Registered(version, True, said if said.startswith("Champion") else "Champion: a person has made it so.")
    former = None if holder is None else Measured.read(client.get_model_version(name, holder).tags)
    moves, reason = decide(measured, former, holder or "")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    wanted = {**tags, DECISION: reason, **({SINCE: now} if moves else {})}
    for key, value in wanted.items():
        if known.get(key) != value:
            client.set_model_version_tag(name, version, key, value)
    by_hand = f'client.set_registered_model_alias("{name}", "{CHAMPION}", "{version}")'
    said = reason if moves else f"{reason} To make it the champion all the same: `{by_hand}`"
    client.update_model_version(name, version, f"{said}\n\n{verdict}"[:_MANY])
    if moves:
        if holder is not None:
            _step_down(client, name, holder, version, now)
            client.set_registered_model_alias(name, PREVIOUS, holder)
        client.set_registered_model_alias(name, CHAMPION, version)
    return Registered(version, moves, reason)


def _step_down(client: MlflowClient, name: str, former: str, successor: str, now: str) -> None:
    """Write on the former champion that it is one no longer."""
    known = client.get_model_version(name, former)
    said = f"Champion until version {successor} was better."
    if known.tags.get(DECISION) == said:
        return
    rest = (known.description or "").removeprefix(known.tags.get(DECISION, "")).lstrip()
    client.update_model_version(name, former, f"{said}\n\n{rest}"[:_MANY])
    client.set_model_version_tag(name, former, UNTIL, now)
    client.set_model_version_tag(name, former, DECISION, said)


def _source(client: MlflowClient, model_id: str) -> str:
    # A database without a server looks an id up in the process's global store, which is another one or none; a
    # server takes nothing but ids where the files lie with it.
    if str(client.tracking_uri).startswith("http"):
        return f"models:/{model_id}"
    return str(client.get_logged_model(model_id).artifact_location)


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _finite(value: object) -> float | None:
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
