"""The outcome in plain sentences: who won, the score, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.records import Direction
from autoft.report.blocks import Items, Section, Table, Text, section
from autoft.report.labels import amount, baseline_name, between, blocks_of, entrant_name, recipe, score, sentence


def verdict(report: Mapping[str, Any]) -> list[str]:
    """The outcome in plain sentences: the score, the comparisons, and how far to trust them."""
    winner, metric, rows = report["winner"], report["metric"], report["rows"]
    interval = between(winner["test_interval"])
    says = f" (95 % interval {interval})" if interval else ""
    how = recipe(winner["params"], blocks_of(report, winner["params"]["model"]))
    who = winner.get("entrant") or f"trial-{winner['trial']}"
    sentences = [
        f"{entrant_name(who).capitalize()} won: {how}.",
        f"It reaches {metric} {score(winner['test'])}{says} on {amount(rows['test'], 'test row')} "
        "that no trial has seen.",
    ]
    compared = report.get("comparisons") or {}
    sentences += [sentence(said["sentence"]) for key in ("plain", "runner_up") if (said := compared.get(key))]
    if said := comparison(report):
        sentences.append(said)
    return sentences


def comparison(report: Mapping[str, Any]) -> str:
    """How the winner does against the best baseline, in one sentence; empty without a baseline."""
    if given := ((report.get("comparisons") or {}).get("baseline") or {}).get("sentence"):
        return sentence(str(given))
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


def verdict_section(report: Mapping[str, Any]) -> Section | None:
    """The verdict, the winner beside the baselines, and the notes."""
    winner, metric, said = report["winner"], report["metric"], verdict(report)
    rows = [("fine-tuned model", score(winner["test"]), between(winner["test_interval"]) or "-")]
    rows += [
        (baseline_name(key), score(values.get("test")), between(values.get("test_interval")) or "-")
        for key, values in report["baselines"].items()
    ]
    better = "higher is better" if report["direction"] == Direction.MAXIMIZE else "lower is better"
    warnings = [
        finding["sentence"]
        for finding in (report.get("examination") or {}).get("findings") or ()
        if finding.get("severity") in ("warning", "refusal") and finding.get("sentence")
    ]
    read, selection = report.get("test_read") or {}, report.get("selection") or {}
    once = (
        f"These test rows were read before, on {amount(read['earlier'], 'other model')}: the score may be flattered "
        "by a choice that followed from that."
        if read.get("earlier")
        else ""
    )
    return section(
        "verdict",
        str(report["search"]),
        (
            Text(" ".join(said[:2]), "lead"),
            Items(tuple(said[2:])) if said[2:] else None,
            *([Text(once, "warning")] if once else ()),
            *(Text(warning, "warning") for warning in warnings),
            *(Text(str(note), "note") for note in report.get("notes") or () if note not in warnings),
            Table(
                "The winner and simple models", ("on the test rows", f"{metric} ({better})", "95 % interval"), (*rows,)
            ),
            Text(
                "The interval says how far the score would move with another test set of this size, from 1,000 "
                "bootstrap resamples. Validation alone chose the winner; the test rows were locked until then"
                f"{'' if once else ' and read once'}. "
                f"On validation it had {metric} {score(winner['validation'])}"
                f"{'.' if selection.get('sentence') else ', which is flattered by having been chosen.'}"
            ),
        ),
    )
