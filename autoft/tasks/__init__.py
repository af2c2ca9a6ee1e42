"""The tasks that autoft can fine-tune for: one short file each.

A task is found through the entry-point group `autoft.tasks`, where packages of others can add theirs.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from autoft.errors import SpecError
from autoft.tasks.base import Column, Example, Kind, Meta, Scores, Splits, Task, completed, learn
from autoft.words import nearest

__all__ = ["Column", "Example", "Kind", "Meta", "Scores", "Splits", "Task", "get", "learn", "names"]

GROUP = "autoft.tasks"


def names() -> list[str]:
    """Names of the tasks that are installed."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


@cache
def get(name: str) -> Task:
    """The task of that name.

    Raises:
        SpecError: There is no such task.
    """
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return completed(entry.load()())
    raise SpecError(f"task: there is no task {name!r}{nearest(name, names())}")
