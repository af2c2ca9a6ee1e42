"""The search core in virtual time over recorded learning curves: what a decision costs, and which settings are best.

    make bench NAME=simulation
    python -m benchmarks.simulation --largest 1000 --seeds 3

`decision_ratio` is what all calls to the core cost for a trial (processor time: drawing, reports, promotions) in a
search of 10,000 trials, divided by the same in a search of 100: same sampler, same number of workers. The curves are
those in `benchmarks/curves`, recorded by `python -m benchmarks.recording`.

Settings are compared in the same virtual time, that of one full fine-tune of the dearest model at the longest horizon.
Regret is the best value that was recorded less the best that a search knows at that moment.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import material, recording, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.world import World

TARGETS = {"decision_ratio": "<= 1.5"}
SMALL, LARGE = 100, 10_000
MARKS = (0.1, 0.25, 0.5, 1.0)  # of the time
PAUSE = 0.5  # seconds for a pause and a resumption
DEFAULT = {"eta": 3, "first_rung": 0.25, "sampler": "tpe"}

Run = dict[str, Any]


def decisions(world: World, *, sizes: Sequence[int], workers: Sequence[int], rounds: int) -> list[Run]:
    """Searches of several sizes; the smallest and the largest one on the first number of workers in every round."""
    runs = []
    for i in range(rounds):
        plan = (
            [(trials, workers[0]) for trials in sizes]
            if i == 0
            else [(min(sizes), workers[0]), (max(sizes), workers[0])]
        )
        plan += [(trials, count) for count in workers[1:] for trials in sizes if trials >= count] if i == 0 else []
        random.Random(i).shuffle(plan)
        for trials, count in plan:
            # A short search is over in less time than a clock can be trusted with: as many of them as it takes.
            repeats = max(1, min(sizes) * 5 // trials)
            found = [
                simulate(world, seed=1000 * i + n, workers=count, trials=trials, **DEFAULT) for n in range(repeats)
            ]
            run = {
                "kind": "decision",
                "round": i,
                "trials": trials,
                "workers": count,
                "seconds": sum(outcome.decided for outcome in found) / repeats,
                "calls": sum(outcome.calls for outcome in found) / repeats,
                "at_once": max(outcome.most for outcome in found),
            }
            runs.append(run)
            print(f"{trials} trials, {count} workers: {_each(run):.2f} ms a trial", flush=True)
    return runs


def settings(world: World, name: str, *, seeds: int, workers: int, grid: Sequence[Mapping[str, Any]]) -> list[Run]:
    """The regret of every setting at some moments of the same virtual time."""
    runs = []
    time = world.full_cost()
    for setting in grid:
        for seed in range(seeds):
            outcome = simulate(world, seed=seed, workers=workers, trials=None, budget=time, pause=PAUSE, **setting)
            runs.append({
                "kind": "setting",
                "data": name,
                **setting,
                "seed": seed,
                "trials": outcome.trials,
                "time": time,
                "regret": [world.best - outcome.best(mark * time) for mark in MARKS],
            })  # fmt: skip
    return runs


def grid() -> Iterator[dict[str, Any]]:
    """The settings that are compared: first rung as a share of an epoch; None: nothing is paused."""
    for sampler in ("tpe", "random"):
        yield {"eta": 3, "first_rung": None, "sampler": sampler}
        for eta in (2, 3, 4):
            for first in (1 / 16, 1 / 8, 1 / 4, 1 / 2):
                yield {"eta": eta, "first_rung": first, "sampler": sampler}


def figures(runs: Sequence[Run]) -> dict[str, list[float]]:
    """What a trial's decisions cost in the largest searches against the smallest ones, round by round."""
    decided = [run for run in runs if run["kind"] == "decision"]
    workers = min(run["workers"] for run in decided)
    by = {(run["round"], run["trials"]): _each(run) for run in decided if run["workers"] == workers}
    rounds, sizes = sorted({i for i, _ in by}), [trials for _, trials in by]
    return {
        "decision_ratio": [by[i, max(sizes)] / by[i, min(sizes)] for i in rounds],
        "decision_milliseconds": [by[i, max(sizes)] for i in rounds],
    }


def tables(runs: Sequence[Run]) -> list[results.Table]:
    """Decision time by trials and workers; mean regret by setting, the best first."""
    decided = [run for run in runs if run["kind"] == "decision"]
    sizes, counts = (sorted({run[key] for run in decided}) for key in ("trials", "workers"))
    rows = []
    for trials in sizes:
        cells = []
        for count in counts:
            found = [_each(run) for run in decided if (run["trials"], run["workers"]) == (trials, count)]
            cells.append(statistics.median(found) if found else "")
        rows.append((f"{trials:,}", *cells))
    head = ("trials", *(f"{count:,} worker{'s' if count > 1 else ''}" for count in counts))
    ranking = []
    for setting, found in _by_setting(runs).items():
        means = [statistics.mean(column) for column in zip(*(run["regret"] for run in found), strict=True)]
        tried = statistics.mean(run["trials"] for run in found)
        ranking.append((*setting, f"{tried:.1f}", *means, statistics.mean(means)))
    ranking.sort(key=lambda row: row[-1])
    moments = [f"at {mark:.0%}" for mark in MARKS]
    return [
        results.Table("Milliseconds of decisions a trial", head, rows),
        results.Table(
            "Mean regret by setting", ("eta", "first rung, epochs", "sampler", "trials", *moments, "mean"), ranking
        ),
    ]


def plot(runs: Sequence[Run]) -> Callable[[Figure], None]:
    """Decision time against trials; mean regret over time of some settings."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        decided = [run for run in runs if run["kind"] == "decision"]
        for count in sorted({run["workers"] for run in decided}):
            own = sorted((run["trials"], _each(run)) for run in decided if run["workers"] == count)
            left.plot(*zip(*own, strict=True), marker="o", linestyle="", label=f"{count} workers")
        left.set(xscale="log", xlabel="trials", ylabel="milliseconds of decisions a trial", ylim=(0, None))
        left.legend()
        for setting, found in _by_setting(runs).items():
            eta, first, sampler = setting
            if first in ("none", "0.25"):
                means = [statistics.mean(column) for column in zip(*(run["regret"] for run in found), strict=True)]
                label = f"{sampler}, {'no rungs' if first == 'none' else f'eta {eta}'}"
                right.plot(MARKS, means, marker="o", label=label)
        right.set(xlabel="share of one full fine-tune's time", ylabel="mean regret")
        right.legend(fontsize="small")

    return draw


def _by_setting(runs: Sequence[Run]) -> dict[tuple[Any, str, str], list[Run]]:
    found: dict[tuple[Any, str, str], list[Run]] = {}
    for run in runs:
        if run["kind"] == "setting":
            first = "none" if run["first_rung"] is None else f"{run['first_rung']:.3g}"
            found.setdefault((run["eta"] if first != "none" else "", first, run["sampler"]), []).append(run)
    return found


def simulate(world: World, *, eta: int, first_rung: float | None, **options: Any) -> Any:
    """A search with the first rung after a share of an epoch; see `benchmarks.world.search`."""
    from autoft.study.halving import default_rungs
    from benchmarks.world import search

    rungs: tuple[int, ...] = ()
    if first_rung is not None:
        batch = world.space.max_batch_size
        first = max(batch, round(first_rung * world.rows / batch) * batch)
        rungs = default_rungs(world.rows, world.space.max_epochs, eta, batch, first)
    return search(world, rungs=rungs, eta=eta, **options)


def _each(run: Mapping[str, Any]) -> float:
    return 1000 * float(run["seconds"]) / float(run["trials"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the simulation and writes its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of the smallest and the largest search")
    parser.add_argument("--largest", type=int, default=LARGE, help="trials of the largest search")
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 1000])
    parser.add_argument("--seeds", type=int, default=20, help="of every setting")
    parser.add_argument("--curves", type=Path, default=recording.CURVES)
    parser.add_argument("--out", type=Path, default=results.RESULTS)
    given = parser.parse_args(arguments)
    from benchmarks.world import World

    worlds = {path.stem: World.load(path, material.SPACE) for path in sorted(given.curves.glob("*.json"))}
    if not worlds:
        raise SystemExit(f"{given.curves}: no curves; record some with: python -m benchmarks.recording")
    sizes = sorted({SMALL, *(n for n in (1000,) if n < given.largest), given.largest})
    runs = decisions(next(iter(worlds.values())), sizes=sizes, workers=given.workers, rounds=given.rounds)
    for name, world in worlds.items():
        runs += settings(world, name, seeds=given.seeds, workers=2, grid=list(grid()))
    told = {
        "largest": given.largest,
        "workers": given.workers,
        "seeds": given.seeds,
        "pause": PAUSE,
        "default": DEFAULT,
    }
    results.write(
        "simulation", figures(runs), runs=runs, targets=TARGETS, settings=told, tables=tables(runs), plot=plot(runs),
        notes=[
            "Regret: the best value recorded less the best known by then. Two workers; time in full fine-tunes.",
            "A configuration that was not recorded gets the weighted mean of its three nearest neighbours.",
        ],
        folder=given.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
