"""The Markdown on the MLflow page of a search: verdict, leaderboard, how to use the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import Direction, SearchRecord, TrialRecord, TrialState, in_order, ranked
from autoft.words import compact, format_duration, frozen, short_name

# MLflow cuts a tag at 8,000 characters without a word, and would cut a table in the middle of a row.
_LIMIT = 7800
_ROWS = 20
_REASON = 80  # characters of a reason; the page of the trial has all of it
_NONE = "-"
_HEAD = ("rank", "trial", "model", "lr", "batch", "epochs", "freeze", "validation", "state", "samples", "time")


def describe(
    search: SearchRecord,
    trials: Sequence[TrialRecord],
    blocks: Mapping[str, int],
    links: Mapping[int, str],
    *,
    report: Mapping[str, Any] | None = None,
    usage: str = "",
) -> str:
    """The description of a search, for MLflow's `mlflow.note.content`.

    Args:
        search: The search.
        trials: All its trials so far.
        blocks: Number of blocks of each model by its reference, where known.
        links: Address of each trial's page by the trial's number, where known.
        report: The final report; None while the search runs.
        usage: Markdown on how to use the model, for the end.

    Returns:
        At most 7,800 characters; the leaderboard is shortened where it has to be.
    """
    top = f"{_verdict(search, trials, blocks) if report is None else final_verdict(search, report)}\n\n"
    top += f"{_counts(search, trials)}\n"
    end = f"\n### Use the model\n\n{usage}\n" if usage else ""
    order = in_order(trials, search.direction)
    for rows in range(min(_ROWS, len(order)), 0, -1):
        text = f"{top}\n### Leaderboard\n\n{_table(search, order, rows, blocks, links)}\n{end}"
        if len(text) <= _LIMIT:
            return text
    return f"{top}{end}"[:_LIMIT]


def final_verdict(search: SearchRecord, report: Mapping[str, Any]) -> str:
    """The winner, its test score with its interval, and what the trivial models score."""
    winner = report.get("winner")
    if not winner:
        return "**No winner.** The search ended without a trial that could be scored."
    score = f"**{_number(winner.get('test'))}** {search.metric} on the test set"
    low, high = winner.get("test_interval") or (None, None)
    interval = f" (95 % interval {_number(low)} to {_number(high)})" if low is not None and high is not None else ""
    model = short_name(str(winner.get("params", {}).get("model", "")))
    text = (
        f"**The winner is trial #{winner.get('trial')}**{f', {_cell(model)},' if model else ''} "
        f"with {score}{interval}. Validation chose it; the test set was read once, at the end."
    )
    return f"{text}\n\n{_against(search.direction, winner, report)}".rstrip()


def usage(name: str, pipeline: str, model_name: str | None, tracking_uri: str) -> str:
    """How to use the winner: from the command line, and from Python where it is registered."""
    text = f'```bash\nautoft predict {name} "a text"\n```\n'
    if model_name and not pipeline:
        text += (
            f"\n```python\nimport mlflow\nfrom autoft import api\n\n"
            f'mlflow.set_tracking_uri("{tracking_uri}")\n'
            f'folder = mlflow.artifacts.download_artifacts("models:/{model_name}@champion")\n'
            f'api.model(folder).predict(["a text"])\n```'
        )
    elif model_name:
        text += (
            f"\n```python\nimport mlflow\n\n"
            f'mlflow.set_tracking_uri("{tracking_uri}")\n'
            f'model = mlflow.transformers.load_model("models:/{model_name}@champion")  # a {pipeline} pipeline\n'
            f'model("a text")\n```'
        )
    return text


def _against(direction: Direction, winner: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    scores: dict[str, float] = {
        name: values["test"]
        for name, values in (report.get("baselines") or {}).items()
        if isinstance(values, Mapping) and isinstance(values.get("test"), int | float)
    }
    test = winner.get("test")
    if not scores or not isinstance(test, int | float):
        return ""
    listed = ", ".join(f"{_cell(name)} {_number(value)}" for name, value in scores.items())
    best = max(scores, key=lambda name: direction.gain(scores[name]))
    if not direction.better(test, scores[best]):
        return f"Baselines on the same rows: {listed}. **The winner is not better than {_cell(best)}.**"
    # The end of the interval that points to worse scores.
    worst = min(winner.get("test_interval") or (test,), key=direction.gain)
    clear = direction.better(worst, scores[best])
    hedge = "" if clear else f" The interval reaches {_cell(best)}, so the lead may be chance."
    return f"Baselines on the same rows: {listed}.{hedge}"


def _verdict(search: SearchRecord, trials: Sequence[TrialRecord], blocks: Mapping[str, int]) -> str:
    order = ranked(trials, search.direction)
    best = order[0].best(search.direction) if order else None
    if best is None:
        return "**No result yet.** The first trials are on their way."
    config = order[0].config
    return (
        f"**Best so far: {_number(best.value)} {search.metric}** on validation, trial #{order[0].number}: "
        f"{_cell(short_name(config.model))}, learning rate {compact(config.learning_rate)}, "
        f"batch {config.batch_size}, {config.epochs} epoch{'s' if config.epochs > 1 else ''}, "
        f"freeze {frozen(config.as_dict(), blocks.get(config.model))}. The test set has not been read."
    )


def _counts(search: SearchRecord, trials: Sequence[TrialRecord]) -> str:
    counts = Counter(record.state for record in trials)
    states = ", ".join(f"{counts[state]} {state}" for state in TrialState if counts[state])
    aim = "larger" if search.direction is Direction.MAXIMIZE else "smaller"
    number = f"{len(trials)} trial{'' if len(trials) == 1 else 's'}{f' ({states})' if states else ''}"
    return f"{number} · {search.task} · {aim} {search.metric} is better"


def _table(
    search: SearchRecord, order: Sequence[TrialRecord], rows: int, blocks: Mapping[str, int], links: Mapping[int, str]
) -> str:
    able = {record.number for record in ranked(order, search.direction)}
    lines = [_padded(_HEAD), _row(["---"] * len(_HEAD))]
    for rank, record in enumerate(order[:rows], start=1):
        best, config = record.best(search.direction), record.config
        name = f"#{record.number}"
        lines.append(
            _padded(
                (
                    str(rank) if record.number in able else _NONE,
                    f"[{name}]({links[record.number]})" if record.number in links else name,
                    _cell(short_name(config.model)),
                    compact(config.learning_rate),
                    str(config.batch_size),
                    str(config.epochs),
                    frozen(config.as_dict(), blocks.get(config.model)),
                    _number(best.value if best else None),
                    _state(record),
                    f"{record.samples:,}",
                    format_duration(record.seconds),
                )
            )
        )
    rest = len(order) - rows
    return "\n".join(lines) + (f"\n\n… and {rest} more, in the list of child runs." if rest > 0 else "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _padded(cells: Sequence[str]) -> str:
    # MLflow draws tables without any space between the columns, and drops alignment and styles.
    return _row([f"{cell}&emsp;" for cell in cells])


def _state(record: TrialRecord) -> str:
    """The state of a trial, and for one that failed the reason."""
    if record.state is not TrialState.FAILED or not record.reason:
        return str(record.state)
    reason = " ".join(record.reason.split())
    return f"{record.state}: {_cell(reason if len(reason) <= _REASON else f'{reason[: _REASON - 1]}…')}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else _NONE
