"""The runs of one search in MLflow: found again by their tags, created once, filled with what is missing.

No file of our own remembers what was logged. A run says it itself: tags name the search and the trial, and
`autoft.samples` is the last report that has arrived. Each step may be cut off and repeated.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autoft.errors import TrackingError
from autoft.records import SearchRecord, TrialRecord, TrialState
from autoft.tracking import projection
from autoft.tracking.target import Target

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Without it MLflow's pages guess, and may open at traces of language-model agents rather than at runs.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_PAGE = 500
_BATCH = 900  # MLflow takes 1,000 metrics, params and tags together


@dataclass
class Run:
    """What is known of a run in MLflow."""

    run_id: str
    status: str
    tags: dict[str, str] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    deleted: bool = False


class Runs:
    """The parent run and the child runs of a search.

    Args:
        client: Client of the store.
        target: Store and experiment.
        search: The search.
        blocks: Number of blocks of each model by its reference, where known.
    """

    def __init__(self, client: MlflowClient, target: Target, search: SearchRecord, blocks: Mapping[str, int]) -> None:
        self.client = client
        self.experiment_id = ""
        self._target = target
        self._search = search
        self._blocks = blocks
        self._parent: Run | None = None
        self._children: dict[int, Run] = {}

    def find(self) -> None:
        """Read from MLflow what is there already; create nothing but the experiment and the parent run.

        Where a create call was given up for lost and arrived after all, the superfluous run is deleted
        (MLflow keeps it in its bin).

        Raises:
            TrackingError: The experiment has been deleted.
        """
        self.experiment_id = self._experiment()
        groups: dict[str, list[Run]] = {}
        for run in self._search_runs():
            groups.setdefault(run.tags.get(projection.TRIAL, ""), []).append(run)
        parents = groups.pop("", [])
        self._parent = self._one_of(parents) if parents else self._create_parent()
        if self._parent.deleted:  # a search that goes on needs its page
            self.client.restore_run(self._parent.run_id)
            self._parent.deleted = False
        self._children = {int(trial): self._one_of(group) for trial, group in groups.items() if trial.isdecimal()}
        for child in self._children.values():
            if not child.deleted and child.tags.get(projection.PARENT) != self.parent.run_id:
                self._log(child, tags={projection.PARENT: self.parent.run_id})

    @property
    def parent(self) -> Run:
        """The run of the search; `find` has to come first."""
        if self._parent is None:
            raise RuntimeError("find() comes first")
        return self._parent

    @property
    def links(self) -> dict[int, str]:
        """Addresses of the trials' pages inside MLflow's own, by trial."""
        return {
            number: f"#/experiments/{self.experiment_id}/runs/{run.run_id}"
            for number, run in self._children.items()
            if not run.deleted
        }

    def set_parent(self, tags: Mapping[str, str], metrics: Iterable[projection.Point] = ()) -> None:
        """Set tags of the parent run that differ, and log metrics."""
        changed = {key: value for key, value in tags.items() if self.parent.tags.get(key) != value}
        self._log(self.parent, metrics=list(metrics), tags=changed)

    def set_status(self, run: Run, status: str, end: float | None) -> None:
        """Set the status of a run, and for any but RUNNING its end in Unix time."""
        if run.status == status:
            return
        if status == "RUNNING":
            self.client.update_run(run.run_id, status=status)
        else:
            self.client.set_terminated(run.run_id, status, None if end is None else projection.milliseconds(end))
        run.status = status

    def bring_up(self, record: TrialRecord, *, ending: bool = False) -> None:
        """Give a trial its run, and the run whatever it lacks: params, points, tags, status.

        Args:
            record: The trial.
            ending: The search stops here, and with it a trial that is still open.
        """
        run = self._children.get(record.number)
        if run is None:
            run = self._children[record.number] = self._create_child(record)
        if run.deleted:  # by a person, who had a reason
            return
        arrived = int(run.tags.get(projection.SAMPLES, "-1"))
        wanted = projection.tags(record)
        # A ledger that lost its last report trains it again: what MLflow has already is not logged twice.
        wanted[projection.SAMPLES] = str(max(arrived, record.samples))
        changed = {key: value for key, value in wanted.items() if run.tags.get(key, "") != value}
        missing = {key: value for key, value in projection.params(record).items() if key not in run.params}
        if changed or missing:
            metrics = [*projection.points(record, arrived), *projection.closing(record, self._search)]
            self._log(run, metrics=metrics, params=missing, tags=changed)
        end = record.finished or (record.reports[-1].time if record.reports else record.started)
        status = projection.STATUS[record.state]
        if record.state is TrialState.OPEN and (ending or self.parent.status != "RUNNING"):
            status = "KILLED"  # until the search goes on
        self.set_status(run, status, end)

    def mark_winner(self, trial: int) -> None:
        """Tag the run of `trial` as the winner, and no other."""
        self.mark(projection.WINNER, {trial})

    def mark(self, tag: str, trials: Container[int]) -> None:
        """Set `tag` to `true` on the runs of `trials`, and on no other."""
        for number, run in self._children.items():
            if run.deleted:
                continue
            if number in trials and run.tags.get(tag) != "true":
                self._log(run, tags={tag: "true"})
            elif number not in trials and tag in run.tags:
                self.client.delete_tag(run.run_id, tag)
                del run.tags[tag]

    def add(self, trial: int, point: projection.Point) -> None:
        """Log a metric on the run of a trial."""
        run = self._children.get(trial)
        if run is not None and not run.deleted:
            self._log(run, metrics=[point])

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self._target.experiment
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self.client.create_experiment(name, self._target.artifact_location, dict(_KIND)))
            except MlflowException:  # another search was faster
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"MLflow at {self._target.public_uri}: experiment {name!r} is in the bin; "
                "restore it there or choose another with --experiment"
            )
        return str(found.experiment_id)

    def _search_runs(self) -> list[Run]:
        from mlflow.entities import ViewType

        found: list[Run] = []
        token: str | None = None
        identity = self._search.id.replace("'", "''")
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.`{projection.SEARCH}` = '{identity}'",
                run_view_type=ViewType.ALL,
                max_results=_PAGE,
                page_token=token,
            )
            found += [_known(run) for run in page]
            token = page.token
            if not token:
                return found

    def _one_of(self, runs: list[Run]) -> Run:
        # The fullest one; the id settles ties, so that two drivers would choose the same.
        runs = sorted(runs, key=lambda run: (run.deleted, -len(run.tags), -len(run.params), run.run_id))
        for superfluous in runs[1:]:
            if not superfluous.deleted:
                self.client.delete_run(superfluous.run_id)
        return runs[0]

    def _create_parent(self) -> Run:
        search = self._search
        about = {"task": search.task, "metric": search.metric, "direction": str(search.direction), **search.tags}
        tags = {
            key if key.startswith("autoft.") else f"autoft.{key}": str(value)[:5000] for key, value in about.items()
        }
        return self._create(search.name, search.started, tags)

    def _create_child(self, record: TrialRecord) -> Run:
        tags = {
            projection.TRIAL: str(record.number),
            projection.PARENT: self.parent.run_id,
            projection.STATE: str(TrialState.OPEN),
        }
        return self._create(projection.run_name(record, self._blocks), record.started, tags)

    def _create(self, name: str, started: float, tags: Mapping[str, str]) -> Run:
        # Identity goes in with the run itself: cut off right after, the run can still be found again.
        tags = {**tags, projection.SEARCH: self._search.id, **projection.SOURCE}
        run = self.client.create_run(self.experiment_id, projection.milliseconds(started), dict(tags), name)
        return _known(run)

    def _log(
        self,
        run: Run,
        metrics: list[projection.Point] | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        rows = [Metric(*point) for point in metrics or ()]
        while len(rows) > _BATCH:
            self.client.log_batch(run.run_id, metrics=rows[:_BATCH], synchronous=True)
            rows = rows[_BATCH:]
        if not (rows or params or tags):
            return
        # MLflow writes params, metrics and tags in this order: once the tag `autoft.samples` stands, so do the points.
        self.client.log_batch(
            run.run_id,
            metrics=rows,
            params=[Param(key, value) for key, value in (params or {}).items()],
            tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            synchronous=True,
        )
        run.tags.update(tags or {})
        run.params.update(params or ())


def _known(run: Any) -> Run:
    return Run(
        run_id=run.info.run_id,
        status=run.info.status,
        tags=dict(run.data.tags),
        params=set(run.data.params),
        deleted=run.info.lifecycle_stage == "deleted",
    )
