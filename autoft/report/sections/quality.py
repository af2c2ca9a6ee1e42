"""What the winner answers: class by class, how sure it is, and where it is surely wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.report.blocks import Section, Table, Text, section
from autoft.report.labels import score, share, short
from autoft.report.sections.shown import pictures

_LONG = 300  # characters of a text


def answers(report: Mapping[str, Any]) -> Section | None:
    """The classes, the confusion matrix, the calibration and the most confident mistakes."""
    classes, mistakes = report.get("classes") or (), report.get("mistakes") or ()
    known = report.get("calibration") or {}
    metrics = {name: value for name, value in (report.get("test_metrics") or {}).items() if value is not None}
    return section(
        "answers",
        "Where it is right, and where not",
        (
            Table(
                "All metrics of the winner on the test rows",
                ("metric", "value"),
                tuple((name, score(value)) for name, value in metrics.items()),
            )
            if metrics and classes
            else None,
            Table(
                "Each class on the test rows",
                ("class", "precision", "recall", "F1", "rows"),
                tuple(
                    (
                        short(str(one["label"]), 60),
                        score(one.get("precision")),
                        score(one.get("recall")),
                        score(one.get("f1")),
                        f"{one.get('support') or 0:,}",
                    )
                    for one in classes
                ),
                texts=(0,),
            )
            if classes
            else None,
            *pictures(report, "confusion-matrix"),
            Text(_calibrated(known)) if known.get("sentence") or known.get("ece_after") is not None else None,
            *pictures(report, "calibration"),
            Table(
                "The most confident mistakes on the test rows",
                ("row", "text", "label", "predicted", "confidence"),
                tuple(
                    (
                        str(one.get("row", "-")),
                        short(str(one.get("text", "")), _LONG),
                        short(str(one.get("label", "")), 60),
                        short(str(one.get("predicted", "")), 60),
                        share(one.get("confidence")),
                    )
                    for one in mistakes
                ),
                texts=(1, 2, 3),
            )
            if mistakes
            else None,
            Text("A mistake of which the model is that sure is often a wrong label: look at these first.")
            if mistakes
            else None,
        ),
    )


def _calibrated(known: Mapping[str, Any]) -> str:
    if known.get("sentence"):
        return str(known["sentence"])
    before, after = known.get("ece_before"), known["ece_after"]
    text = (
        f"The saved model's probabilities are calibrated: its scores are divided by {known['temperature']:.3f}, a "
        "temperature fitted on validation, which changes how sure it is and not what it answers. "
        if known.get("temperature") is not None
        else ""
    )
    text += f"On the test rows its probability is off by {share(after)} on average (expected calibration error)"
    return text + (f"; before it was {share(before)}." if before is not None else ".")
