"""Recomputes the numbers of a finished search of single-label classification from its saved predictions.

It shares no code with what it checks: `autoft` is not imported, metrics come from scikit-learn, the temperature from a
grid, and the bootstrap draws rows, where the report's draws counts.

    python tests/recompute.py runs/NAME
"""

import json
import math
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

Array = NDArray[Any]

RESAMPLES = 3000
BINS = 15


class Recomputed:
    """The numbers that were compared, and those that differ.

    Args:
        folder: Of the search.
        exact: How far a number may lie from its recomputation, relative to it or to 1.
        drawn: How far an end of an interval may, in shares of the interval's width: both are drawn.
    """

    def __init__(self, folder: Path, exact: float = 1e-6, drawn: float = 0.15) -> None:
        self.folder, self.exact, self.drawn = folder, exact, drawn
        self.report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        self.faults: list[str] = []
        self.compared = 0
        self.metric: str = self.report["metric"]
        self.sign = 1.0 if self.report["direction"] == "maximize" else -1.0

    def same(self, what: str, said: float | None, found: float | None, exact: float | None = None) -> None:
        """Compares one number."""
        self.compared += 1
        if what.endswith("roc_auc"):
            exact = 1e-4  # logits of two classes that differ by less than float32 can say tie in one of the two
        if said is None or found is None:
            fits = said is None and found is None
        else:
            fits = math.isclose(said, found, rel_tol=exact or self.exact, abs_tol=exact or self.exact)
        if not fits:
            self.faults.append(f"{what}: the report says {said}, recomputed {found}")

    def near(self, what: str, said: Any, draws: Array, rows: int) -> None:
        """Compares an interval with the quantiles of draws."""
        self.compared += 2
        low, high = np.quantile(draws, [0.025, 0.975])
        slack = self.drawn * (high - low) + 1.5 / rows * (high > low)  # counts come in steps
        fits = said is not None and None not in said
        if not fits or abs(said[0] - low) > slack + 1e-9 or abs(said[1] - high) > slack + 1e-9:
            self.faults.append(f"{what}: the report says {said}, recomputed [{low:.5f}, {high:.5f}]")

    def read(self, part: str, entrant: str) -> tuple[Array, Array]:
        """Logits, shape (n, classes), and labels, shape (n,), of an entrant's predictions."""
        path = self.folder / "predictions" / f"{part}-{entrant}.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if [line["row"] for line in lines] != list(range(len(lines))):
            self.faults.append(f"{path.name}: its rows are not 0, 1, 2 …")
        logits = np.array([line["scores"] for line in lines], dtype=np.float64)
        labels = np.array([line["target"] for line in lines])
        if logits.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{path.name} holds no single-label classification")
        return logits, labels


def counted(entrant):
    """The validation values that an entrant is judged by: a repeat that time cut short doesn't count against it."""
    seeds = entrant["seeds"]
    whole = [seed["validation"] for seed in seeds if seed.get("whole", True) or not seed.get("fresh", False)]
    return whole or [seed["validation"] for seed in seeds]


def check(folder: Path | str, exact: float = 1e-6) -> int:
    """Recomputes what the report of a search says.

    Args:
        folder: With `report.json` and `predictions/`.
        exact: How far numbers may lie apart that are not drawn.

    Returns:
        How many numbers were compared.

    Raises:
        AssertionError: One or more differ; each has a line.
    """
    found = Recomputed(Path(folder), exact)
    for part in (_entrants, _winner, _baselines, _selection, _comparisons, _calibration, _classes):
        part(found)
    if found.faults:
        raise AssertionError("\n".join(found.faults))
    return found.compared


def all_metrics(logits: Array, labels: Array) -> dict[str, float]:
    """What the report may say of a model, by scikit-learn."""
    said, chances = logits.argmax(axis=1), _softmax(logits)
    average = {"average": "macro", "zero_division": 0}
    ranks = [
        sk.roc_auc_score(labels == k, logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else chances[:, k])
        for k in ([1] if logits.shape[1] == 2 else range(logits.shape[1]))
        if 0 < (labels == k).sum() < len(labels)
    ]
    return {
        "accuracy": sk.accuracy_score(labels, said),
        "macro_f1": sk.f1_score(labels, said, **average),
        "precision": sk.precision_score(labels, said, **average),
        # scikit-learn's macro recall runs over classes that are told but never there, too, as zero.
        "recall": sk.recall_score(labels, said, **average),
        "weighted_f1": sk.f1_score(labels, said, average="weighted", zero_division=0),
        "mcc": sk.matthews_corrcoef(labels, said),
        "roc_auc": float(np.mean(ranks)) if ranks else 0.5,
        "loss": float(-np.log(chances[np.arange(len(labels)), labels]).mean()),
    }


def _entrants(found: Recomputed) -> None:
    winner = found.report["winner"]["entrant"]
    best = found.read("test", winner)
    for entrant in found.report["entrants"]:
        name = entrant["name"]
        logits, labels = found.read("test", name)
        metrics = all_metrics(logits, labels)
        found.same(f"entrants.{name}.test", entrant["test"], metrics[found.metric])
        for key, value in (entrant.get("test_metrics") or {}).items():
            found.same(f"entrants.{name}.test_metrics.{key}", value, metrics[key])
        found.near(
            f"entrants.{name}.test_interval", entrant["test_interval"], alone(found.metric, logits, labels), len(labels)
        )
        values = counted(entrant)
        found.same(f"entrants.{name}.mean", entrant["mean"], sum(values) / len(values))
        found.same(f"entrants.{name}.spread", entrant["spread"], float(np.std(values, ddof=1)) if values[1:] else None)
        validated = all_metrics(*found.read("validation", name))[found.metric]
        found.same(f"entrants.{name}.validation", entrant["validation"], validated)
        if name != winner:
            _difference(
                found,
                f"entrants.{name}",
                entrant,
                best,
                logits,
                all_metrics(*best)[found.metric] - metrics[found.metric],
            )


def _winner(found: Recomputed) -> None:
    winner, name = found.report["winner"], found.report["winner"]["entrant"]
    logits, labels = found.read("test", name)
    metrics = all_metrics(logits, labels)
    found.same("winner.test", winner["test"], metrics[found.metric])
    found.near("winner.test_interval", winner["test_interval"], alone(found.metric, logits, labels), len(labels))
    for key, value in found.report["test_metrics"].items():
        found.same(f"test_metrics.{key}", value, metrics[key])
    if found.report["entrants"][0]["name"] != name:
        found.faults.append("entrants: the winner is not the first")


def _baselines(found: Recomputed) -> None:
    best = found.read("test", found.report["winner"]["entrant"])
    for key, values in found.report["baselines"].items():
        logits, labels = found.read("test", f"baseline-{key}")
        metrics = all_metrics(logits, labels)
        found.same(f"baselines.{key}.test", values["test"], metrics[found.metric])
        for name, value in (values.get("metrics") or {}).items():
            found.same(f"baselines.{key}.metrics.{name}", value, metrics[name])
        _difference(found, f"baselines.{key}", values, best, logits)


def _difference(
    found: Recomputed,
    name: str,
    said: dict[str, Any],
    best: tuple[Array, Array],
    other: Array,
    lead: float | None = None,
) -> None:
    draws = found.sign * apart(found.metric, *best, other)
    found.near(f"{name}.difference_interval", said["difference_interval"], draws, len(other))
    if lead is not None:
        found.same(f"{name}.difference", said["difference"], found.sign * lead)


def _selection(found: Recomputed) -> None:
    entrants = found.report["entrants"]
    values = {entrant["name"]: counted(entrant) for entrant in entrants}
    freedom = sum(len(seeds) - 1 for seeds in values.values())
    squares = sum(float(np.var(seeds)) * len(seeds) for seeds in values.values())
    spread = math.sqrt(squares / freedom) if freedom else 0.0
    ranks = {
        name: float(found.sign * np.mean(seeds) - spread / math.sqrt(len(seeds))) for name, seeds in values.items()
    }
    for entrant in entrants:
        found.same(f"entrants.{entrant['name']}.score", entrant["score"], found.sign * ranks[entrant["name"]])
    if any(ranks[a["name"]] < ranks[b["name"]] - 1e-9 for a, b in pairwise(entrants)):
        found.faults.append("entrants: they are not in the order of their scores")
    winner = entrants[0]
    fresh = [seed["validation"] for seed in winner["seeds"][1:] if seed.get("whole", True)]
    searched = winner.get("searched")
    flattered = found.sign * (searched - float(np.mean(fresh))) if fresh and searched is not None else None
    found.same("selection.optimism", found.report["selection"].get("optimism"), flattered)


def _comparisons(found: Recomputed) -> None:
    report, metric = found.report, found.metric
    best = found.read("test", report["winner"]["entrant"])
    tests = {key: found.sign * values["test"] for key, values in report["baselines"].items()}
    names = {
        "plain": "plain",
        "runner_up": report["entrants"][1]["name"] if report["entrants"][1:] else "",
        "baseline": f"baseline-{max(tests, key=lambda key: tests[key])}" if tests else "",
    }
    for key, entry in report["comparisons"].items():
        if not entry:
            continue
        other, _ = found.read("test", names[key])
        lead = found.sign * (all_metrics(*best)[metric] - all_metrics(other, best[1])[metric])
        draws = found.sign * apart(metric, *best, other)
        found.same(f"comparisons.{key}.difference", entry["difference"], lead)
        found.near(f"comparisons.{key}.interval", entry["interval"], draws, len(other))
        low, high = entry["interval"]
        shown = low > 0 or high < 0
        chance = swapped(metric, *best, other) if shown else 1.0
        if not 0.03 < chance < 0.07:  # nearer to 0.05 the two draws may fall on different sides
            verdict = "no difference shown" if chance > 0.05 else "better" if low > 0 else "worse"
            found.compared += 1
            if entry["verdict"] != verdict:
                found.faults.append(f"comparisons.{key}.verdict: the report says {entry['verdict']}, not {verdict}")
        _words(found, f"comparisons.{key}.sentence", entry)


def _words(found: Recomputed, what: str, entry: dict[str, Any]) -> None:
    """The numbers of the sentence are those of the entry, rounded."""
    points = found.metric not in ("mcc", "loss")
    scale = 100.0 if points else 1.0
    numbers = re.findall(r"(?<![\w.])-?\d+\.\d+", entry["sentence"])
    known = [scale * abs(value) for value in (entry["difference"], *entry["interval"])]
    known += [100 * entry["chance"]] if entry.get("chance") else []
    for number in numbers:
        digits = len(number.split(".")[1])
        found.compared += 1
        if not any(abs(abs(float(number)) - value) <= 0.51 * 10**-digits for value in known):
            found.faults.append(f"{what}: {number} is not the difference, an end of its interval or a chance")
    if entry["verdict"] not in ("better", "worse") and "no difference" not in entry["sentence"]:
        found.faults.append(f"{what}: it doesn't say that no difference is shown")


def _calibration(found: Recomputed) -> None:
    said = found.report.get("calibration")
    if not said:
        return
    name = found.report["winner"]["entrant"]
    known, truth = found.read("validation", name)
    logits, labels = found.read("test", name)
    found.same("calibration.temperature", said["temperature"], temperature(known, truth), exact=2e-3)
    for when, heat in (("before", 1.0), ("after", said["temperature"])):
        chances = _softmax(logits / heat)
        confidence, right = chances.max(axis=1), logits.argmax(axis=1) == labels
        table, error = said["bins" if when == "after" else "bins_before"], 0.0
        if len(table) != BINS:
            found.faults.append(f"calibration: {len(table)} bins {when}, not {BINS}")
            continue
        for i, entry in enumerate(table):
            inside = (confidence > i / BINS) & (confidence <= (i + 1) / BINS)
            found.same(f"calibration.bins {when}[{i}].rows", entry["rows"], int(inside.sum()))
            if inside.any():
                found.same(f"calibration.bins {when}[{i}].confidence", entry["confidence"], confidence[inside].mean())
                found.same(f"calibration.bins {when}[{i}].accuracy", entry["accuracy"], right[inside].mean())
                error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
        found.same(f"calibration.ece_{when}", said[f"ece_{when}"], error)


def _classes(found: Recomputed) -> None:
    report, names = found.report, found.report["labels"]
    if not report.get("classes"):
        return
    logits, labels = found.read("test", report["winner"]["entrant"])
    said, order = logits.argmax(axis=1), list(range(len(names)))
    table = sk.precision_recall_fscore_support(labels, said, labels=order, zero_division=0)
    for i, entry in enumerate(report["classes"]):
        if entry["label"] != names[i]:
            found.faults.append(f"classes[{i}]: it is named {entry['label']}, not {names[i]}")
        for key, column in zip(("precision", "recall", "f1", "support"), table, strict=True):
            found.same(f"classes.{names[i]}.{key}", entry[key], float(column[i]))
    counts = sk.confusion_matrix(labels, said, labels=order)
    found.compared += counts.size
    if report["confusion"] != counts.tolist():
        found.faults.append(f"confusion: the report says {report['confusion']}, recomputed {counts.tolist()}")
    chances = _softmax(logits / (report.get("calibration") or {}).get("temperature", 1.0))
    surest = sorted(np.flatnonzero(said != labels), key=lambda row: (-chances[row, said[row]], row))[:20]
    if len(report["mistakes"]) != len(surest):
        found.faults.append(f"mistakes: there are {len(report['mistakes'])}, not {len(surest)}")
    texts = _texts(found.folder)
    for entry, row in zip(report["mistakes"], surest, strict=False):
        found.same(f"mistakes of row {entry['row']}.confidence", entry["confidence"], chances[row, said[row]])
        own = entry["row"]
        if said[own] == labels[own]:
            found.faults.append(f"mistakes: row {own} is no mistake")
        if (entry["label"], entry["predicted"]) != (names[labels[own]], names[said[own]]):
            found.faults.append(f"mistakes: row {own} is {names[labels[own]]}, told as {names[said[own]]}")
        if texts and not any(entry["text"].removesuffix("…") in text for text in texts[own]):
            found.faults.append(f"mistakes: the text of row {own} is another one")


def _texts(folder: Path) -> list[list[str]]:
    """The texts in each test row, where the search keeps its data."""
    path = folder / "data" / "test.parquet"
    if not path.is_file():
        return []
    import pandas as pd

    return [[str(cell) for cell in row] for row in pd.read_parquet(path).itertuples(index=False)]


def temperature(logits: Array, labels: Array) -> float:
    """The best of a grid of temperatures in [0.1, 10], each 0.1 % above the one before."""
    right = logits[np.arange(len(labels)), labels]
    if (right >= logits.max(axis=1)).all() or (logits == logits[:, :1]).all():
        return 1.0
    grid = np.geomspace(0.1, 10, 4606)
    chances = ((np.log(_softmax(logits / heat))[np.arange(len(labels)), labels]).mean() for heat in grid)
    return float(grid[int(np.argmax(list(chances)))])


def alone(metric: str, logits: Array, labels: Array) -> Array:
    """Draws of a model's metric: rows, and a quarter of a right and of a wrong row for each class."""
    random, classes, said = np.random.default_rng(11), logits.shape[1], logits.argmax(axis=1)
    measured = _decided(metric, classes)
    if measured is None:
        return _plain(metric, random, labels, logits)[0]
    real, told, weight = list(labels), list(said), [1.0] * len(labels)
    for row in sorted(set(labels.tolist())):
        taken = np.bincount(said[labels == row], minlength=classes)
        taken[row] = 0
        if not taken.any():
            taken = np.bincount(said, minlength=classes)
            taken[row] = -1
        real += [row, row]
        told += [row, int(taken.argmax())]
        weight += [0.25, 0.25]
    real_rows, told_rows, share = np.array(real), np.array(told), np.array(weight) / sum(weight)
    picked = (random.choice(len(share), size=len(labels), p=share) for _ in range(RESAMPLES))
    return np.array([measured(real_rows[rows], told_rows[rows]) for rows in picked])


def apart(metric: str, logits: Array, labels: Array, others: Array) -> Array:
    """Draws of how much larger the metric is for `logits` than for `others`, of the same rows."""
    random, measured = np.random.default_rng(12), _decided(metric, logits.shape[1])
    if measured is None:
        one, two = _plain(metric, random, labels, logits, others)
        return one - two
    one, two = logits.argmax(axis=1), others.argmax(axis=1)
    picked = (random.integers(len(labels), size=len(labels)) for _ in range(RESAMPLES))
    return np.array([measured(labels[r], one[r]) - measured(labels[r], two[r]) for r in picked])


def swapped(metric: str, logits: Array, labels: Array, others: Array) -> float:
    """How often the metrics are as far apart where the answers of each row change sides by a coin."""
    random, measured = np.random.default_rng(13), _decided(metric, logits.shape[1])
    if measured is None:

        def value(scores: Array) -> float:
            return all_metrics(scores, labels)[metric]

        one, two, times = logits, others, 300
    else:

        def value(scores: Array) -> float:
            return measured(labels, scores[:, 0])

        one, two, times = logits.argmax(axis=1)[:, None], others.argmax(axis=1)[:, None], RESAMPLES
    lead, beyond = abs(value(one) - value(two)), 0
    for _ in range(times):
        side = random.random((len(labels), 1)) < 0.5
        beyond += abs(value(np.where(side, one, two)) - value(np.where(side, two, one))) >= lead - 1e-12
    return (beyond + 1) / (times + 1)


def _plain(metric: str, random: np.random.Generator, labels: Array, *models: Array) -> list[Array]:
    """Draws of a metric of scores by the plain bootstrap."""
    drawn: list[list[float]] = [[] for _ in models]
    for _ in range(300 if metric == "roc_auc" else RESAMPLES):
        rows = random.integers(len(labels), size=len(labels))
        for scores, values in zip(models, drawn, strict=True):
            if metric == "loss":
                chances = _softmax(scores[rows])[np.arange(len(rows)), labels[rows]]
                values.append(float(-np.log(chances).mean()))
            else:
                values.append(all_metrics(scores[rows], labels[rows])[metric])
    return [np.array(values) for values in drawn]


def _decided(metric: str, classes: int) -> Callable[[Array, Array], float] | None:
    """A quick form of a metric of labels and predictions; None where it takes the scores."""

    def macro(real: Array, said: Array) -> float:
        hit = np.bincount(real[real == said], minlength=classes)
        both = np.bincount(real, minlength=classes) + np.bincount(said, minlength=classes)
        return float((2 * hit[both > 0] / both[both > 0]).mean())

    by_hand: dict[str, Callable[[Array, Array], float]] = {
        "accuracy": lambda real, said: float((real == said).mean()),
        "macro_f1": macro,
        "precision": lambda real, said: sk.precision_score(real, said, average="macro", zero_division=0),
        "recall": lambda real, said: sk.recall_score(real, said, average="macro", zero_division=0),
        "weighted_f1": lambda real, said: sk.f1_score(real, said, average="weighted", zero_division=0),
        "mcc": sk.matthews_corrcoef,
    }
    return by_hand.get(metric)


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(f"{argument}: {check(argument)} numbers recomputed, none differs")  # noqa: T201
