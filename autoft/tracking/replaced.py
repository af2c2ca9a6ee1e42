"""What MLflow still shows of searches that this one has replaced (`--replace`): put away, and nothing beside it.

A search is known by its id, which no other search has. Its runs go into MLflow's bin, from which they can be
restored, as soon as the new search shows itself. The versions of its model go when that of the new search stands;
a version with an alias is in use, and stays: the champion, where the new one is not better, the one before it, and
whatever somebody has given a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autoft.records import SearchRecord
from autoft.tracking import projection

if TYPE_CHECKING:
    from mlflow import MlflowClient

MARK = "autoft.replaced"
_PAGE = 500


def delete_runs(client: MlflowClient, search: SearchRecord) -> None:
    """Put the runs of the searches that `search` has replaced into MLflow's bin.

    What MLflow does not allow stays; it would be no reason not to show the new search.

    Raises:
        MlflowException: MLflow is not there.
    """
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    try:
        for identity in search.replaces:
            for run in _runs(client, identity, ViewType.ACTIVE_ONLY):
                client.delete_run(run.info.run_id)
    except MlflowException as error:
        _unless_refused(error)


def delete_models(client: MlflowClient, search: SearchRecord) -> None:
    """Delete the models of the searches that `search` has replaced, but those in use; comes after its own.

    What MLflow does not allow stays.

    Raises:
        MlflowException: MLflow is not there.
    """
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    try:
        for identity in search.replaces:
            runs = {run.info.run_id: run.info.experiment_id for run in _runs(client, identity, ViewType.ALL)}
            for found in client.search_model_versions(_tagged(identity)):
                if found.run_id in runs and found.name == search.name:  # and not a copy under another name
                    _delete_version(client, found.name, str(found.version))
            for experiment in set(runs.values()):
                for model in client.search_logged_models([experiment], _tagged(identity)):
                    if not client.search_model_versions(f"run_id = '{model.source_run_id}'"):  # a copy needs its files
                        client.delete_logged_model(model.model_id)
    except MlflowException as error:
        _unless_refused(error)


def _delete_version(client: MlflowClient, name: str, number: str) -> None:
    version = client.get_model_version(name, number)  # what a search of versions finds has no aliases
    if version.aliases or version.current_stage not in (None, "None", "Archived"):
        client.set_model_version_tag(name, number, MARK, "true")
    else:
        client.delete_model_version(name, number)


def _runs(client: MlflowClient, identity: str, view: int) -> Iterator[Any]:
    """The runs of a search, in whichever experiment they are."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    token: str | None = None
    while experiments:
        page = client.search_runs(
            experiments, _tagged(identity), run_view_type=view, max_results=_PAGE, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _tagged(identity: str) -> str:
    quoted = identity.replace("'", "''")
    return f"tags.`{projection.SEARCH}` = '{quoted}'"


def _unless_refused(error: Any) -> None:
    if error.get_http_status_code() >= 500:
        raise error
