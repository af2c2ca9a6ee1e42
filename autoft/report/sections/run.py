"""How the search went, what it cost, its leaderboard, and the winner's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.report.blocks import Items, Section, Table, Text, section
from autoft.report.labels import amount, blocks_of, score
from autoft.report.sections.shown import pictures
from autoft.words import compact, format_duration, frozen, short_name

SHOWN = 15  # rows of the leaderboard; report.json has them all


def went(report: Mapping[str, Any]) -> Section | None:
    """Numbers of the search, and its pictures."""
    counts = report["trials"]
    models = ", ".join(
        f"{short_name(ref)} ({info['blocks']} blocks)" if info.get("blocks") else short_name(ref)
        for ref, info in (report.get("models") or {}).items()
    )
    probes = ", ".join(
        f"{short_name(probe['model'])} {score(probe['value'])}"
        + (f" (not tried: {probe['dropped']})" if probe["dropped"] else "")
        for probe in report.get("probes") or ()
    )
    lines = [
        f"{amount(counts['total'], 'trial')} in {format_duration(report['seconds'])}: {counts['complete']} complete, "
        f"{counts['pruned']} pruned, {counts['failed']} failed",
        f"the winner trained for {format_duration(report['winner']['seconds'])} and was best after "
        f"{report['winner']['samples']:,} samples",
        *([f"models searched: {models}"] if models else []),
        *([f"a linear model on their frozen features, {report['metric']} on validation: {probes}"] if probes else []),
    ]
    shown = pictures(
        report, "best-so-far", "learning-curves", "parallel-coordinates", "importances", "score-against-cost"
    )
    return section("search", "How the search went", (Items(tuple(lines)), *shown))


def leaderboard(report: Mapping[str, Any]) -> Section | None:
    """The best trials."""
    entries = report.get("leaderboard") or ()
    rows = tuple(
        (
            str(entry["rank"] or "-"),
            f"#{entry['trial']}",
            short_name(entry["params"]["model"]),
            compact(entry["params"]["learning_rate"]),
            str(entry["params"]["batch_size"]),
            str(entry["params"]["epochs"]),
            frozen(entry["params"], blocks_of(report, entry["params"]["model"])),
            score(entry["validation"]),
            entry["state"] + (f": {entry['reason']}" if entry["reason"] else ""),
            f"{entry['samples']:,}",
            format_duration(entry["seconds"]),
        )
        for entry in entries[:SHOWN]
    )
    heading = f"validation {report['metric']}"
    columns = ("rank", "trial", "model", "lr", "batch", "epochs", "freeze", heading, "state", "samples", "time")
    more = len(entries) - SHOWN
    return section(
        "leaderboard",
        "Leaderboard",
        (
            Table("Trials of the search, the best on validation first", columns, rows, texts=(8,)) if rows else None,
            Text(f"The other {more} stand in `report.json`.") if more > 0 else None,
        ),
    )


def cost(report: Mapping[str, Any]) -> Section | None:
    """Seconds, energy, parameters and latency."""
    known = report.get("cost") or {}
    lines = []
    if known.get("search_seconds") is not None:
        finals = known.get("finals_seconds")
        then = f", then {format_duration(finals)} for the finals" if finals else ""
        lines.append(f"time: {format_duration(known['search_seconds'])} for the search{then}")
    if known.get("trained_samples"):
        lines.append(f"trained on {amount(known['trained_samples'], 'sample')} in all")
    if known.get("energy_joules") is not None:
        method = f" ({known['energy_method']})" if known.get("energy_method") else ""
        joules = known["energy_joules"]
        lines.append(f"energy: {joules / 3600:,.3g} Wh ({joules:,.0f} J){method}")
    elif known.get("energy_method"):
        lines.append(f"energy: not measured ({known['energy_method']})")
    if known.get("parameters"):
        trainable = known.get("trainable")
        part = f", {trainable:,} of them trained" if trainable is not None else ""
        lines.append(f"the winner has {known['parameters']:,} parameters{part}")
    latency = known.get("latency") or {}
    table = Table(
        f"Time to answer ({known.get('device') or 'on this machine'})",
        ("texts at once", "median, ms", "95 % are faster than, ms", "median for each text, ms"),
        tuple(
            (str(size), _ms(one.get("median_ms")), _ms(one.get("p95_ms")), _ms(_each(one.get("median_ms"), size)))
            for size, one in latency.items()
        ),
    )
    return section(
        "cost", "What the answer costs", (Items(tuple(lines)) if lines else None, table if latency else None)
    )


def recipe_and_versions(report: Mapping[str, Any]) -> Section | None:
    """What is needed to do it again."""
    winner = report["winner"]
    knobs = ", ".join(
        f"{key} {compact(v) if isinstance(v, float | None) else v}" for key, v in winner["params"].items()
    )
    versions = ", ".join(f"{library} {number}" for library, number in (report.get("versions") or {}).items())
    seed = f", of which the weights handed over were trained with seed {winner['seed']}" if "seed" in winner else ""
    return section(
        "configuration",
        "Configuration and versions",
        (
            Items(
                (
                    f"the winner's configuration: {knobs}{seed}",
                    *([f"versions: {versions}"] if versions else ()),
                )
            ),
        ),
    )


def _each(milliseconds: float | None, size: str) -> float | None:
    return milliseconds / int(size) if milliseconds is not None and str(size).isdigit() and int(size) else None


def _ms(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,.3g}"
