"""Where the winner errs: the confusion matrix, and how far its probabilities can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import TrialRecord
from autoft.report.labels import amount, percent, short
from autoft.report.pictures.picture import Axis, Cells, Line, Marker, Picture, Stroke, Tone

WRITTEN = 15  # classes up to which a number fits into each cell
_NAMED = 40  # classes up to which each has its name at the axis
FEW = 10  # rows of a bin below which chance decides where its point lies
_LONG = 24  # characters of a label at an axis


def confusion_matrix(report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]) -> Picture | None:
    """True labels from top to bottom, predicted ones from left to right, shaded by the share of the true label."""
    counts, labels = report.get("confusion"), [str(label) for label in report.get("labels") or ()]
    if not counts or len(counts) != len(labels):
        return None
    size = len(labels)
    totals = [sum(row) for row in counts]
    shades = tuple(
        tuple(count / total if total else 0.0 for count in row) for row, total in zip(counts, totals, strict=True)
    )
    ticks = tuple((float(i), short(label, _LONG)) for i, label in enumerate(labels)) if size <= _NAMED else ()
    bounds = (-0.5, size - 0.5)
    return Picture(
        "confusion-matrix",
        "Confusion matrix",
        _confusion_caption(counts, labels, totals),
        Axis("predicted label (test rows)", ticks=ticks, bounds=bounds, hidden=not ticks),
        Axis("true label", ticks=ticks, bounds=bounds[::-1], hidden=not ticks),
        cells=Cells(
            shades,
            tuple(tuple(str(count) for count in row) for row in counts) if size <= WRITTEN else (),
            tuple(
                tuple(
                    f"{short(labels[i], 60)} taken for {short(labels[j], 60)}: {count} of {totals[i]}"
                    if i != j
                    else f"{short(labels[i], 60)} found: {count} of {totals[i]}"
                    for j, count in enumerate(row)
                )
                for i, row in enumerate(counts)
            ),
        ),
        height=min(760, 190 + 46 * size) if size <= WRITTEN else 700,
    )


def calibration(report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]) -> Picture | None:
    """How often the winner is right where it says that it is so sure: before and after the temperature was fitted."""
    known = report.get("calibration") or {}
    after, before = _points(known.get("bins")), _points(known.get("bins_before"))
    if not after:
        return None
    lines = [Line("as sure as right", ((0, 0), (1, 1)), Stroke.DOTTED, tone=Tone.FAINT)]
    for name, points, stroke, marker, few, tone in (
        ("before", before, Stroke.DASHED, Marker.OPEN_SQUARE, Marker.OPEN_CIRCLE, Tone.SECOND),
        ("after", after, Stroke.SOLID, Marker.CIRCLE, Marker.CROSS, Tone.FIRST),
    ):
        for legend, shape, own, path in (
            (f"{name} calibration", marker, [p for p in points if p[2] >= FEW], stroke),
            (f"{name}, fewer than {FEW} rows", few, [p for p in points if p[2] < FEW], Stroke.NONE),
        ):
            texts = tuple(
                f"{name}: where it is {percent(sure)} sure it is right in {percent(right)} of {amount(rows, 'row')}"
                for sure, right, rows in own
            )
            if own:
                lines.append(Line(legend, tuple(p[:2] for p in own), path, shape, tone, 2, 7, texts=texts))
    return Picture(
        "calibration",
        "Calibration",
        _calibration_caption(known, after),
        Axis("probability of the predicted label", bounds=(0, 1.02)),
        Axis("share of these test rows that is right", bounds=(0, 1.02)),
        tuple(lines),
        height=520,
        square=True,
    )


def confusions(counts: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """What is taken for something else: (count, true, predicted), the commonest first."""
    found = [(n, i, j) for i, row in enumerate(counts) for j, n in enumerate(row) if i != j and n]
    return sorted(found, key=lambda one: (-one[0], one[1:]))


def _confusion_caption(counts: Sequence[Sequence[int]], labels: Sequence[str], totals: Sequence[int]) -> str:
    right, rows = sum(row[i] for i, row in enumerate(counts)), sum(totals)
    text = f"{right:,} of {amount(rows, 'test row')} are on the diagonal, which is right."
    if errors := confusions(counts):
        number, true, said = errors[0]
        text += (
            f" The commonest mistake takes “{short(labels[true], 40)}” for “{short(labels[said], 40)}”: "
            f"{number} of {totals[true]:,}. The stronger a cell is shaded, the larger its share of the true label."
        )
    return text


def _points(bins: Sequence[Mapping[str, Any]] | None) -> list[tuple[float, float, int]]:
    """(confidence, accuracy, rows) of the bins that hold a row."""
    return [
        (one["confidence"], one["accuracy"], one["rows"])
        for one in bins or ()
        if one.get("rows") and one.get("confidence") is not None and one.get("accuracy") is not None
    ]


def _calibration_caption(known: Mapping[str, Any], after: Sequence[tuple[float, float, int]]) -> str:
    worst = max(after, key=lambda p: abs(p[0] - p[1]) * p[2])
    off = worst[0] - worst[1]
    how = "too sure" if off > 0 else "not sure enough"
    text = "Points below the diagonal are too sure of themselves."
    if known.get("temperature") is not None and known.get("ece_after") is not None:
        before = known.get("ece_before")
        moved = "" if before is None else f" (before: {before:.3f})"
        text += (
            f" With the temperature {known['temperature']:.2f}, fitted on validation, "
            f"the expected calibration error on the test rows is {known['ece_after']:.3f}{moved}."
        )
    if abs(off) >= 0.02:
        rows = amount(worst[2], "row")
        text += f" Where it says {percent(worst[0])} ({rows}) it is right in {percent(worst[1])}, which is {how}."
    return text
