"""What else is wrong with a search whose spec is wrong already, so that all of it is told at once.

Nothing is fetched for it: what lies here is looked into, and the hub is asked whether it has the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autoft import data, tasks
from autoft.errors import InputError
from autoft.planning import check_metric, check_place, workers_here
from autoft.spec import Draft
from autoft.tasks import Task
from autoft.training import models


def further(draft: Draft, runs: Path) -> list[str]:
    """A line for each problem with what is right of a spec.

    Args:
        draft: The spec; its own problems are left out.
        runs: The folder that was to hold the search.
    """
    spec = draft.spec
    if spec is None:
        return []
    found: list[str] = []
    task: Task | None = None

    def look(step: Callable[[], object]) -> None:
        try:
            step()
        except InputError as error:
            found.extend(error.problems)

    if "task" not in draft.unsaid:
        try:
            task = tasks.get(spec.task)
            found += check_metric(spec.metric, task)
        except InputError as error:
            found += error.problems
    look(lambda: check_place(runs))
    look(lambda: workers_here(spec.resources))
    for ref in spec.models or ():
        look(lambda ref=ref: models.glance(ref, "" if task is None else task.head))  # type: ignore[misc]
    if "data" not in draft.unsaid:
        look(lambda: data.glance(spec.data, task, spec.search.seed))
    return found
