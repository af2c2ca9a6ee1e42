"""The model card: `README.md` beside the model, for whoever meets the model without its search.

It is a card as the hub has them: YAML for machines first, and then Markdown. No text of the data stands in it, and no
path of the machine that the model was made on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autoft.report.front_matter import front_matter
from autoft.report.labels import baseline_name, between, known, score
from autoft.report.markup import code, table
from autoft.words import compact, format_duration, short_name

NAME = "README.md"

_FEW = 30  # test rows of a class, below which its numbers say little

Report = Mapping[str, Any]


def write_card(report: Report, folder: Path) -> None:
    """Writes the card into a model's folder; a crash leaves the old file or the new one.

    Args:
        report: What `report.json` holds; parts that it lacks are left out of the card.
        folder: Of the model.

    Raises:
        OSError: The folder can't be written to.
    """
    draft = folder / f".{NAME}"
    draft.write_text(card(report), encoding="utf-8")
    draft.replace(folder / NAME)


def card(report: Report) -> str:
    """The card's text, from what `report.json` holds."""
    import yaml

    report = {key: value for key, value in report.items() if value is not None}
    head = yaml.safe_dump(front_matter(report), sort_keys=False, allow_unicode=True)
    sections = (
        ("", _summary(report)),
        ("Verdict", _verdict(report)),
        ("Intended use", _purpose(report)),
        ("How to use it", _use(report)),
        ("Training data", _data(report)),
        ("Training", _training(report)),
        ("Calibration", _calibration(report)),
        ("By class", _classes(report)),
        ("Limits", _limits(report)),
        ("Cost", _cost(report)),
    )
    parts = [f"## {heading}\n\n{text}" if heading else text for heading, text in sections if text]
    return f"---\n{head}---\n\n" + "\n\n".join(parts) + "\n"


def _winner(report: Report) -> Mapping[str, Any]:
    return report.get("winner") or {}


def _summary(report: Report) -> str:
    base = short_name(str((_winner(report).get("params") or {}).get("model", "")))
    made = f"`{base}`, fine-tuned" if base else "A fine-tuned model"
    return f"# {report.get('search', 'model')}\n\n{made} for {report.get('task', 'a task')} by a search of autoft."


def _verdict(report: Report) -> str:
    winner, metric = _winner(report), report.get("metric", "score")
    if not known(winner.get("test")):
        return ""
    interval = between(winner.get("test_interval"))
    rows = (report.get("rows") or {}).get("test")
    sentences = [
        f"On {f'{rows:,} ' if rows else ''}test rows that were locked away until the end it reaches "
        f"{metric} {score(winner['test'])}{f' (95 % interval {interval})' if interval else ''}."
    ]
    comparisons = (report.get("comparisons") or {}).values()
    sentences += [str(one["sentence"]) for one in comparisons if one and one.get("sentence")]
    sentences += [str((report.get("selection") or {}).get("sentence") or "")]
    better = "lower is better" if report.get("direction") == "minimize" else "higher is better"
    columns = ("on the test rows", f"{metric} ({better})", "95 % interval", "the winner is ahead by")
    return " ".join(filter(None, sentences)) + "\n\n" + table(columns, _rivals(report))


def _rivals(report: Report) -> list[list[str]]:
    winner = _winner(report)
    rows = [["this model", score(winner["test"]), between(winner.get("test_interval")) or "-", ""]]
    for entrant in report.get("entrants") or ():
        if entrant.get("name") != winner.get("entrant") and known(entrant.get("test")):
            rows.append([_entrant(entrant), *_scores(entrant)])
    for key, values in (report.get("baselines") or {}).items():
        if isinstance(values, Mapping) and known(values.get("test")):
            rows.append([baseline_name(key), *_scores(values)])
    return rows


def _entrant(entrant: Mapping[str, Any]) -> str:
    kinds = {"plain": "the plain recipe", "soup": "a soup of several trials"}
    return kinds.get(str(entrant.get("kind")), f"finalist {entrant.get('name')}")


def _scores(values: Mapping[str, Any]) -> list[str]:
    ahead, interval = values.get("difference"), between(values.get("difference_interval"))
    said = f"{ahead:+.4f}" if known(ahead) else ""
    test_interval = between(values.get("test_interval")) or "-"
    return [score(values["test"]), test_interval, f"{said} ({interval})" if said and interval else said or interval]


def _purpose(report: Report) -> str:
    labels = report.get("labels") or ()
    says = {
        "text-classification": "It labels texts",
        "text-regression": "It gives a number for a text",
        "token-classification": "It tags the words of a text",
        "question-answering": "It finds the answer to a question in a text",
    }.get(str(report.get("task")), f"It is a model for {report.get('task', 'one task')}")
    if labels and report.get("task") == "text-classification":
        says += f" with {len(labels)} labels: {', '.join(f'`{_plain(label)}`' for label in labels[:50])}"
        says += f" and {len(labels) - 50} more" if len(labels) > 50 else ""
    pairs = " It takes two texts at a time." if report.get("pairs") else ""
    return f"{says}, for texts of the kind that it was trained on.{pairs} Nobody has tried it on any other kind."


def _plain(label: Any) -> str:
    return " ".join(str(label).split()).replace("`", "'")


def _use(report: Report) -> str:
    pairs = bool(report.get("pairs"))
    ways = [code("python", _without_autoft(str(report["pipeline"]), pairs))] if report.get("pipeline") else []
    command = "autoft predict FOLDER --data new.csv" if pairs else 'autoft predict FOLDER "a text"'
    intro = "`FOLDER` is the folder of this file."
    alone = ["It is an ordinary transformers model:", *ways, "Or with autoft:"] if ways else []
    return "\n\n".join([intro, *alone, code("sh", command)])


def _without_autoft(pipeline: str, pairs: bool) -> str:
    text = '{"text": "first text", "text_pair": "second text"}' if pairs else '"a text"'
    return f'from transformers import pipeline\n\nmodel = pipeline("{pipeline}", model="FOLDER")\nmodel({text})'


def _data(report: Report) -> str:
    lines = []
    if rows := report.get("rows"):
        lines.append("- rows: " + ", ".join(f"{count:,} {part}" for part, count in rows.items()))
    if report.get("fingerprint"):
        lines.append(f"- fingerprint of the rows and their split: `{report['fingerprint']}`")
    for finding in (report.get("examination") or {}).get("findings") or ():
        share = f", {100 * finding['share']:.1f} % of the rows" if known(finding.get("share")) else ""
        kind = str(finding.get("kind", "finding")).replace("_", " ")
        lines.append(f"- {finding.get('severity', 'note')}: {kind}, {finding.get('count', 'some')} found{share}")
    noise = report.get("label_noise") or {}
    if noise.get("checked"):
        lines.append(
            f"- labels that look wrong: {len(noise.get('candidates') or ()):,} of {noise['checked']:,} rows looked at"
        )
    return "\n".join(lines)


def _training(report: Report) -> str:
    params = _winner(report).get("params") or {}
    rows = [[key.replace("_", " "), _knob(key, value)] for key, value in params.items()]
    counts, seconds = report.get("trials") or {}, report.get("seconds", math.nan)
    said = []
    if counts.get("total"):
        took = f" in {format_duration(seconds)}" if known(seconds) else ""
        said.append(f"The best of {counts['total']:,} trials{took}, chosen on validation rows.")
    said += _seeds(report)
    if versions := report.get("versions"):
        said.append("Made with " + ", ".join(f"{library} {number}" for library, number in versions.items()) + ".")
    return "\n\n".join(filter(None, (" ".join(said), table(("knob", "value"), rows) if rows else "")))


def _knob(key: str, value: Any) -> str:
    if key == "model":
        return short_name(str(value))
    return compact(value) if isinstance(value, float) else "the model's own" if value is None else str(value)


def _seeds(report: Report) -> Sequence[str]:
    name = _winner(report).get("entrant")
    chosen: Mapping[str, Any] = next((one for one in report.get("entrants") or () if one.get("name") == name), {})
    said = []
    if chosen.get("kind") == "soup" and chosen.get("ingredients"):
        said.append(f"Its weights are the mean of {len(chosen['ingredients'])} trained models.")
    if known(chosen.get("mean")) and known(chosen.get("spread")):
        said.append(
            f"Trained with {len(chosen.get('seeds') or ())} seeds it had {score(chosen['mean'])} on validation "
            f"on average, with a standard deviation of {score(chosen['spread'])}."
        )
    return said


def _calibration(report: Report) -> str:
    found = report.get("calibration") or {}
    if not known(found.get("temperature")):
        return ""
    errors = [found.get("ece_before"), found.get("ece_after")]
    text = f"A temperature of {found['temperature']:.3f}, fitted on validation rows, is a part of the last layer."
    if all(map(known, errors)):
        text += (
            f" The expected calibration error on the test rows is {score(errors[1])}; without it, it is "
            f"{score(errors[0])}."
        )
    return text


def _classes(report: Report) -> str:
    classes = report.get("classes") or ()
    rows = [
        [str(one["label"]), *(score(one.get(key)) for key in ("precision", "recall", "f1")), f"{one['support']:,}"]
        for one in classes
    ]
    return table(("class", "precision", "recall", "F1", "test rows"), rows) if rows else ""


def _limits(report: Report) -> str:
    windows = report.get("task") in ("token-classification", "question-answering")  # nothing of theirs is cut off
    length = None if windows else (_winner(report).get("params") or {}).get("max_length")
    few = [one for one in report.get("classes") or () if one.get("support", _FEW) < _FEW]
    lines = [
        "- The interval says how far the score would move with other test rows of the same kind. Of rows of another "
        "kind, another time or another language it says nothing.",
        *([f"- What comes after {length} tokens of a text may not be read."] if length else []),
        *(
            [
                f"- {len(few)} of the classes have fewer than {_FEW} test rows; what the table says of them is "
                f"little more than chance."
            ]
            if few
            else []
        ),
        "- How it treats different groups of people has not been examined.",
    ]
    return "\n".join(lines)


def _cost(report: Report) -> str:
    found = report.get("cost") or {}
    lines = [
        f"- {label}: {format_duration(found[key])}"
        for key, label in (("search_seconds", "search"), ("finals_seconds", "finals"))
        if known(found.get(key))
    ]
    if known(found.get("parameters")):
        lines.append(f"- parameters: {found['parameters']:,}")
    for size, times in (found.get("latency") or {}).items():
        if known(times.get("median_ms")):
            lines.append(
                f"- {size} {'text' if size == '1' else 'texts'} at once: {times['median_ms']:.1f} ms in the median, "
                f"{times['p95_ms']:.1f} ms at the 95th percentile, on {found.get('device', 'this machine')}"
            )
    if known(found.get("energy_joules")):
        lines.append(f"- energy: {found['energy_joules'] / 3600:.2f} Wh ({found.get('energy_method')})")
    elif found.get("energy_method"):
        lines.append(f"- energy: {found['energy_method']}")
    return "\n".join(lines)
