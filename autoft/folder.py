"""The folder of a search, `runs/NAME`: made whole or not at all, and opened again.

    spec.yaml      the spec with every default filled in
    data/          the rows as they were split; the test part is read once, at the end
    study.db       the ledger: an Optuna study
    cache/         what the frozen parts of the models give; gone when the search has ended
    checkpoints/   of trials that may still go on or win
    ray/           Ray Tune's own record of each session
    model/         the winner
    report.json, report.md, report.html
    pictures/      of the search and of the winner's answers

A search that was stopped, however rudely, goes on from this folder alone.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from autoft import data
from autoft.errors import ResourceError, SearchError, SpecError
from autoft.planning import Plan, check_place, plan
from autoft.records import SearchRecord
from autoft.spec import SearchSpec, parse, read_yaml, write_yaml
from autoft.study.ledger import Ledger
from autoft.words import resume_command

SPEC, STUDY, DATA, MODEL, REPORT = "spec.yaml", "study.db", "data", "model", "report.json"
CACHE = "cache"
REMEMBERED = 50  # searches that one has replaced; MLflow has forgotten the earlier ones long ago


def prepare(spec: SearchSpec, runs: Path, *, replace: bool) -> tuple[Path, Plan]:
    """Checks everything and makes the folder of a search, whole or not at all.

    Raises:
        InputError: One line for each problem; nothing was written.
    """
    check_place(runs)
    folder = runs / spec.name
    if folder.exists():
        _check_replaceable(folder, replace=replace)
    planned = plan(spec, runs)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{spec.name}-", dir=runs))
    except OSError as error:
        raise SpecError(f"--runs {runs}: can't be written to: {error.strerror}; name another folder") from None
    try:
        draft.chmod(0o755)
        write_yaml(planned.spec, draft / SPEC)
        data.write(planned.splits, draft / DATA)
        metric = planned.metric
        record = SearchRecord(
            id=uuid.uuid4().hex,
            name=spec.name,
            task=spec.task,
            metric=metric,
            direction=planned.task.metrics[metric],
            started=time.time(),
            tags={
                "data": spec.data.source or spec.data.train or "",
                "fingerprint": planned.splits.fingerprint,
                "test_fingerprint": planned.splits.test_fingerprint,
                "rows": json.dumps(planned.rows),
                **_replaces(folder),
            },
        )
        Ledger.create(draft / STUDY, record).close()
        _put(draft, folder, replace=replace)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise ResourceError(f"{folder}: can't be written: {error.strerror}; nothing of it was kept") from None
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder, planned


def reopen(folder: Path, changes: Mapping[str, Any]) -> Plan:
    """The plan of a search that goes on.

    Args:
        folder: The folder of the search.
        changes: Entries of the spec's `search` section that are different from now on.

    Raises:
        InputError: There is no such search, or it can't go on here.
    """
    if not (folder / SPEC).is_file():
        raise SpecError(f"{folder}: there is no search; `autoft show --all` lists those there are")
    raw = read_yaml(folder / SPEC)
    spec = parse({**raw, "search": {**raw["search"], **changes}})
    planned = plan(spec, folder.parent, data.read(folder / DATA))
    if changes:
        draft = folder / f".{SPEC}"
        write_yaml(planned.spec, draft)
        draft.replace(folder / SPEC)
    return planned


def locked(folder: Path) -> FileLock:
    """The lock of a search: whoever holds it is its only driver.

    Raises:
        SpecError: Another process runs this search. The lock goes with the process that holds it.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SpecError(f"{folder}: another process is running this search; wait for it, or stop it first") from None
    return lock


def _check_replaceable(folder: Path, *, replace: bool) -> None:
    if not replace:
        raise SpecError(
            f"name: {folder} exists already; go on with it ({resume_command(folder)}), "
            f"take another name (--name), or delete it first (--replace)"
        )
    if not (folder / SPEC).is_file() and not (folder / STUDY).is_file():
        raise SpecError(f"name: {folder} is no search of autoft, so --replace leaves it alone; take another --name")
    locked(folder).release()


def _replaces(folder: Path) -> dict[str, str]:
    """The tag that says which searches the one that takes the place of `folder` replaces; MLflow may show them yet."""
    with contextlib.suppress(SearchError):  # nothing there, or too damaged to say
        ledger = Ledger.open(folder / STUDY)
        ledger.close()
        return {SearchRecord.REPLACES: " ".join([ledger.search.id, *ledger.search.replaces][:REMEMBERED])}
    return {}


def _put(draft: Path, folder: Path, *, replace: bool) -> None:
    """Puts a new search in its place; one that was there goes only when the new one stands.

    Seconds have passed since the place was looked at, and another process may have taken it.
    """
    old = draft.with_name(f"{draft.name}-old")
    if folder.exists():
        _check_replaceable(folder, replace=replace)
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
