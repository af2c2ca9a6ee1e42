"""From a spec to a plan: the task, the data, the models and the space, all checked before anything is started."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from autoft import data, tasks
from autoft.errors import InputError, ResourceError, SpecError
from autoft.space import PLAIN_RECIPE, Space, resolve, upper
from autoft.spec import SearchSpec
from autoft.spec.dimensions import parse_dimensions
from autoft.study.driver import KEEP_WEIGHTS, local_workers
from autoft.study.halving import default_rungs
from autoft.tasks import Splits, Task
from autoft.training.models import ModelInfo, inspect
from autoft.words import nearest

DEFAULT_TRIALS = 24
_WORDS_PER_TOKEN = 0.8  # of English, roughly

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search would do.

    Attributes:
        spec: The spec with every default filled in.
        task: The task.
        meta: What the task learned of the training rows.
        splits: The rows.
        models: The pretrained models.
        space: What is searched.
        rungs: Training samples seen at each rung; empty where no trial is paused.
        workers: Trials at once.
        notes: What the user should know, a sentence each.
    """

    spec: SearchSpec
    task: Task
    meta: Mapping[str, Any]
    splits: Splits
    models: tuple[ModelInfo, ...]
    space: Space
    rungs: tuple[int, ...]
    workers: int
    notes: tuple[str, ...]

    @property
    def rows(self) -> dict[str, int]:
        """Number of rows in each part."""
        return {part: len(getattr(self.splits, part)) for part in ("train", "validation", "test")}

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, where the task has them."""
        return tuple(self.meta.get("labels", ()))

    @property
    def metric(self) -> str:
        """Name of the objective."""
        return self.spec.metric or next(iter(self.task.metrics))

    @property
    def start(self) -> tuple[Mapping[str, Any], ...]:
        """Configurations to try first."""
        return self.spec.search.start if self.spec.search.start is not None else (PLAIN_RECIPE,)


def plan(spec: SearchSpec, runs: Path, splits: Splits | None = None) -> Plan:
    """Checks everything that can be checked before a search.

    Args:
        spec: What the user wants.
        runs: The folder that will hold the search.
        splits: The rows, where they were read before (a search that goes on).

    Raises:
        InputError: One line for each problem found.
    """
    task = tasks.get(spec.task)
    problems: list[str] = []
    if spec.metric is not None and spec.metric not in task.metrics:
        problems.append(f"metric: {task.name} has no metric {spec.metric!r}{nearest(spec.metric, task.metrics)}")
    workers = _collect(
        problems, lambda: spec.resources.workers or 1 if spec.resources.address else local_workers(spec.resources)
    )
    models = [_collect(problems, lambda ref=ref: inspect(ref)) for ref in spec.models or task.models]  # type: ignore[misc]
    rows = splits or _collect(problems, lambda: data.load(spec.data, task, spec.search.seed))
    space = None
    if all(models):
        space = _collect(problems, lambda: _space(spec, task, [model for model in models if model]))
    if problems or rows is None or space is None or workers is None:
        raise InputError(*dict.fromkeys(problems))
    known = tuple(model for model in models if model is not None)
    _check_disk(runs, known, workers)
    rungs: tuple[int, ...] = ()
    if spec.search.scheduler == "halving":
        rungs = default_rungs(
            len(rows.train), space.max_epochs, spec.search.eta, space.max_batch_size, spec.search.first_rung
        )
    return Plan(
        spec=_filled(spec, task),
        task=task,
        meta=task.learn(rows.train, spec.data),
        splits=rows,
        models=known,
        space=space,
        rungs=rungs,
        workers=workers,
        notes=_notes(rows, spec, space),
    )


def _space(spec: SearchSpec, task: Task, models: list[ModelInfo]) -> Space:
    problems: list[str] = []
    default = parse_dimensions("space", task.space(), problems)
    if problems:
        raise SpecError(*problems)
    return resolve(
        {**default, **spec.space},
        [model.ref for model in models],
        spec.per_model,
        {model.ref: model.blocks for model in models},
        spec.search.seed,
    )


def _filled(spec: SearchSpec, task: Task) -> SearchSpec:
    """The spec with the task's defaults written out, so that it means the same in a later version."""
    problems: list[str] = []
    search = spec.search
    if search.trials is None and search.budget is None:
        search = search.model_copy(update={"trials": DEFAULT_TRIALS})
    return spec.model_copy(
        update={
            "models": spec.models or task.models,
            "metric": spec.metric or next(iter(task.metrics)),
            "space": {**parse_dimensions("space", task.space(), problems), **spec.space},
            "search": search,
        }
    )


def _check_disk(runs: Path, models: tuple[ModelInfo, ...], workers: int) -> None:
    """Refuses a disk that can't hold the checkpoints: weights, two moments of Adam and the best weights."""
    largest = max(model.size for model in models)
    needed = largest * (4 * workers + KEEP_WEIGHTS + 3) + 100 * 2**20
    there = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise ResourceError(
            f"{runs}: the disk has {free / 2**30:.1f} GiB free and the search needs about {needed / 2**30:.1f} GiB; "
            f"free some, or put the runs elsewhere with --runs"
        )


def _notes(splits: Splits, spec: SearchSpec, space: Space) -> tuple[str, ...]:
    longest = min(int(upper(space.dimensions(model)["max_length"])) for model in space.models)
    long = [len(str(text).split()) > longest * _WORDS_PER_TOKEN for text in splits.train[spec.data.text]]
    cut = sum(long) / len(long)
    if cut < 0.01:
        return ()
    return (f"about {cut:.0%} of the training texts are cut at {longest} tokens; space.max_length sets it",)


def _collect(problems: list[str], step: Callable[[], T]) -> T | None:
    try:
        return step()
    except InputError as error:
        problems += error.problems
        return None
