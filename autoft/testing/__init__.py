"""For those who write a task: one suite that says everything that is wrong with it.

    from autoft.testing import check_task
    check_task(MyTask(), rows)          # raises one AssertionError with a line for each fault

What is tried is what a search will do: the rows are checked, a tiny model is built, trained for a few steps, scored and
measured. Nothing is downloaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.spec import DataSpec
from autoft.testing.models import tiny_model

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_task", "faults", "tiny_model"]


def check_task(
    task: Any, rows: pd.DataFrame, data: Mapping[str, Any] | None = None, model: str | Path | None = None
) -> None:
    """Tries everything that autoft will ask of a task.

    Args:
        task: The task, an instance.
        rows: A table as a user would have it, with 20 rows or more, labels and all.
        data: Entries of the spec's `data` section: `{"text": "body", "label": "stars"}`, say.
        model: Folder of the pretrained model to try it with; by default a tiny BERT of random weights.

    Raises:
        AssertionError: A line for each fault.
    """
    found = faults(task, rows, data, model)
    if found:
        raise AssertionError("\n".join(found))


def faults(
    task: Any, rows: pd.DataFrame, data: Mapping[str, Any] | None = None, model: str | Path | None = None
) -> list[str]:
    """What `check_task` finds, a line each; the first words say which member is at fault."""
    from autoft import tasks
    from autoft.tasks.base import missing
    from autoft.testing.checks import Checks

    if lacking := missing(task):
        return [f"{name}: is missing; see docs/new-task.md" for name in lacking]
    checks = Checks(tasks.completed(task), DataSpec(source="a table", **(data or {})))
    checks.declared()
    if checks.found:
        return checks.found
    with tempfile.TemporaryDirectory() as folder:
        path = str(model) if model else str(tiny_model(Path(folder) / "model", rows))
        if checks.read(rows):
            checks.learnt()
            checks.encoded(path)
        if checks.examples and not checks.found:
            checks.trained(path)
    return checks.found
