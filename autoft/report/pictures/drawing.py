"""Draws all pictures of a report into the folder of a search.

    pictures/KEY.png    for a person
    pictures/KEY.json   plotly's figure, for `report.html`; `plotly.io.read_json` opens it in a notebook

A picture that can't be drawn never costs the report: it is replaced by a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autoft.records import TrialRecord
from autoft.report.files import replace
from autoft.report.pictures import classes, cost, importances, interactive, parallel, search, still
from autoft.report.pictures.picture import Picture

FOLDER = "pictures"

Describe = Callable[[Mapping[str, Any], Sequence[TrialRecord], Sequence[int]], Picture | None]

PICTURES: Mapping[str, Describe] = {
    "best-so-far": search.best_so_far,
    "learning-curves": search.learning_curves,
    "parallel-coordinates": parallel.parallel_coordinates,
    "importances": importances.importances,
    "score-against-cost": cost.score_against_cost,
    "confusion-matrix": classes.confusion_matrix,
    "calibration": classes.calibration,
}


def describe(
    report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]
) -> tuple[list[Picture], list[str]]:
    """The pictures for which there is something to show, and a note on each that failed.

    Args:
        report: As `autoft.report.build` makes it, with the keys of the finals where there are any.
        trials: All trials.
        rungs: Samples seen at each rung, rising; empty where the search had none.
    """
    found, notes = [], []
    for key, make in PICTURES.items():
        try:
            picture = make(report, trials, rungs)
        except Exception as error:  # a report is worth more than its pictures
            notes.append(_note(key, error))
        else:
            found += [picture] if picture else []
    return found, notes


def write_pictures(
    report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int], folder: Path
) -> tuple[list[dict[str, str]], list[str]]:
    """Draws all pictures into `folder/pictures`, and removes those of an earlier report that there are no more.

    Args:
        report: As for `describe`.
        trials: All trials.
        rungs: Samples seen at each rung, rising.
        folder: The folder of the search.

    Returns:
        An entry for each picture drawn, `key`, `title` and `caption`: what `report["pictures"]` is to hold. And a note
        for each that could not be drawn.
    """
    described, notes = describe(report, trials, rungs)
    entries = []
    target = folder / FOLDER
    for picture in described:
        try:
            target.mkdir(exist_ok=True)
            replace(target / f"{picture.key}.png", still.png(picture))
            replace(target / f"{picture.key}.json", interactive.as_json(picture).encode())
        except Exception as error:  # as above
            notes.append(_note(picture.key, error))
        else:
            entries.append({"key": picture.key, "title": picture.title, "caption": picture.caption})
    drawn = {entry["key"] for entry in entries}
    for key in PICTURES:
        if key not in drawn:
            for ending in ("png", "json"):
                (target / f"{key}.{ending}").unlink(missing_ok=True)
    return entries, notes


def _note(key: str, error: Exception) -> str:
    what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return f"the picture {key} could not be drawn: {what}"
