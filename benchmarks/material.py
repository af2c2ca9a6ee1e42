"""The data and models that the benchmarks share: the bundled ones, as a search would read them."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoft.planning import Plan
    from autoft.spec import SearchSpec
    from autoft.training.job import Job

MINILM, TINY, TWEETS, TOMATOES = "asset:minilm-l6", "asset:bert-tiny", "asset:tweets", "asset:rotten-tomatoes"
# The space of the benchmarks, as the comparison with others uses it.
SPACE: Mapping[str, Any] = {
    "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "batch_size": [8, 16, 32],
    "epochs": {"low": 1, "high": 4},
    "freeze_depth": {"low": 0, "high": "all"},
}


def spec(data: str, models: Sequence[str], seed: int, **options: Any) -> SearchSpec:
    """A search over the space of the benchmarks, without finals: what it is compared with has none either."""
    import autoft

    fixed = {"task": "text-classification", "data": data, "models": list(models), "seed": seed, "space": dict(SPACE)}
    fixed["finals"] = False
    return autoft.make_spec(**(fixed | options))


def planned(data: str = TWEETS, models: Sequence[str] = (TINY, MINILM), seed: int = 0, **options: Any) -> Plan:
    """What autoft would do with the data and the space of the benchmarks."""
    import autoft

    return autoft.check(spec(data, models, seed, **options))


def job(plan: Plan, folder: Path, *, train: int | None = None, validation: int | None = None, **options: Any) -> Job:
    """A job on the rows of a plan, written to `folder`.

    Args:
        plan: Gives the rows and the metric.
        folder: Gets `train.parquet` and `validation.parquet`.
        train: Number of training rows; all by default.
        validation: Number of validation rows; all by default.
        options: Of the job.
    """
    from autoft.training.job import Job

    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", train), ("validation", validation)):
        getattr(plan.splits, part)[:rows].to_parquet(folder / f"{part}.parquet")
    direction = plan.task.metrics[plan.metric]
    fixed = {"rungs": (), "patience": 10**6, "threads": 1} | options
    return Job(task=plan.task, meta=plan.meta, data=str(folder), metric=plan.metric, direction=direction, **fixed)


@contextmanager
def scratch(folder: Path | None = None) -> Iterator[Path]:
    """A folder that is gone afterwards, in `folder` or where the system keeps such."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def quiet() -> None:
    """Keeps libraries from talking, and from asking the network."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for name in ("transformers", "ray", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
