"""The Markdown on the MLflow page of a search: the verdict, who stood for it, the leaderboard, how the search went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from autoft.records import Direction, SearchRecord, TrialRecord, TrialState, in_order, ranked
from autoft.tracking.datasets import row_counts
from autoft.tracking.serve import page
from autoft.tracking.tables import cell, entrants, leaderboard, number
from autoft.tracking.verdict import headline, reasons, so_far
from autoft.words import format_duration, short_name

# MLflow cuts a tag at 8,000 characters without a word, and would cut a table in the middle of a row.
_LIMIT = 7800
_ROWS = 20
_FINDINGS = 5  # what the examination of the data has found; the report has all of it
_SENTENCE = 240  # characters of a sentence that comes from elsewhere
_IMPROVEMENTS = 6
_GAP = "&nbsp;"  # MLflow leaves no space between a table and what follows it


def describe(
    search: SearchRecord,
    trials: Sequence[TrialRecord],
    blocks: Mapping[str, int],
    links: Mapping[int, str],
    *,
    report: Mapping[str, Any] | None = None,
    pages: str = "",
    usage: str = "",
) -> str:
    """The description of a search, for MLflow's `mlflow.note.content`.

    Args:
        search: The search.
        trials: All its trials so far.
        blocks: Number of blocks of each model by its reference, where known.
        links: Address of each trial's page by the trial's number, where known.
        report: The final report; None while the search runs.
        pages: Markdown with links to where the winner is.
        usage: Markdown on how to use the model, for the end.

    Returns:
        At most 7,800 characters; the leaderboard is shortened where it has to be.
    """
    if report is None:
        top = [so_far(search, trials, blocks), _counts(search, trials)]
    else:
        stood, said = entrants(report, links), reasons(search, report)
        top = [
            " ".join([headline(search, report), *said[:1]]),
            pages,  # MLflow folds a description after some lines; these are seen all the same
            "\n".join(f"- {sentence}" for sentence in said[1:]),
            f"### Entrants\n\n{stood}\n\n{_GAP}" if stood else "",
            _data_warnings(report),
        ]
    end = [
        "" if report is None else _how_it_went(search, trials, report),
        f"### Use the model\n\n{usage}" * bool(usage),
    ]
    order = in_order(trials, search.direction)
    for rows in range(min(_ROWS, len(order)), 0, -1):
        table = f"### Leaderboard\n\n{leaderboard(search, order, rows, blocks, links)}\n\n{_GAP}"
        text = _joined([*top, table, *end])
        if len(text) <= _LIMIT:
            return text
    return _joined([*top, *end])[:_LIMIT]


def pages(winner: str | None, registered: tuple[str, str] | None, files: Mapping[str, str]) -> str:
    """Where to go from the page of a search.

    Args:
        winner: Address of the winner's run.
        registered: Name and version of the registered model.
        files: Address of each file that is worth a look, by what to call it.
    """
    found = [f"[the winner's run]({winner})"] if winner else []
    if registered:
        name, version = registered
        address = page(f"#/models/{quote(name, safe='')}/versions/{version}")
        found.append(f"[registered model {cell(name)}, version {version}]({address})")
    found += [f"[{name}]({address})" for name, address in files.items()]
    return f"Go to {' · '.join(found)}" if found else ""


def usage(name: str, pipeline: str, model: str | None, tracking_uri: str) -> str:
    """How to use the winner: from the command line, and from Python where it is registered.

    Args:
        name: Name of the search.
        pipeline: Name of the `transformers` pipeline; empty where there is none.
        model: Address of the registered model, such as `models:/reviews@champion`.
        tracking_uri: Of the store.
    """
    text = f'```bash\nautoft predict {name} "a text"\n```\n'
    if model and not pipeline:
        text += (
            f"\n```python\nimport mlflow\nfrom autoft import api\n\n"
            f'mlflow.set_tracking_uri("{tracking_uri}")\n'
            f'folder = mlflow.artifacts.download_artifacts("{model}")\n'
            f'api.model(folder).predict(["a text"])\n```'
        )
    elif model:
        text += (
            f"\n```python\nimport mlflow\n\n"
            f'mlflow.set_tracking_uri("{tracking_uri}")\n'
            f'model = mlflow.transformers.load_model("{model}")  # a {pipeline} pipeline\n'
            f'model("a text")\n```'
        )
    return text


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _counts(search: SearchRecord, trials: Sequence[TrialRecord]) -> str:
    counts = Counter(record.state for record in trials)
    states = ", ".join(f"{counts[state]} {state}" for state in TrialState if counts[state])
    aim = "larger" if search.direction is Direction.MAXIMIZE else "smaller"
    total = f"{_trials(len(trials))}{f' ({states})' if states else ''}"
    return f"{total} · {search.task} · {aim} {search.metric} is better"


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


def _how_it_went(search: SearchRecord, trials: Sequence[TrialRecord], report: Mapping[str, Any]) -> str:
    samples = sum(record.samples for record in trials)
    cost, rows = report.get("cost") or {}, row_counts(search)
    times = f"{format_duration(seconds)} in all" if (seconds := report.get("seconds")) else ""
    if finals := cost.get("finals_seconds"):
        times += f"; {format_duration(finals)} of training for the final round, all workers together"
    lines = [
        _counts(search, trials),
        ", ".join(filter(None, (f"{samples:,} samples trained", times))),
        _improvements(search, trials),
        _models(search, trials),
        _reasons(trials),
        _short((report.get("selection") or {}).get("sentence")),
        f"Rows: {', '.join(f'{count:,} {part}' for part, count in rows.items())}" if rows else "",
    ]
    return "### How the search went\n\n" + "\n".join(f"- {line}" for line in lines if line)


def _improvements(search: SearchRecord, trials: Sequence[TrialRecord]) -> str:
    """The best so far over time; the steps between the first and the last few are left out."""
    reports = sorted(
        (report.time, report.value) for r in trials if r.state != TrialState.FAILED for report in r.reports
    )
    steps: list[tuple[float, float]] = []
    for moment, value in reports:
        if not steps or search.direction.better(value, steps[-1][1]):
            steps.append((moment, value))
    if not steps:
        return ""
    shown = [f"{number(value)} after {format_duration(max(0.0, moment - search.started))}" for moment, value in steps]
    if len(shown) > _IMPROVEMENTS:
        shown = [shown[0], "…", *shown[2 - _IMPROVEMENTS :]]
    return f"Best validation {search.metric} so far: {', '.join(shown)}"


def _models(search: SearchRecord, trials: Sequence[TrialRecord]) -> str:
    order = ranked(trials, search.direction)
    counts = Counter(record.config.model for record in trials)
    said = []
    for model in dict.fromkeys([record.config.model for record in order] + list(counts)):
        best = next((record.best(search.direction) for record in order if record.config.model == model), None)
        said.append(f"{cell(short_name(model))[:60]} {number(best.value if best else None)} ({_trials(counts[model])})")
    return f"Best of each model: {', '.join(said[:6])}" if len(said) > 1 else ""


def _reasons(trials: Sequence[TrialRecord]) -> str:
    ended = Counter(
        f"{record.state}: {_short(record.reason)}"
        for record in trials
        if record.state in (TrialState.PRUNED, TrialState.FAILED) and record.reason
    )
    common = [f"{cell(reason)} ({count})" for reason, count in ended.most_common(4)]
    return f"Ended early: {'; '.join(common)}" + (" …" if len(ended) > 4 else "") if common else ""


def _data_warnings(report: Mapping[str, Any]) -> str:
    findings = (report.get("examination") or {}).get("findings") or ()
    warnings = [_short(one.get("sentence")) for one in findings if one.get("severity") in ("warning", "refusal")]
    rest = len(warnings) - _FINDINGS
    lines = [f"- {warning}" for warning in warnings[:_FINDINGS] if warning]
    return (
        "\n".join(["### About the data", "", *lines, *([f"- … and {rest} more"] if rest > 0 else [])]) if lines else ""
    )


def _short(text: object) -> str:
    said = " ".join(str(text or "").split())
    return said if len(said) <= _SENTENCE else f"{said[: _SENTENCE - 1]}…"
