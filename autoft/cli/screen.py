"""A running search on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from autoft.cli.cells import STYLES, has_more, state_cell, trial_cells, trial_table
from autoft.cli.sparkline import improvements, sparkline
from autoft.records import Snapshot, TrialRecord, TrialState, in_order, ranked
from autoft.report.labels import score
from autoft.words import compact, format_duration, frozen, short_name

_AROUND = 9  # lines of the screen that aren't trials: header, gaps, table head, "more", and one for the prompt
_EVENTS = 2  # of the latest trials that ended early, with their reasons
_ROOMY = 20  # lines of a terminal from which there is room for more than the table


class Screen:
    """Shows the newest snapshot, live, in no more lines than the terminal has.

    Calling it only keeps the snapshot; a thread of rich's draws four times a second. So the search never
    waits for the terminal, and may call from any thread.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._latest: tuple[Snapshot, float] | None = None
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=4,
            transient=True,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        """Shows `snapshot` from now on."""
        self._latest = (snapshot, self._clock())

    def _render(self) -> RenderableType:
        if self._latest is None:
            return Text("getting ready …", "dim")
        snapshot, since = self._latest
        return view(snapshot, self._console.width, self._console.height, self._clock() - since)


def view(snapshot: Snapshot, width: int, height: int, age: float = 0.0) -> RenderableType:
    """A snapshot as it stands on the screen.

    Args:
        snapshot: What to show.
        width: Width of the terminal in columns.
        height: Height of the terminal in lines; the view has fewer.
        age: Seconds since the snapshot was taken, added to the time used.
    """
    leader = next(iter(ranked(snapshot.trials, snapshot.direction)), None)
    wide = has_more(snapshot.trials)
    table = trial_table("", snapshot.metric, progress=True, width=width, wide=wide)
    ordered = _ordered(snapshot)
    progress, events = _so_far(snapshot, width, age), _events(snapshot)
    extra: list[RenderableType] = [] if height < _ROOMY else [line for line in (progress, *events) if line]
    room = max(1, height - _AROUND - len(extra))
    shown = ordered[:room]
    for trial in shown:
        *cells, value = trial_cells(trial, snapshot.direction, snapshot.blocks, trial is leader, wide=wide)
        running = trial.number in snapshot.running
        table.add_row(*cells, _progress(trial, snapshot, 10 if width >= 100 else 6), value, state_cell(trial, running))
    parts: list[RenderableType] = [_header(snapshot, age), _best(snapshot, leader), *extra]
    if shown:
        parts += [Text(), table]
    if hidden := len(ordered) - len(shown):
        parts.append(Text(f"and {hidden} more {'trial' if hidden == 1 else 'trials'}", "dim"))
    return Group(*parts)


def _header(snapshot: Snapshot, age: float) -> Text:
    ended = [trial for trial in snapshot.trials if trial.state is not TrialState.OPEN]
    early = {state: sum(trial.state is state for trial in ended) for state in (TrialState.PRUNED, TrialState.FAILED)}
    planned = f" of {snapshot.planned}" if snapshot.planned is not None else ""
    used = snapshot.elapsed + age
    times = f"{format_duration(used)} used"
    if snapshot.budget is not None:
        times += f", {format_duration(max(0.0, snapshot.budget - used))} left"
    counts = [f"{len(ended)}{planned} trials done", f"{len(snapshot.running)} training"]
    counts += [f"{count} {state}" for state, count in early.items() if count]
    return Text.assemble(
        (snapshot.name, "bold"),
        "  ",
        (snapshot.phase, "cyan"),
        (f"  {times}\n", "dim"),
        ", ".join(counts),
        no_wrap=True,
        overflow="ellipsis",
    )


def _best(snapshot: Snapshot, leader: TrialRecord | None) -> Text:
    best = leader.best(snapshot.direction) if leader else None
    if leader is None or best is None:
        return Text("no trial has been evaluated yet", "dim")
    config = leader.config
    depth = frozen(config.as_dict(), snapshot.blocks.get(config.model))
    return Text.assemble(
        "best so far: validation ",
        (f"{snapshot.metric} {score(best.value)}", "bold green"),
        f" by #{leader.number} ({short_name(config.model)}, lr {compact(config.learning_rate)}, freeze {depth})",
        no_wrap=True,
        overflow="ellipsis",
    )


def _so_far(snapshot: Snapshot, width: int, age: float) -> Text | None:
    """How the best score has risen, from the first report to now."""
    steps = improvements(snapshot.trials, snapshot.direction)
    if len(steps) < 2:
        return None
    latest = max(report.time for trial in snapshot.trials for report in trial.reports)
    line = sparkline(steps, latest + age, min(40, max(10, width - 50)), snapshot.direction)
    return Text.assemble(
        (f"{score(steps[0][1])} ", "dim"),
        (line, "green"),
        (f" {score(steps[-1][1])}", "dim"),
        (f"  {len(steps) - 1} {'improvement' if len(steps) == 2 else 'improvements'}", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _events(snapshot: Snapshot) -> list[Text]:
    """The latest trials that were pruned or failed, and why; the latest first."""
    early = [t for t in snapshot.trials if t.state in STYLES and t.state is not TrialState.COMPLETE and t.finished]
    early.sort(key=lambda trial: (trial.finished or 0.0, trial.number), reverse=True)
    return [
        Text.assemble(
            (time.strftime("%H:%M:%S", time.localtime(trial.finished)), "dim"),
            f"  #{trial.number} ",
            (str(trial.state), STYLES[trial.state]),
            f" at {trial.samples:,} samples" if trial.reports else "",
            f": {' '.join(trial.reason.split())}" if trial.reason else "",
            no_wrap=True,
            overflow="ellipsis",
        )
        for trial in early[:_EVENTS]
    ]


def _ordered(snapshot: Snapshot) -> list[TrialRecord]:
    """Those that train first, by number; then the best ones; the failed ones last."""
    training = sorted((t for t in snapshot.trials if t.number in snapshot.running), key=lambda trial: trial.number)
    order = in_order(snapshot.trials, snapshot.direction)
    return training + [trial for trial in order if trial.number not in snapshot.running]


def _progress(trial: TrialRecord, snapshot: Snapshot, width: int) -> RenderableType:
    horizon = snapshot.horizons.get(trial.number)
    if not horizon:
        return Text("")
    samples = max(trial.samples, snapshot.running.get(trial.number, 0))
    style = "cyan" if trial.number in snapshot.running else "bright_black"
    return ProgressBar(
        total=horizon, completed=min(samples, horizon), width=width, complete_style=style, finished_style="green"
    )
