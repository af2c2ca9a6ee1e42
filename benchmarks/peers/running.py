"""One contestant in a process of its own, from its start to its model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers import environments, material
from benchmarks.peers.contest import MAX_LENGTH, MODELS, SPACE, Contestant
from benchmarks.peers.material import PARTS, Material
from benchmarks.peers.runs import Run

_RUNNERS = Path(__file__).parent / "runners"
_ENVIRONMENT = {
    # There may be no hub to reach, and nobody is to wait for one.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class NoResultError(RuntimeError):
    """A contestant that came to no result."""


def measure(
    contestant: Contestant,
    rows: Material,
    *,
    data_set: str,
    seed: int,
    settings: Mapping[str, Any],
    budget: float | None,
    limit: float,
    work: Path,
) -> Run:
    """Runs a contestant on the rows of one (data set, seed).

    Args:
        contestant: Who searches.
        rows: What it searches on.
        data_set: Name of the data set.
        seed: Seed of its search.
        settings: Has at least `trials` and `cores`.
        budget: Seconds that it is given, for a contestant that takes a budget.
        limit: Seconds after which it is ended without a result.
        work: Folder of the benchmark's files; what the contestant leaves there is deleted when it has a result.

    Raises:
        NoResultError: It came to no result; its log says why.
        RuntimeError: Its environment can't be made.
    """
    interpreter = environments.python(contestant.environment, work)
    folder = work / "searches" / f"{data_set}-s{seed}-{contestant.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = {
        "folder": str(folder),
        "data": {part: str(rows.path(part)) for part in PARTS},
        "labels": rows.labels,
        "models": {name: str(path) for name, path in material.models(list(MODELS), work).items()},
        "blocks": MODELS,
        "space": SPACE,
        "max_length": MAX_LENGTH,
        "trials": settings["trials"],
        "cores": settings["cores"],
        "seed": seed,
        "budget": budget,
        "options": dict(contestant.options),
    }
    (folder / "job.json").write_text(json.dumps(job, indent=1), encoding="utf-8")
    log = folder / "log.txt"
    started = time.time()
    code = _process([str(interpreter), str(_RUNNERS / f"{contestant.runner}.py"), "job.json"], folder, log, limit)
    if code != 0:
        ended = f"was ended after {limit:.0f} s" if code is None else f"ended with {code}"
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        raise NoResultError(f"{folder.name}: {ended}: {lines[-1].strip() if lines else 'it said nothing'} (see {log})")
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    found = digest(map(json.loads, lines), started, rows.labels)
    run = Run(
        data_set=data_set,
        seed=seed,
        contestant=contestant.name,
        settings=dict(settings),
        budget=budget,
        test_rows=rows.test_rows,
        targets="".join(map(str, rows.targets)),
        **found,
    )
    shutil.rmtree(folder)  # checkpoints of all its trials: gigabytes
    return run


def digest(events: Iterable[Mapping[str, Any]], started: float, labels: tuple[str, ...]) -> dict[str, Any]:
    """What a runner's events say, as fields of a `Run`.

    Args:
        events: See `runners/eventlog.py`.
        started: Unix time at which its process was started.
        labels: The labels in their order.

    Raises:
        NoResultError: Something that every runner has to say is missing.
    """
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        by_kind.setdefault(event["kind"], []).append(event)
    if missing := [kind for kind in ("evaluation", "winner", "ready", "predictions") if kind not in by_kind]:
        raise NoResultError(f"the runner said nothing of: {', '.join(missing)}")
    evaluations = sorted(by_kind["evaluation"], key=lambda event: event["time"])
    # Contestants name their trials as they like; here they have numbers, in the order of their first evaluation.
    numbers: dict[Any, int] = {}
    for event in evaluations:
        numbers.setdefault(event["trial"], len(numbers))
    (winner,), (ready,), (predictions,) = (by_kind[kind] for kind in ("winner", "ready", "predictions"))
    return {
        "wall": round(ready["time"] - started, 2),
        "retrain": round(sum(event["seconds"] for event in by_kind.get("retrain", ())), 2),
        "evaluations": tuple(
            (round(event["time"] - started, 2), numbers[event["trial"]], round(event["value"], 6))
            for event in evaluations
        ),
        "winner": dict(winner["params"]),
        "validation": round(winner["validation"], 6),
        "predictions": "".join(str(labels.index(label)) for label in predictions["labels"]),
        "remarks": tuple(event["text"] for event in by_kind.get("remark", ())),
        "versions": {key: value for event in by_kind.get("versions", ()) for key, value in event["of"].items()},
    }


def _process(command: list[str], folder: Path, log: Path, limit: float) -> int | None:
    """The exit code of a command, or None where it was ended at the limit; what it started ends with it."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
