"""What is kept of a run: one small JSON file for each (data set, seed, contestant)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    """One contestant's search on one (data set, seed).

    Attributes:
        data_set: Name of the data set.
        seed: Seed of the split and of the search.
        contestant: Its name.
        settings: What has to be the same for runs to be compared.
        wall: Seconds from the start of its process until it had searched and the winner's model was there.
        retrain: Seconds of `wall` spent on training the winner again, where nothing else gives its model.
        budget: Seconds it was given; None where only the number of trials bounds it.
        evaluations: Each `[seconds since the start, trial, accuracy on validation]`, in order of time.
        winner: What it chose, as it names it.
        validation: The winner's accuracy on validation, as the contestant has it.
        test_rows: For each test row its number in the whole data set.
        targets: The test labels, a digit each.
        predictions: What the winner's model says, a digit each.
        remarks: More that a reader has to know, a sentence each.
        versions: Versions of the libraries that it ran with.
    """

    data_set: str
    seed: int
    contestant: str
    settings: Mapping[str, Any]
    wall: float
    evaluations: tuple[tuple[float, int, float], ...]
    winner: Mapping[str, Any]
    validation: float
    test_rows: tuple[int, ...]
    targets: str
    predictions: str
    retrain: float = 0.0
    budget: float | None = None
    remarks: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.test_rows) == len(self.targets) == len(self.predictions) > 0:
            raise ValueError(
                f"{self.name}: {len(self.predictions)} predictions for {len(self.targets)} targets "
                f"of {len(self.test_rows)} rows"
            )
        if not self.evaluations:
            raise ValueError(f"{self.name}: not one evaluation on validation")

    @property
    def name(self) -> str:
        """The name of its file, without its ending."""
        return f"{self.data_set}-s{self.seed}-{self.contestant}"

    @property
    def correct(self) -> tuple[bool, ...]:
        """For each test row whether the winner's model is right."""
        return tuple(a == b for a, b in zip(self.targets, self.predictions, strict=True))

    @property
    def test(self) -> float:
        """The winner's accuracy on the test rows."""
        return sum(self.correct) / len(self.correct)

    @property
    def trials(self) -> int:
        """The number of configurations that were evaluated at least once."""
        return len({trial for _, trial, _ in self.evaluations})


def save(run: Run, folder: Path) -> Path:
    """Writes a run's file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.name}.json"
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(run), allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def load(path: Path) -> Run:
    """Reads a run's file.

    Raises:
        ValueError: It is none.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        for key in ("test_rows", "remarks"):
            plain[key] = tuple(plain[key])
        plain["evaluations"] = tuple((float(s), int(trial), float(v)) for s, trial, v in plain["evaluations"])
        return Run(**plain)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: not a run of this benchmark ({error}); delete it to measure it again") from None


def load_all(folder: Path, settings: Mapping[str, Any] | None = None) -> list[Run]:
    """All runs in `folder`.

    Args:
        folder: Where they are kept.
        settings: What they all have to be made with; by default whatever the first was made with.

    Raises:
        ValueError: One of them was made with other settings, so that they can't be compared.
    """
    found = [load(path) for path in sorted(folder.glob("*.json"))]
    if found and settings is None:
        settings = found[0].settings
    if others := [run for run in found if run.settings != settings]:
        raise ValueError(
            f"{others[0].name}.json was made with {dict(others[0].settings)}, not with {dict(settings or {})}; "
            f"keep runs of other settings in another folder (--runs)"
        )
    return found


def by_cell(runs: Iterable[Run]) -> dict[tuple[str, int], dict[str, Run]]:
    """The runs of each (data set, seed), by contestant."""
    cells: dict[tuple[str, int], dict[str, Run]] = {}
    for run in runs:
        cells.setdefault((run.data_set, run.seed), {})[run.contestant] = run
    return cells
