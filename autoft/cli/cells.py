"""A trial as a row of a table on screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from autoft.records import TrialRecord, TrialState
from autoft.report.labels import more, score
from autoft.words import compact, frozen, short_name

if TYPE_CHECKING:
    from autoft.records import Direction

STYLES = {TrialState.COMPLETE: "green", TrialState.PRUNED: "dim", TrialState.FAILED: "red"}


def has_more(trials: Iterable[TrialRecord]) -> bool:
    """Whether a trial has more to tell it by than what every table shows."""
    return any(more(trial.config.as_dict()) for trial in trials)


def trial_table(title: str, metric: str, progress: bool, width: int, *, wide: bool = False) -> Table:
    """An empty table with the columns of `trial_cells`.

    Args:
        title: Stands above the table.
        metric: Heads the column of the best validation value.
        progress: The table has a column for how far a trial is.
        width: Width of the terminal; a narrow one gets tighter columns.
        wide: It has a column for what else of a configuration isn't the default.
    """
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2 if width >= 100 else 1, 0, 0),
        header_style="dim",
        expand=True,  # so that a long reason gives way, and not the numbers
    )
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("model", no_wrap=True, overflow="ellipsis", max_width=28 if width >= 120 else 14)
    for heading in ("lr", "batch", "epochs", "freeze"):
        table.add_column(heading, justify="right", no_wrap=True)
    if wide:
        table.add_column("else", no_wrap=True, overflow="ellipsis", max_width=max(10, width // 4))
    if progress:
        table.add_column("progress" if width >= 100 else "done", no_wrap=True)
    table.add_column(metric, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def trial_cells(
    trial: TrialRecord, direction: Direction, blocks: Mapping[str, int], leader: bool, *, wide: bool = False
) -> list[Text]:
    """The cells of a trial, but for its progress and its state.

    Args:
        trial: The trial.
        direction: Direction of the objective.
        blocks: Number of blocks of each model, where it is known.
        leader: It is the best so far.
        wide: The table has a column for what else isn't the default.
    """
    config, best = trial.config, trial.best(direction)
    style = "bold green" if leader else "dim" if trial.state in (TrialState.PRUNED, TrialState.FAILED) else ""
    return [
        Text(text, style)
        for text in (
            str(trial.number),
            short_name(config.model),
            compact(config.learning_rate),
            str(config.batch_size),
            str(config.epochs),
            frozen(config.as_dict(), blocks.get(config.model)),
            *([more(config.as_dict())] if wide else []),
            score(best.value if best else None),
        )
    ]


def state_cell(trial: TrialRecord, running: bool) -> Text:
    """How far a trial is, and why it ended."""
    if trial.state is TrialState.OPEN:
        if running:
            return Text("training", "cyan")
        return Text("paused" if trial.reports else "waiting", "yellow")
    reason = f": {' '.join(trial.reason.split())}" if trial.reason else ""
    return Text(f"{trial.state}{reason}", STYLES[trial.state])
