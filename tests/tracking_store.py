"""A real MLflow store, as those who test what is shown there read it."""

from __future__ import annotations

from contextlib import contextmanager

from tracking_samples import BLOCKS, a_search

from autoft.records import TrialRecord
from autoft.tracking import Mirror, Target, projection
from autoft.tracking.target import connect

PATIENCE = 120.0  # seconds that a flush may take on a busy machine; no test waits for it to pass


class Ledger:
    """Trials that a test may change while a mirror looks."""

    def __init__(self, *trials: TrialRecord) -> None:
        self.trials = trials

    def __call__(self) -> tuple[TrialRecord, ...]:
        return self.trials


class Store:
    """An MLflow store, as a reader sees it."""

    def __init__(self, uri: str) -> None:
        self.target = Target(uri, "autoft")
        self.client = connect(self.target)

    def runs(self, search_id: str = "5f0c", deleted: bool = False):
        from mlflow.entities import ViewType

        experiment = self.client.get_experiment_by_name("autoft")
        view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        return list(
            self.client.search_runs([experiment.experiment_id], f"tags.`autoft.search_id` = '{search_id}'", view)
        )

    def parent(self, search_id: str = "5f0c"):
        (parent,) = [run for run in self.runs(search_id) if run.data.tags["autoft.kind"] == "search"]
        return parent

    def children(self, search_id: str = "5f0c"):
        found = [run for run in self.runs(search_id) if run.data.tags["autoft.kind"] == "trial"]
        by_trial = {int(run.data.tags[projection.TRIAL]): run for run in found}
        assert len(by_trial) == len(found), "a trial has two runs"
        return by_trial

    def curve(self, run, key: str) -> list[tuple[int, float]]:
        return sorted((m.step, m.value) for m in self.client.get_metric_history(run.info.run_id, key))

    def content(self, search_id: str) -> dict:
        """Everything about the trials of a search but ids."""
        parent = self.parent(search_id)
        return {
            trial: {
                "name": run.info.run_name,
                "status": run.info.status,
                "times": (run.info.start_time, run.info.end_time),
                "params": run.data.params,
                "tags": {k: v for k, v in run.data.tags.items() if k not in (projection.PARENT, projection.SEARCH)},
                "child": run.data.tags[projection.PARENT] == parent.info.run_id,
                "curves": {key: self.curve(run, key) for key in run.data.metrics},
            }
            for trial, run in self.children(search_id).items()
        }

    def mirror(self, records, search=None, **options) -> Mirror:
        return Mirror(search or a_search(), self.target, records, blocks=BLOCKS, **options)


@contextmanager
def flushed(mirror: Mirror):
    try:
        assert mirror.flush(PATIENCE), mirror.problem
        yield mirror
    finally:
        mirror.stop(timeout=0)


def flush(mirror: Mirror) -> None:
    with flushed(mirror):
        pass
