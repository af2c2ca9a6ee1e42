"""From a spec to a plan: the task, the data, the models and the space, all checked before anything is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from autoft import data, tasks
from autoft.assets import is_asset
from autoft.data.examination import Examination, examine
from autoft.errors import DataError, InputError, ResourceError, SpecError
from autoft.records import CONDITIONS
from autoft.space import ALL, KNOBS, Space, check_grid, describe, resolve, upper
from autoft.spec import Resources, SearchSpec
from autoft.spec.dimensions import parse_dimensions
from autoft.spec.effects import effective, without_effect
from autoft.study.cluster import local_workers, reachable
from autoft.study.driver import KEEP_WEIGHTS
from autoft.study.halving import PLACES, default_rungs
from autoft.study.sampling import check_cmaes
from autoft.tasks import Splits, Task
from autoft.training.augmentation import load_synonyms
from autoft.training.devices import gpus, precision
from autoft.training.models import ModelInfo, abilities, inspect
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
        start: Points of the space that the user wants tried first; None where autoft may choose.
        rungs: Training samples seen at each rung; empty where no trial is paused.
        workers: Trials at once.
        notes: What the user should know, a sentence each; the warnings of the examination among them.
        examination: What was found when the rows were looked through.
    """

    spec: SearchSpec
    task: Task
    meta: Mapping[str, Any]
    splits: Splits
    models: tuple[ModelInfo, ...]
    space: Space
    start: tuple[Mapping[str, Any], ...] | None
    rungs: tuple[int, ...]
    workers: int
    notes: tuple[str, ...]
    examination: Examination

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
    spec = _filled(_absolute(spec), task)
    problems: list[str] = []
    problems += check_metric(spec.metric, task)
    refs = spec.models or ()
    problems += [
        f"per_model.{model}: not among the models{nearest(model, refs)}"
        for model in spec.per_model
        if model not in refs
    ]
    _collect(problems, lambda: check_place(runs))
    if twice := [ref for i, ref in enumerate(refs) if ref in refs[:i]]:
        problems.append(f"models: {twice[0]} stands there twice")
    if spec.search.against and len(refs) == 1:
        problems.append(
            "search.against: it is the models that differ in it, and there is one model only; "
            "name more models, or leave it out"
        )
    workers = _collect(problems, lambda: workers_here(spec.resources))
    models = [_collect(problems, lambda ref=ref: inspect(ref, task.head)) for ref in refs]  # type: ignore[misc]
    known = tuple(model for model in models if model is not None)
    rows = splits or _collect(problems, lambda: data.load(spec.data, task, spec.search.seed))
    space = _collect(problems, lambda: _space(spec, known)) if len(known) == len(refs) else None
    start = _collect(problems, lambda: _start(spec, space, known)) if space else None
    if problems or rows is None or space is None or workers is None:
        raise InputError(*dict.fromkeys(problems))
    rungs: tuple[int, ...] = ()
    if spec.search.scheduler != "none":
        rungs = default_rungs(
            len(rows.train), space.max_epochs, spec.search.eta, space.max_batch_size, spec.search.first_rung
        )
    finals = spec.finals.plain + spec.finals.finalists * spec.finals.repeats
    kept = KEEP_WEIGHTS + finals + (len(refs) if spec.search.against else 0)
    _check_disk(runs, known, workers * 2 + len(rungs) * max(PLACES, workers), kept)
    examination = examine(rows, task, spec.data, spec.search.seed)
    if splits is None and examination.refusals:  # a search that has begun may end
        raise DataError(*examination.refusals)
    return Plan(
        spec=spec,
        task=task,
        meta=tasks.learn(task, rows.train, spec.data),
        splits=rows,
        models=known,
        space=space,
        start=start,
        rungs=rungs,
        workers=workers,
        notes=(*(() if task.windows else _notes(rows, spec, space)), *examination.warnings),
        examination=examination,
    )


def _absolute(spec: SearchSpec) -> SearchSpec:
    """The spec with its model folders as absolute paths: a worker, or a later `resume`, may run elsewhere."""

    def absolute(ref: str) -> str:
        # Not `resolve`: a link has the name that its owner gave it. Not `absolute`: that one keeps `a/../b`.
        return os.path.abspath(ref) if not is_asset(ref) and Path(ref).is_dir() else ref  # noqa: PTH100

    synonyms = spec.data.synonyms and str(Path(spec.data.synonyms).absolute())
    start = spec.search.start
    if start is not None:
        start = tuple(
            {**point, "model": absolute(point["model"])} if isinstance(point.get("model"), str) else point
            for point in start
        )
    return spec.model_copy(
        update={
            "data": spec.data.model_copy(update={"synonyms": synonyms}),
            "models": tuple(absolute(ref) for ref in spec.models) if spec.models else None,
            "per_model": {absolute(ref): knobs for ref, knobs in spec.per_model.items()},
            "search": spec.search.model_copy(update={"start": start}),
        }
    )


def _filled(spec: SearchSpec, task: Task) -> SearchSpec:
    """The spec with the task's defaults written out, so that it means the same in a later version."""
    problems: list[str] = []
    search = spec.search
    if search.trials is None and search.budget is None and search.sampler != "grid":
        search = search.model_copy(update={"trials": DEFAULT_TRIALS})
    resources = spec.resources
    if resources.precision == "auto":
        resources = resources.model_copy(update={"precision": precision()})
    default = parse_dimensions("space", task.space(), problems)
    problems += without_effect(spec, default, task=task.name, knobs=_obeyed(task), losses=task.losses)
    if problems:
        raise SpecError(*problems)
    return spec.model_copy(
        update={
            "models": spec.models or task.models,
            "metric": spec.metric or next(iter(task.metrics)),
            "space": {**effective(default, spec), **spec.space},
            "search": search,
            "resources": resources,
        }
    )


def _obeyed(task: Task) -> tuple[str, ...]:
    """The knobs that a task obeys. A row in other words might be cut into another number of windows."""
    return tuple(knob for knob in task.knobs if not (task.windows and knob.startswith("augmentation")))


def check_metric(metric: str | None, task: Task) -> list[str]:
    """A line where the task has no such metric; None is its own."""
    if metric is None or metric in task.metrics:
        return []
    return [f"metric: {task.name} has no metric {metric!r}{nearest(metric, task.metrics)}"]


def workers_here(resources: Resources) -> int:
    """Trials at once, as far as can be told before Ray runs.

    Raises:
        ResourceError: More is asked for than there is.
    """
    if resources.address is None:
        return local_workers(resources, gpus() if resources.gpus_per_trial else 0)
    reachable(resources.address)
    return resources.workers or 1  # Ray will tell


def _space(spec: SearchSpec, models: Sequence[ModelInfo]) -> Space:
    space = resolve(
        spec.space,
        [model.ref for model in models],
        spec.per_model,
        {model.ref: model.blocks for model in models},
        spec.search.seed,
        able={model.ref: abilities(model) for model in models},
    )
    if any("synonym" in _choices(space, model, "augmentation") for model in space.models):
        load_synonyms(spec.data.synonyms or "")
    if spec.search.sampler == "grid":
        check_grid(space)
    if spec.search.sampler == "cmaes":
        check_cmaes(space, two=spec.search.against is not None)
    return space


def _choices(space: Space, model: str, knob: str) -> tuple[Any, ...]:
    return getattr(space.dimensions(model)[knob], "values", ())


def _start(spec: SearchSpec, space: Space, models: Sequence[ModelInfo]) -> tuple[Mapping[str, Any], ...] | None:
    """The points that the user wants tried first, checked."""
    if spec.search.start is None:
        return None
    blocks = {model.ref: model.blocks for model in models}
    points, problems = [], []
    for i, given in enumerate(spec.search.start):
        path = f"search.start[{i}]"
        point = dict(given)
        model = point.setdefault("model", space.models[0])
        if not isinstance(model, str) or model not in blocks:
            problems.append(f"{path}.model: {model!r} is not among the models{nearest(str(model), blocks)}")
            continue
        if point.get("freeze_depth") == ALL:
            point["freeze_depth"] = blocks[model]
        for knob, value in point.items():
            if knob == "model":
                continue
            if knob not in KNOBS:
                problems.append(f"{path}.{knob}: unknown key{nearest(str(knob), [*KNOBS, 'model'])}")
            elif problem := KNOBS[knob].problem(value):
                problems.append(f"{path}.{knob}: {problem}")
            elif space.params({"model": model, knob: value}) is None:
                there = describe(space.dimensions(model)[knob])
                problems.append(f"{path}.{knob}: {value!r} lies outside the space of {model}: {there}")
        if not any(problem.startswith(path) for problem in problems) and space.params(point) is None:
            idle = [knob for knob in point if knob in CONDITIONS and space.params(_without(point, knob)) is not None]
            problems.append(f"{path}.{(idle or ['model'])[0]}: has no effect beside the others; leave it out")
        points.append(point)
    if problems:
        raise SpecError(*problems)
    return tuple(points)


def _without(point: Mapping[str, Any], knob: str) -> dict[str, Any]:
    return {key: value for key, value in point.items() if key != knob}


def check_place(runs: Path) -> None:
    """Refuses a place where no folder can be made; nothing is written to find out.

    Raises:
        SpecError: It is no folder, or may not be written to.
    """
    try:
        there = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    except OSError as error:  # a name that is too long, say
        raise SpecError(f"--runs {runs}: can't be used: {error.strerror}") from None
    if not there.is_dir():
        raise SpecError(f"--runs {runs}: {there} is {'a file' if there.is_file() else 'no folder'}; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SpecError(f"--runs {runs}: you may not write to {there}; name another folder")


def _check_disk(runs: Path, models: Sequence[ModelInfo], checkpoints: int, kept: int) -> None:
    """Refuses a disk that can't hold so many checkpoints (weights and Adam's two moments) and kept weights."""
    largest = max(model.size for model in models)
    needed = largest * (3 * checkpoints + kept + 3) + 100 * 2**20
    there = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise ResourceError(
            f"{runs}: the disk has {free / 2**30:.1f} GiB free and the search needs about {needed / 2**30:.1f} GiB; "
            f"free some, or put the runs elsewhere with --runs"
        )


def _notes(splits: Splits, spec: SearchSpec, space: Space) -> tuple[str, ...]:
    longest = min(int(upper(space.dimensions(model)["max_length"])) for model in space.models)
    inputs = splits.train.drop(columns=spec.data.label, errors="ignore").astype(str).agg(" ".join, axis=1)
    long = [len(text.split()) > longest * _WORDS_PER_TOKEN for text in inputs]
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
