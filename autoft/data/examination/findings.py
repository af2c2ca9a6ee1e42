"""The records of an examination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SHOWN = 5  # examples of a finding
_LONGEST = 200  # characters of a text that an example repeats

Place = tuple[str, int]
"""Name of a split, and a row in it, from 0."""


class Severity(StrEnum):
    """How much a finding weighs."""

    NOTE = "note"
    """To be known."""
    WARNING = "warning"
    """The result may mislead."""
    REFUSAL = "refusal"
    """The result would mean nothing: no search is begun."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text of a finding, and where it stands.

    Attributes:
        text: It, on one line and cut where it is long.
        rows: Where it stands.
    """

    text: str
    rows: tuple[Place, ...]

    @classmethod
    def of(cls, text: str, rows: Sequence[Place]) -> Example:
        """An example of a text as the user wrote it."""
        line = " ".join(text.split())
        return cls(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…", tuple(rows))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the rows that their owner should know.

    Attributes:
        kind: `leak`, `duplicate`, `contradiction`, `one_class`, `unseen_class`, `small_class`, `length_drift`,
            `label_drift` or `vocabulary_drift`.
        severity: How much it weighs.
        sentence: What, where, and what next, in one line.
        count: Rows that it is about; classes for `unseen_class` and `small_class`.
        share: Share of the split's rows, or classes, that these are, in [0, 1]; None where that has no meaning.
        examples: A few of them.
    """

    kind: str
    severity: Severity
    sentence: str
    count: int
    share: float | None = None
    examples: tuple[Example, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """A plain dictionary that JSON can hold."""
        return {
            "kind": self.kind,
            "severity": str(self.severity),
            "count": self.count,
            "share": self.share,
            "sentence": self.sentence,
            "examples": [{"text": e.text, "rows": [list(place) for place in e.rows]} for e in self.examples],
        }


@dataclass(frozen=True, slots=True)
class Examination:
    """What an examination of the splits found.

    Attributes:
        findings: The gravest first.
        splits: By split, what it looks like: `rows`; `length`, words in a row at some quantiles; where the labels are
            classes `classes`, how many rows have each; for validation and test `unseen_words`, the share of their
            words that no training row has.
    """

    findings: tuple[Finding, ...] = ()
    splits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why no search should be begun, a line each; empty where nothing is against it."""
        return self._of(Severity.REFUSAL)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of what may mislead."""
        return self._of(Severity.WARNING)

    def as_dict(self) -> dict[str, Any]:
        """A plain dictionary that JSON can hold."""
        return {
            "findings": [finding.as_dict() for finding in self.findings],
            "splits": {part: dict(facts) for part, facts in self.splits.items()},
        }

    def _of(self, severity: Severity) -> tuple[str, ...]:
        return tuple(finding.sentence for finding in self.findings if finding.severity is severity)


def percent(share: float) -> str:
    """A share as a person says it: `4 %`, `0.3 %`, `under 0.1 %`."""
    if 0 < share < 0.001:
        return "under 0.1 %"
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %") if share < 0.1 else f"{share:.0%}".replace("%", " %")


def rows_of(count: int) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{count:,} {'row' if count == 1 else 'rows'}"
