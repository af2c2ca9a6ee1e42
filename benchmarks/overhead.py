"""What a search spends on anything but training and evaluating.

    make bench NAME=overhead
    python -m benchmarks.overhead --runs 3 --trials 96

A real search over BERT-tiny and MiniLM-L6 on tweets, with two workers, in a process of its own. When the workers were
busy is read from the ledger: a report at `time` that took `seconds` since the one before (both are in it) says that
its trial was trained and evaluated in [time - seconds, time]. From the moment at which every worker had begun to the
last report, the rest is idle: drawing, pausing, saving, loading, Ray; and at the end, workers for which nothing is
left to do (`idle_share_before_tail` leaves that out). Work that was cut off without a report counts as idle.

Beside it: the seconds of a pause and of a resumption of MiniLM-L6, and of a decision in a ledger on the disk.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import cost, material, recording, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from autoft.records import TrialRecord
    from autoft.training.job import Job

TARGETS = {"idle_share": "<= 0.05"}
LONG = 180.0  # seconds that a search should last for its idle share to count

Run = dict[str, Any]
Interval = tuple[float, float]


def intervals(records: Iterable[TrialRecord]) -> list[Interval]:
    """When a trial was trained or evaluated, one entry per report, in Unix time; what two entries share is kept."""
    found = []
    for record in records:
        before = 0.0
        for report in record.reports:
            if report.seconds > before:  # a milestone that was passed in one step with another has no time of its own
                found.append((report.time - (report.seconds - before), report.time))
            before = report.seconds
    return sorted(found)


def busy(found: Sequence[Interval], begin: float, end: float) -> float:
    """Seconds of work between two moments, summed over the workers."""
    return sum(max(0.0, min(b, end) - max(a, begin)) for a, b in found)


def shares(found: Sequence[Interval], workers: int) -> dict[str, float]:
    """Idle shares of the workers' time.

    Args:
        found: When there was work.
        workers: How many there are.

    Returns:
        `window`, seconds from when all had begun to the last report; `tail`, seconds at its end in which not all
        of them worked; the idle shares of the window, with the tail and without.

    Raises:
        ValueError: The workers never all worked at once.
    """
    edges = sorted([(a, 1) for a, _ in found] + [(b, -1) for _, b in found])
    full, count = [], 0
    for moment, change in edges:
        count += change
        if (change > 0 and count == workers) or (change < 0 and count == workers - 1):
            full.append(moment)
    if not full:
        raise ValueError(f"{workers} workers never worked at the same time; a longer search is needed")
    begin, last, end = full[0], full[-1], max(b for _, b in found)
    return {
        "window": end - begin,
        "tail": end - last,
        "idle_share": 1 - busy(found, begin, end) / (workers * (end - begin)),
        "idle_share_before_tail": 1 - busy(found, begin, last) / (workers * (last - begin)),
    }


def search(folder: Path, *, workers: int, **options: Any) -> Run:
    """A real search, and what its ledger says."""
    from autoft import api

    run = cost.search(folder, workers=workers, **options)
    name = f"search-{options['seed']}"
    _, records = api.records(folder / "runs" / name)
    found = intervals(records)
    start = found[0][0]
    return {
        "seed": options["seed"],
        "workers": workers,
        "seconds": run["seconds"],
        "trials": len(records),
        "reports": sum(len(record.reports) for record in records),
        "start_up": start - min(record.started for record in records),
        "busy": [[round(a - start, 3), round(b - start, 3)] for a, b in found],
    }


def pauses(job: Job, model: str, folder: Path, rounds: int) -> list[Run]:
    """Seconds to save a trial with nothing frozen and to open and restore it again, as a worker does."""
    from autoft.records import TrialConfig
    from autoft.training.finetune import FineTune

    config = TrialConfig(model, 2e-5, 16, 1, 0)
    trial = FineTune(job, config)
    for _ in range(3):
        trial.advance(0)
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        trial.save(folder / "checkpoints")
        saved = time.perf_counter()
        trial = FineTune(job, config)
        if not trial.restore(folder / "checkpoints"):
            raise RuntimeError("the checkpoint can't be gone on with")
        found.append({"pause": saved - start, "resume": time.perf_counter() - saved})
        trial.advance(0)
    return found


def decisions(sizes: Sequence[int], folder: Path, curves: Path) -> list[Run]:
    """Processor time of all decisions, with a ledger on the disk, in simulated searches."""
    from benchmarks import simulation
    from benchmarks.world import World

    path = min(curves.glob("*.json"), key=lambda path: path.name)
    world = World.load(path, material.SPACE)
    found = []
    for trials in sizes:
        outcome = simulation.simulate(
            world, **simulation.DEFAULT, seed=0, workers=2, trials=trials, path=folder / f"{trials}.db"
        )
        found.append({"trials": trials, "seconds": outcome.decided})
    return found


def figures(runs: dict[str, list[Run]]) -> dict[str, list[float]]:
    """Idle shares of the searches; the cost of a pause with its resumption."""
    found = [shares([(a, b) for a, b in run["busy"]], run["workers"]) for run in runs["searches"]]
    keys = ("idle_share", "idle_share_before_tail")
    most = max(runs["decisions"], key=lambda run: run["trials"])
    return {
        **{key: [one[key] for one in found] for key in keys},
        "window_seconds": [one["window"] for one in found],
        "pause_resume_seconds": [run["pause"] + run["resume"] for run in runs["pauses"]],
        "decision_milliseconds": [1000 * most["seconds"] / most["trials"]],
    }


def tables(runs: dict[str, list[Run]]) -> list[results.Table]:
    """The searches; pause and resumption; decisions by the number of trials."""
    rows = []
    for run in runs["searches"]:
        one = shares([(a, b) for a, b in run["busy"]], run["workers"])
        rows.append((run["seed"], run["trials"], run["reports"], run["seconds"], run["start_up"], one["window"],
                     one["tail"], one["idle_share"], one["idle_share_before_tail"]))  # fmt: skip
    head = ("seed", "trials", "reports", "seconds", "start-up", "window", "tail", "idle", "idle before the tail")
    middle = [(kind, statistics.median(run[kind] for run in runs["pauses"])) for kind in ("pause", "resume")]
    decided = [(run["trials"], 1000 * run["seconds"] / run["trials"]) for run in runs["decisions"]]
    return [
        results.Table("Searches", head, rows),
        results.Table("A pause and a resumption, MiniLM-L6, nothing frozen", ("", "seconds, median"), middle),
        results.Table("Decisions, ledger on the disk", ("trials", "milliseconds a trial"), decided),
    ]


def plot(runs: dict[str, list[Run]]) -> Callable[[Figure], None]:
    """Workers at work over time."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(runs["searches"]), 1, sharex=True, squeeze=False)
        for axis, run in zip(axes[:, 0], runs["searches"], strict=True):
            edges = sorted([(a, 1) for a, _ in run["busy"]] + [(b, -1) for _, b in run["busy"]])
            counts, count = [], 0
            for _, change in edges:
                count += change
                counts.append(count)
            axis.fill_between([moment for moment, _ in edges], counts, step="post")
            axis.set(ylabel=f"seed {run['seed']}", ylim=(0, run["workers"] + 0.2))
        axes[-1, 0].set_xlabel("seconds since the first step")
        figure.suptitle("workers at work")

    return draw


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and writes its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="searches, each with a seed of its own")
    parser.add_argument("--trials", type=int, default=96, help="of a search; enough for three minutes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=[material.TINY, material.MINILM], help="the largest one last")
    parser.add_argument("--data", default=material.TWEETS)
    parser.add_argument("--pauses", type=int, default=5)
    parser.add_argument("--decisions", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--curves", type=Path, default=recording.CURVES)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--out", type=Path, default=results.RESULTS)
    given = parser.parse_args(arguments)
    material.quiet()
    runs: dict[str, list[Run]] = {"searches": []}
    with material.scratch(given.scratch) as folder:
        for seed in range(given.runs):
            run = search(
                folder, models=given.models, data=given.data, trials=given.trials, seed=seed, workers=given.workers
            )
            runs["searches"].append(run)
            found = shares([(a, b) for a, b in run["busy"]], given.workers)
            print(f"seed {seed}: {run['trials']} trials, {found}", flush=True)
            if found["window"] < LONG:
                print(f"only {found['window']:.0f} s long, {LONG:.0f} are wanted: take more --trials", flush=True)
        job = material.job(material.planned(given.data, given.models[-1:]), folder / "data", validation=16)
        runs["pauses"] = pauses(job, given.models[-1], folder, given.pauses)
        runs["decisions"] = decisions(given.decisions, folder, given.curves)
    settings = {key: getattr(given, key) for key in ("models", "data", "trials", "workers")}
    results.write(
        "overhead", figures(runs), runs=runs, targets=TARGETS, settings=settings, tables=tables(runs),
        plot=plot(runs), folder=given.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
