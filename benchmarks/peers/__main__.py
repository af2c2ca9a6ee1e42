"""`python -m benchmarks.peers`: measures what is not measured yet, then writes the figures."""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import product
from pathlib import Path

from filelock import FileLock, Timeout

from benchmarks import results
from benchmarks.peers import material, report, running, runs
from benchmarks.peers.contest import CONTESTANTS, DATA_SETS, REFERENCE, ROWS, SEEDS, TRIALS, order

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> int:
    """Runs the benchmark; 1 where a contestant came to no result, 2 where nothing could be begun."""
    given = _parser().parse_args()
    try:
        failed = 0 if given.figures else _measure(given)
        known = runs.load_all(given.runs)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except Timeout:
        print(f"{given.work}: another process measures there; wait for it", file=sys.stderr)
        return 2
    if known:
        print(report.write(known, dict(known[0].settings), given.results))
    else:
        print("nothing is measured yet", file=sys.stderr)
    return 1 if failed else 0


def _measure(given: argparse.Namespace) -> int:
    """Measures what is missing; the number of contestants without a result.

    Raises:
        ValueError: Runs of other settings are there.
        Timeout: Another process measures.
    """
    settings = {"rows": given.rows, "trials": given.trials, "cores": _bind(given.cores)}
    if bounds := {name: os.environ[name] for name in _THREADS if name in os.environ}:
        print("the environment bounds the threads: these are no figures that count", file=sys.stderr)
    known = {run.name for run in runs.load_all(given.runs, settings | bounds)}
    given.work.mkdir(parents=True, exist_ok=True)
    # Two at once would disturb each other's clocks.
    with FileLock(given.work / ".lock", timeout=0):
        return _measure_all(given, settings | bounds, known)


def _measure_all(given: argparse.Namespace, settings: dict[str, object], known: set[str]) -> int:
    """Measures what is missing, each run kept as soon as it ends; the number of contestants without a result."""
    failed = 0
    for turn, (seed, data_set) in enumerate(product(given.seeds, given.data_sets)):
        rows = material.prepare(data_set, seed, given.rows, given.work)
        for name in order(tuple(given.contestants), turn):
            contestant = CONTESTANTS[name]
            if f"{data_set}-s{seed}-{name}" in known and not given.again:
                continue
            reference = given.runs / f"{data_set}-s{seed}-{REFERENCE}.json"
            if contestant.budgeted and not reference.is_file() and given.budget is None:
                print(f"{data_set} s{seed} {name}: left out, it needs the wall clock of {REFERENCE}", file=sys.stderr)
                failed += 1
                continue
            budget = (given.budget or runs.load(reference).wall) if contestant.budgeted else None
            print(f"{time.strftime('%H:%M:%S')} {data_set} s{seed} {name} …", file=sys.stderr, flush=True)
            try:
                run = running.measure(
                    contestant,
                    rows,
                    data_set=data_set,
                    seed=seed,
                    settings=settings,
                    budget=budget,
                    limit=given.limit,
                    work=given.work,
                )
            except RuntimeError as error:
                print(f"  {error}", file=sys.stderr)
                failed += 1
                continue
            runs.save(run, given.runs)
            scores = f"validation {run.validation:.4f}, test {run.test:.4f}"
            print(f"  {run.wall:.0f} s, {run.trials} configurations, {scores}", file=sys.stderr)
    return failed


def _bind(cores: int) -> int:
    """Bounds this process, and all that it starts, to so many cores; the number that it has then."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    there = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, there[:cores])
    return min(cores, len(there))


def _parser() -> argparse.ArgumentParser:
    from platformdirs import user_cache_dir

    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    everyone = "".join(f"\n  {c.name:18s}{c.summary}" for c in CONTESTANTS.values())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"contestants:{everyone}"
    parser.add_argument("--data-sets", nargs="+", choices=DATA_SETS, default=DATA_SETS, metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, metavar="N")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="NAME")
    parser.add_argument("--trials", type=int, default=TRIALS, help="configurations of a search (%(default)s)")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of a data set in all (%(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="cores that a contestant may use (%(default)s)")
    parser.add_argument("--limit", type=float, default=7200, help="seconds after which one is ended (%(default)s)")
    parser.add_argument("--budget", type=float, help=f"seconds for those that are given {REFERENCE}'s wall clock")
    parser.add_argument("--again", action="store_true", help="measure what is measured already, too")
    parser.add_argument("--figures", action="store_true", help="measure nothing, only write the figures")
    runs_folder, results_folder = results.RESULTS / "peers-runs", results.RESULTS
    parser.add_argument("--runs", type=Path, default=runs_folder, help="where each run is kept")
    parser.add_argument("--results", type=Path, default=results_folder, help="where the figures go")
    cache = Path(os.environ.get("AUTOFT_CACHE") or user_cache_dir("autoft")) / "benchmarks" / "peers"
    parser.add_argument("--work", type=Path, default=cache, help="environments, rows and searches under way")
    return parser


if __name__ == "__main__":
    sys.exit(main())
