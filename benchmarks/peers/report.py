"""The tables and the plot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.words import compact
from benchmarks import results
from benchmarks.peers import figures
from benchmarks.peers.contest import CONTESTANTS, DATA_SETS, OURS, REFERENCE, TRIALS
from benchmarks.peers.runs import Run, by_cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGETS = {
    "wall_ratio": ">= 6.0",
    "reach_share": "<= 0.1",
    "reach_share_tweets": "<= 0.1",
    "reach_share_rotten_tomatoes": "<= 0.1",
}


def write(runs: Sequence[Run], settings: dict[str, Any], folder: Path | None = None) -> Path:
    """Writes `peers.json`, `peers.md` and `peers.png` from the runs that there are.

    Args:
        runs: At least one, all with the same settings.
        settings: Theirs.
        folder: Where to write; `benchmarks/results` by default.
    """
    per_run = figures.per_run(runs)
    constants: dict[str, Any] = {}
    difference = figures.compare(runs)
    if difference is not None:
        constants = {
            "test_difference": difference.mean,
            "test_difference_spread": [min(difference.each), max(difference.each)],
            "test_difference_interval": [difference.low, difference.high],
        }
    return results.write(
        "peers",
        per_run,
        runs=[_summary(run) for run in runs],
        constants=constants,
        targets={key: target for key, target in TARGETS.items() if key in per_run},
        settings=settings,
        tables=[_contestants(runs), _each(runs)],
        notes=_notes(runs),
        plot=lambda figure: draw(figure, runs),
        folder=folder,
    )


def _contestants(runs: Sequence[Run]) -> results.Table:
    """A row for each contestant, over all data sets and seeds."""
    rows = []
    for name in _present(runs):
        own = [run for run in runs if run.contestant == name]
        compared = figures.pairs(runs, name, REFERENCE)
        shares = [figures.reach_share(run, reference) for run, reference in compared]
        reached = sum(math.isfinite(figures.time_to(run, figures.final_best(ref))) for run, ref in compared)
        against = figures.compare(runs, OURS, name) if name != OURS else None
        rows.append(
            (
                name,
                CONTESTANTS[name].summary,
                len(own),
                statistics.median(run.wall for run in own),
                statistics.median(run.trials for run in own),
                statistics.median(shares) if shares else "-",
                f"{reached} of {len(compared)}",
                statistics.fmean(figures.final_best(run) for run in own),
                statistics.fmean(run.test for run in own),
                f"{against.mean:+.4f} [{against.low:+.4f}, {against.high:+.4f}]" if against else "-",
            )
        )
    head = (
        "contestant", "what it is", "runs", "wall clock, s", "configurations", f"share of {REFERENCE}'s time",
        "reached its best", "best on validation, mean", "test, mean", f"{OURS} minus it on test, 95 % interval",
    )  # fmt: skip
    return results.Table("Contestants", head, rows)


def _each(runs: Sequence[Run]) -> results.Table:
    rows = []
    for (data_set, seed), cell in sorted(by_cell(runs).items()):
        target = figures.final_best(cell[REFERENCE]) if REFERENCE in cell else math.inf
        for name in _present(list(cell.values())):
            run = cell[name]
            seconds = figures.time_to(run, target)
            rows.append(
                (
                    data_set,
                    str(seed),
                    name,
                    run.wall,
                    run.trials,
                    run.evaluations[0][0],
                    seconds if math.isfinite(seconds) else "never" if math.isfinite(target) else "-",
                    figures.final_best(run),
                    run.validation,
                    run.test,
                    ", ".join(f"{key} {_short(value)}" for key, value in run.winner.items()),
                )
            )
    head = (
        "data set", "seed", "contestant", "wall clock, s", "configurations", "first value after, s",
        f"{REFERENCE}'s best after, s", "best on validation", "winner on validation", "winner on test", "winner",
    )  # fmt: skip
    return results.Table("Runs", head, rows)


def _notes(runs: Sequence[Run]) -> list[str]:
    remarks = {(run.contestant, remark): None for run in runs for remark in run.remarks}
    notes = [
        "It measures what is missing in `peers-runs`; `python -m benchmarks.peers --again` measures it all anew, and "
        "`--help` names the contestants.",
        "Wall clock: from the start of the contestant's process, imports included, until it has searched and the "
        "winner's model is there to be used; for autoft that includes its own test score, report and MLflow.",
        "By default autoft also trains its best configurations again with other seeds, and a plain recipe beside them. "
        "Nobody else does, so here it is told not to; else it would take longer, and know more.",
        "Best on validation counts every evaluation of every trial. `Trainer.hyperparameter_search` itself keeps the "
        "last epoch's value of a trial, which is what its winner is chosen by.",
        f"`reach_share` is that of autoft with a quarter of {REFERENCE}'s time: {TRIALS} configurations take it less.",
        f"A run that never reaches {REFERENCE}'s best is charged its own wall clock and {REFERENCE}'s.",
        "The difference on test is pooled over data sets and seeds; its interval is a paired bootstrap over test "
        "rows, a row that several seeds share being drawn with all its differences.",
    ]
    return notes + [f"{contestant}: {remark}" for contestant, remark in remarks]


def _summary(run: Run) -> dict[str, Any]:
    """What of a run stands in `peers.json`; its own file has the rest, row by row."""
    return {
        "data_set": run.data_set,
        "seed": run.seed,
        "contestant": run.contestant,
        "wall": run.wall,
        "retrain": run.retrain,
        "budget": run.budget,
        "configurations": run.trials,
        "best_so_far": [list(step) for step in figures.best_so_far(run)],
        "winner": dict(run.winner),
        "validation": run.validation,
        "test": run.test,
        "versions": dict(run.versions),
    }


def draw(figure: Figure, runs: Sequence[Run]) -> None:
    """Best accuracy on validation against wall clock: a step curve for each run, a panel for each data set."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    names = _present(runs)
    colours = {name: f"C{list(CONTESTANTS).index(name) % 10}" for name in names}
    data_sets = [data_set for data_set in DATA_SETS if any(run.data_set == data_set for run in runs)]
    figure.set_size_inches(5.5 * len(data_sets), 4.5)
    panels = figure.subplots(1, len(data_sets), squeeze=False)[0]
    for panel, data_set in zip(panels, data_sets, strict=True):
        shown: set[str] = set()
        for run in runs:
            if run.data_set != data_set:
                continue
            steps = figures.best_so_far(run)
            # The last value holds until the winner is handed over.
            seconds = [step[0] for step in steps] + [max(run.wall, steps[-1][0])]
            values = [step[1] for step in steps] + [steps[-1][1]]
            label = None if run.contestant in shown else run.contestant
            shown.add(run.contestant)
            colour = colours[run.contestant]
            width = 1.8 if run.contestant in (OURS, REFERENCE) else 1.0
            panel.step(seconds, values, where="post", color=colour, linewidth=width, alpha=0.85, label=label)
            panel.plot(seconds[-1], values[-1], "o", color=colour, markersize=4)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        # What happens at the end counts; a first value by a model that knows nothing yet may lie far below.
        panel.set_ylim(bottom=min(figures.final_best(run) for run in runs if run.data_set == data_set) - 0.1)
        panel.set(title=data_set, xlabel="seconds since the start of the process")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("best accuracy on validation so far")
    handles = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    figure.legend(
        [handles[name] for name in names],
        names,
        loc="outside lower center",
        ncols=min(3 * len(panels), len(names)),
        frameon=False,
    )


def _short(value: Any) -> str:
    return compact(value) if isinstance(value, float) else str(value)


def _present(runs: Sequence[Run]) -> list[str]:
    there = {run.contestant for run in runs}
    return [name for name in CONTESTANTS if name in there]
