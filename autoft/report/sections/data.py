"""The data: how many rows, what was found in them before the search, and which labels look wrong after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.report.blocks import Block, Items, Section, Table, Text, section
from autoft.report.labels import amount, listed, score, share, short

_LONG = 300  # characters of a text
_EXAMPLES = 3  # of each finding
_CANDIDATES = 20  # labels that look wrong


def about_data(report: Mapping[str, Any]) -> Section | None:
    """Rows, metrics, labels, fingerprint."""
    rows = ", ".join(f"{count:,} {part}" for part, count in report["rows"].items())
    metrics = ", ".join(f"{name} {score(value)}" for name, value in report["test_metrics"].items())
    lines = [f"rows: {rows}"]
    if not report.get("classes"):  # beside which they stand as a table
        lines.append(f"the winner on the test rows: {metrics}")
    if report.get("labels"):
        lines.append(f"labels: {', '.join(short(str(label), 60) for label in report['labels'])}")
    if report.get("fingerprint"):
        lines.append(f"fingerprint: `{report['fingerprint']}`")
    splits = (report.get("examination") or {}).get("splits") or {}
    measured = list(dict.fromkeys(name for one in splits.values() for name in one.get("length") or ()))
    table = Table(
        "Length of the texts",
        ("split", "rows", *measured),
        tuple(
            (part, f"{one.get('rows') or 0:,}", *(_number((one.get("length") or {}).get(name)) for name in measured))
            for part, one in splits.items()
        ),
    )
    return section("data", "Data", (Items(tuple(lines)), table if measured else None))


def examined(report: Mapping[str, Any]) -> Section | None:
    """What was found in the data before the search, and the labels that look wrong."""
    blocks: list[Block] = []
    known = report.get("examination")
    findings = (known or {}).get("findings") or ()
    if known is not None and not findings:
        blocks.append(Text("Nothing was found in the data that would make the result doubtful."))
    for finding in findings:
        severity = finding.get("severity") or "note"
        sentence = str(finding.get("sentence") or finding.get("kind") or "")
        blocks.append(Text(f"{severity}: {sentence}" if severity != "note" else sentence))
        examples = [_example(one) for one in (finding.get("examples") or ())[:_EXAMPLES]]
        if examples:
            blocks.append(Items(tuple(examples)))
    noise = report.get("label_noise") or {}
    candidates = noise.get("candidates") or ()
    if noise.get("checked"):
        method = f" {noise['method']}" if noise.get("method") else ""
        blocks.append(
            Text(f"Of {amount(noise['checked'], 'label')} {amount(len(candidates), 'label')} may be wrong.{method}")
        )
    if candidates:
        rows = tuple(
            (
                str(one.get("split", "-")),
                str(one.get("row", "-")),
                short(str(one.get("text", "")), _LONG),
                short(str(one.get("label", "")), 60),
                short(str(one.get("suggested", "")), 60),
                share(one.get("confidence")),
            )
            for one in candidates[:_CANDIDATES]
        )
        columns = ("split", "row", "text", "label", "suggested", "confidence")
        blocks.append(Table("Labels that may be wrong, the surest first", columns, rows, texts=(2, 3, 4)))
        if len(candidates) > _CANDIDATES:
            blocks.append(Text(f"The other {len(candidates) - _CANDIDATES} stand in `report.json`."))
    return section("examination", "What was found in the data", blocks)


def _example(example: Mapping[str, Any]) -> str:
    places = [f"{part} row {row}" for part, row in example.get("rows") or ()]
    text = f"“{short(str(example.get('text', '')), _LONG)}”"
    return f"{text} ({listed(places[:6])}{' and more' if len(places) > 6 else ''})" if places else text


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"
