"""The examination, all of it in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.data.examination.drift import label_drift, length_drift, unseen_words, vocabulary_drift
from autoft.data.examination.duplicates import described, leaks, repeated
from autoft.data.examination.findings import Examination, Finding, Severity
from autoft.data.examination.labels import contradictions, counted, small_classes
from autoft.data.examination.texts import Texts, texts_of
from autoft.data.splits import PARTS, DataRules, Kind, Splits
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd

_GRAVITY = list(reversed(Severity))
_CLASSES = (Kind.LABEL, Kind.LABELS, Kind.CLASSES)


def examine(splits: Splits, task: DataRules, data: DataSpec, seed: int = 0) -> Examination:
    """Looks for what would make the result of a search mislead, or mean nothing.

    A search should be refused where more than half of the test rows stand in training, the same but for case,
    punctuation and white space; and where validation or test has one class only, of several. All else is a warning
    or a note. Some seconds for 20,000 rows.

    Args:
        splits: The rows.
        task: Names the columns, and says whether the labels are classes.
        data: Says which column is the label.
        seed: Of the rows that are drawn where there are very many.
    """
    parts: dict[str, pd.DataFrame] = {part: getattr(splits, part) for part in PARTS}
    texts = {part: texts_of(rows, part, task, data) for part, rows in parts.items()}
    labels = _labels(parts, task, data)
    found = list(_findings(texts, labels, seed, given=data.source is None or data.split is not None))
    return Examination(
        findings=tuple(sorted(found, key=lambda finding: _GRAVITY.index(finding.severity))),
        splits={part: _facts(texts[part], texts["train"], None if labels is None else labels[part]) for part in PARTS},
    )


def _findings(
    texts: Mapping[str, Texts], labels: Mapping[str, Sequence[Any]] | None, seed: int, *, given: bool
) -> Iterator[Finding]:
    splits = [texts[part] for part in PARTS]
    train = texts["train"]
    between, within, partial = leaks(splits)
    for twins in between:
        if leak := described(twins, texts, partial=partial, given=given):
            yield leak
    if twice := repeated(train, within):
        yield twice
    if labels is not None:
        if torn := contradictions(splits, labels):
            yield torn
        yield from small_classes(labels)
    for other in splits[1:]:
        drifts = [length_drift(train, other), vocabulary_drift(train, other, seed)]
        if labels is not None:
            drifts.append(label_drift(labels["train"], labels[other.part], other.part))
        yield from (drift for drift in drifts if drift)


def _labels(parts: Mapping[str, pd.DataFrame], task: DataRules, data: DataSpec) -> dict[str, list[Any]] | None:
    """The labels of each split, where they are classes."""
    kinds = {column.name: column.kind for column in task.columns(data)}
    if kinds.get(data.label) not in _CLASSES:
        return None
    return {part: rows[data.label].tolist() for part, rows in parts.items()}


def _facts(texts: Texts, train: Texts, labels: Sequence[Any] | None) -> dict[str, Any]:
    quantiles = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}
    length = np.quantile(texts.lengths or [0], list(quantiles.values()))
    facts: dict[str, Any] = {
        "rows": len(texts),
        "length": {name: float(words) for name, words in zip(quantiles, length, strict=True)},
    }
    if texts is not train:
        facts["unseen_words"] = unseen_words(train, texts)
    if labels is not None:
        counts = counted(labels)
        facts["classes"] = {str(label): counts[label] for label in sorted(counts, key=str)}
    return facts
