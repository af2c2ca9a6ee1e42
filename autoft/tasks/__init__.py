"""The tasks that autoft can fine-tune for: one short file each.

A task is found through the entry-point group `autoft.tasks`, where packages of others can add theirs; or by where its
class stands, as `my_task:Toxicity`, in a file beside which one works or in anything that can be imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from autoft.errors import SpecError
from autoft.tasks import carrying
from autoft.tasks.base import (
    Column,
    Example,
    Kind,
    Meta,
    Scores,
    Splits,
    Task,
    asked,
    completed,
    learn,
    missing,
    original,
)
from autoft.words import nearest

__all__ = [
    "Column",
    "Example",
    "Kind",
    "Meta",
    "Scores",
    "Splits",
    "Task",
    "asked",
    "completed",
    "get",
    "learn",
    "names",
    "reference",
]

GROUP = "autoft.tasks"
_REFERENCE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
_given: dict[str, Task] = {}  # by reference: tasks that this process was handed as objects


def names() -> list[str]:
    """Names of the tasks that are installed."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def get(name: str) -> Task:
    """The task of that name, or behind a reference `module:Class`.

    Raises:
        SpecError: There is no such task, or what is there isn't one.
    """
    return _given[name] if name in _given else _named(name)


def reference(task: Any) -> str:
    """The name or reference by which this process finds a task from now on.

    Args:
        task: A name, a task, or the class of one.

    Raises:
        SpecError: It is no task.
    """
    if isinstance(task, str):
        return task
    task = original(task)
    kind = task if isinstance(task, type) else type(task)
    found = _instance(task, kind.__name__)
    name = f"{kind.__module__}:{kind.__qualname__}"
    for known in entry_points(group=GROUP):
        if known.value == name and not vars(found):
            return known.name
    carrying.own(found)
    _given[name] = completed(found)
    return name


@cache
def _named(name: str) -> Task:
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return completed(entry.load()())
    match = _REFERENCE.fullmatch(name)
    if match is None:
        raise SpecError(f"task: there is no task {name!r}{nearest(name, names())}")
    module = _module(match[1], name)
    if not hasattr(module, match[2]):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise SpecError(f"task: {match[1]} has no {match[2]!r}{nearest(match[2], classes)}")
    found = _instance(getattr(module, match[2]), name)
    carrying.own(found)
    return completed(found)


def _module(name: str, ref: str) -> Any:
    """The module, also from the folder that one works in, where Python itself only looks for `python -m`."""
    here, top = str(Path.cwd()), name.partition(".")[0]
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        importlib.invalidate_caches()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (top, name):
            raise SpecError(f"task: {ref} needs {error.name}, which is not installed here") from None
        raise SpecError(
            f"task: there is no module {name} here; work in the folder that holds {top}.py, "
            f"or in Python hand over the task itself"
        ) from None
    except Exception as error:  # whatever a user's file may do when it is run
        line = " ".join(str(error).split())[:200]
        raise SpecError(f"task: {ref} can't be imported: {type(error).__name__}: {line}") from None
    finally:
        if added:
            sys.path.remove(here)


def _instance(task: Any, ref: str) -> Any:
    """The task itself, or one of a class."""
    if lacking := missing(task):
        raise SpecError(f"task: {ref} lacks {', '.join(lacking)}; docs/new-task.md says what a task has to have")
    if not isinstance(task, type):
        return task
    try:
        return task()
    except TypeError as error:
        raise SpecError(f"task: {ref} can't be made without arguments ({error}); hand over an instance") from None
