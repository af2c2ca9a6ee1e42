"""`report.md`: the report for a person, the verdict first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.records import Direction
from autoft.report.front import section as front
from autoft.report.labels import baseline_name, between, recipe, score
from autoft.report.markup import code, table
from autoft.words import compact, format_duration, frozen, short_name

SHOWN = 15  # rows of the leaderboard; report.json has them all


def render(report: Mapping[str, Any]) -> str:
    """The report as Markdown.

    Args:
        report: As `autoft.report.build` makes it.
    """
    parts = (_verdict(report), _use(report), front(report), _leaderboard(report), _search(report), _data(report))
    return "\n\n".join(filter(None, parts)) + "\n"


def verdict(report: Mapping[str, Any]) -> list[str]:
    """The outcome in plain sentences: the score, the baselines, and how far to trust them."""
    winner, metric, rows = report["winner"], report["metric"], report["rows"]
    interval = between(winner["test_interval"])
    says = f" (95 % interval {interval})" if interval else ""
    sentences = [
        f"Trial {winner['trial']} won: {recipe(winner['params'], _blocks(report, winner['params']['model']))}.",
        f"It reaches {metric} {score(winner['test'])}{says} on {rows['test']:,} test rows that no trial has seen.",
    ]
    if compared := comparison(report):
        sentences.append(compared)
    return sentences


def comparison(report: Mapping[str, Any]) -> str:
    """How the winner does against the best baseline, in one sentence; empty without a baseline."""
    direction = Direction(report["direction"])
    known = {key: values["test"] for key, values in report["baselines"].items() if values.get("test") is not None}
    test = report["winner"]["test"]
    if not known or test is None:
        return ""
    best = max(known, key=lambda key: direction.gain(known[key]))
    value = f"the best baseline, {baseline_name(best)} ({score(known[best])})"
    low, high = report["baselines"][best].get("difference_interval") or (None, None)
    if low is None or high is None:
        ahead = direction.better(test, known[best])
        return f"It is {'ahead of' if ahead else 'not ahead of'} {value}; how sure that is can't be said."
    by = f"{score(abs(test - known[best]))} (95 % interval of the difference {score(low)} to {score(high)})"
    if not direction.better(test, known[best]):
        return f"It does not beat {value}: fine-tuning has not paid off here."
    if low <= 0 <= high:
        return f"It is ahead of {value} by {by}: no difference is shown, for the interval holds zero."
    return f"It beats {value} by {by}."


def _verdict(report: Mapping[str, Any]) -> str:
    winner, metric = report["winner"], report["metric"]
    rows = [["fine-tuned model", score(winner["test"]), between(winner["test_interval"]) or "-"]]
    rows += [
        [baseline_name(key), score(values.get("test")), between(values.get("test_interval")) or "-"]
        for key, values in report["baselines"].items()
    ]
    better = "higher is better" if report["direction"] == Direction.MAXIMIZE else "lower is better"
    return "\n\n".join(
        (
            f"# {report['search']}",
            " ".join(verdict(report)),
            table(("on the test rows", f"{metric} ({better})", "95 % interval"), rows),
            "The interval says how far the score would move with another test set of this size, from 1,000 bootstrap "
            "resamples. Validation alone chose the winner; the test rows were locked until then and read once. "
            f"On validation it had {metric} {score(winner['validation'])}, which is flattered by having been chosen.",
            *report["notes"],
        )
    )


def _use(report: Mapping[str, Any]) -> str:
    name, folder = report["search"], report["model_dir"]
    text = '[("first text", "second text")]' if report["pairs"] else '["a text"]'
    ways = [
        f"autoft predict {name} --data new.csv" if report["pairs"] else f'autoft predict {name} "a text"',
        f'import autoft\n\nautoft.load("{name}").predict({text})',
    ]
    if report["pipeline"]:
        ways.append(
            "from transformers import pipeline\n\n"
            f"pipeline({report['pipeline']!r}, model={folder!r})("
            + ('{"text": "first text", "text_pair": "second text"}' if report["pairs"] else '"a text"')
            + ")"
        )
    mlflow = report["mlflow"]
    registered = (
        f"\n\nMLflow's registry has it as `models:/{mlflow['model_name']}/{mlflow['model_version']}`"
        + (f". {mlflow['champion_reason']}" if mlflow.get("champion_reason") else ".")
        if mlflow.get("model_version")
        else ""
    )
    return (
        "## Use it\n\nFrom the shell, where `runs/` lies (elsewhere add `--runs`):\n\n"
        + code("sh", ways[0])
        + "\n\nFrom Python:\n\n"
        + code("python", ways[1])
        + (
            f"\n\nWithout autoft, it is an ordinary transformers model:\n\n{code('python', ways[2])}"
            if ways[2:]
            else ""
        )
        + registered
    )


def _leaderboard(report: Mapping[str, Any]) -> str:
    entries = report["leaderboard"]
    rows = [
        [
            str(entry["rank"] or "-"),
            f"#{entry['trial']}",
            short_name(entry["params"]["model"]),
            compact(entry["params"]["learning_rate"]),
            str(entry["params"]["batch_size"]),
            str(entry["params"]["epochs"]),
            frozen(entry["params"], _blocks(report, entry["params"]["model"])),
            score(entry["validation"]),
            entry["state"] + (f": {entry['reason']}" if entry["reason"] else ""),
            f"{entry['samples']:,}",
            format_duration(entry["seconds"]),
        ]
        for entry in entries[:SHOWN]
    ]
    heading = f"validation {report['metric']}"
    columns = ("rank", "trial", "model", "lr", "batch", "epochs", "freeze", heading, "state", "samples", "time")
    more = f"\n\nThe other {len(entries) - SHOWN} stand in `report.json`." if len(entries) > SHOWN else ""
    return f"## Leaderboard\n\n{table(columns, rows)}{more}"


def _search(report: Mapping[str, Any]) -> str:
    counts, params = report["trials"], report["winner"]["params"]
    knobs = ", ".join(f"{key} {compact(v) if isinstance(v, float | None) else v}" for key, v in params.items())
    models = ", ".join(
        f"{short_name(ref)} ({info['blocks']} blocks)" if info.get("blocks") else short_name(ref)
        for ref, info in report["models"].items()
    )
    probes = ", ".join(
        f"{short_name(probe['model'])} {score(probe['value'])}"
        + (f" (not tried: {probe['dropped']})" if probe["dropped"] else "")
        for probe in report["probes"]
    )
    lines = [
        f"- {counts['total']} trials in {format_duration(report['seconds'])}: {counts['complete']} complete, "
        f"{counts['pruned']} pruned, {counts['failed']} failed",
        f"- the winner trained for {format_duration(report['winner']['seconds'])} and was best after "
        f"{report['winner']['samples']:,} samples",
        f"- its configuration: {knobs}",
        *([f"- models searched: {models}"] if models else []),
        *([f"- a linear model on their frozen features, {report['metric']} on validation: {probes}"] if probes else []),
        "- versions: " + ", ".join(f"{library} {number}" for library, number in report["versions"].items()),
    ]
    return "## How the search went\n\n" + "\n".join(lines)


def _data(report: Mapping[str, Any]) -> str:
    rows = ", ".join(f"{count:,} {part}" for part, count in report["rows"].items())
    metrics = ", ".join(f"{name} {score(value)}" for name, value in report["test_metrics"].items())
    lines = [f"- rows: {rows}", f"- the winner on the test rows: {metrics}"]
    if report["labels"]:
        lines.append(f"- labels: {', '.join(report['labels'])}")
    if report["fingerprint"]:
        lines.append(f"- fingerprint: `{report['fingerprint']}`")
    return "## Data\n\n" + "\n".join(lines)


def _blocks(report: Mapping[str, Any], model: str) -> int | None:
    blocks: int | None = report["models"].get(model, {}).get("blocks")
    return blocks
