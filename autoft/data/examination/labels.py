"""Where labels are classes: the same text with two of them, and classes too small to learn or to score."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autoft.data.examination.findings import SHOWN, Example, Finding, Place, Severity, percent, rows_of
from autoft.data.examination.texts import Texts

FEW = 10  # training rows below which a class can hardly be learnt
LEAST = 2  # rows of a class in validation and test below which its score is chance


def contradictions(splits: Sequence[Texts], labels: Mapping[str, Sequence[Any]]) -> Finding | None:
    """The same text with more than one label, in one split or in two.

    Unlike in a leak, texts that differ in what may turn their meaning, such as `:-)`, are not the same here.

    Args:
        splits: The texts.
        labels: The label of each row, by split; a list where a row may have several.
    """
    found: dict[Any, dict[Any, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for split in splits:
        each = zip(split.keys, split.marks, labels[split.part], strict=True)
        for row, (key, marks, label) in enumerate(each):
            found[key, marks][_hashable(label)].append((split.part, row))
    torn = [places for places in found.values() if len(places) > 1]
    if not torn:
        return None
    rows = sum(len(some) for places in torn for some in places.values())
    share = rows / sum(map(len, splits))
    across = sum(len({part for some in places.values() for part, _ in some}) > 1 for places in torn)
    text = "1 text has" if len(torn) == 1 else f"{len(torn):,} texts have"
    sentence = f"{text} different labels in {rows_of(rows)} ({percent(share)})"
    if across:
        sentence += f", {across:,} of them in different splits"
    sentence += "; no model can be right on all of them: settle their labels"
    texts = {split.part: split for split in splits}
    examples = []
    for places in torn[:SHOWN]:
        some = sorted((place for rows in places.values() for place in rows), key=lambda p: (p[0] != "train", p))
        said = " / ".join(_said(label) for label in places)
        part, row = some[0]
        examples.append(Example.of(f"{said}: {texts[part].shown(row)}", some[:SHOWN]))
    severity = Severity.WARNING if share >= 0.01 else Severity.NOTE
    return Finding("contradiction", severity, sentence, rows, share, tuple(examples))


def small_classes(labels: Mapping[str, Sequence[Any]]) -> Iterator[Finding]:
    """Classes that can't be learnt, or not be scored.

    Args:
        labels: The label of each row, by split; a list where a row may have several.
    """
    counts = {part: counted(rows) for part, rows in labels.items()}
    known = counts["train"]
    for part, there in counts.items():
        several = any(isinstance(label, list) for label in labels[part])
        if part != "train" and len(there) == 1 and len(known) > 1 and not several:
            only = _said(next(iter(there)))
            sentence = (
                f"data.{part}: all of its {rows_of(len(labels[part]))} have the label {only}, so that no model can be "
                f"told from one that always says so; add rows of the other labels"
            )
            yield Finding("one_class", Severity.REFUSAL, sentence, len(labels[part]), 1.0)
            continue
        if part != "train" and (unseen := [label for label in there if label not in known]):
            sentence = f"{_classes(unseen, there)} of {part} never in training; no model can learn what it never sees"
            yield Finding("unseen_class", Severity.WARNING, sentence, len(unseen), len(unseen) / len(there))
        least = FEW if part == "train" else LEAST
        if few := sorted((label for label in known if there[label] < least), key=lambda label: there[label]):
            where, why = ("training", "they can hardly be learnt") if part == "train" else (part, "scores are chance")
            why = why if part == "train" else f"their {why}"
            sentence = f"{_classes(few, there)} with fewer than {least} rows in {where}; {why}: add rows of them"
            yield Finding("small_class", Severity.WARNING, sentence, len(few), len(few) / len(known))


def counted(labels: Sequence[Any]) -> Counter[Any]:
    """How many rows have each class."""
    return Counter(one for label in labels for one in (label if isinstance(label, list) else [label]))


def _classes(labels: Sequence[Any], counts: Mapping[Any, int]) -> str:
    shown = ", ".join(f"{_said(label)} ({counts[label]})" for label in labels[:SHOWN])
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return f"{len(labels)} {'class' if len(labels) == 1 else 'classes'} ({shown}{more})"


def _said(label: Any) -> str:
    return ", ".join(map(str, label)) or "none" if isinstance(label, tuple) else repr(label)


def _hashable(label: Any) -> Any:
    return tuple(label) if isinstance(label, list) else label
