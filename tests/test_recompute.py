"""The helper that recomputes a report: it passes a true one, and a number that was changed doesn't get by."""

import ast
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recompute

from autoft import tasks
from autoft.records import Direction
from autoft.report import Entrant, Resampling, by_class, calibrate, choose, compare, comparison_with, optimism

TASK = tasks.get("text-classification")
NAMES = ["acq", "crude", "earn"]
METRIC = "macro_f1"


def measure(scores: Any, examples: Any) -> dict[str, float]:
    return TASK.measure(scores, examples, {"labels": NAMES})


def a_model(random: np.random.Generator, labels: Any, lead: float) -> Any:
    return (random.normal(size=(len(labels), 3)) + lead * np.eye(3)[labels]).astype(np.float32)


def a_search(folder: Path) -> dict[str, Any]:
    """A folder as a search leaves it, of models that are drawn."""
    random = np.random.default_rng(3)
    labels = {
        part: random.choice(3, size=rows, p=[0.6, 0.3, 0.1]) for part, rows in (("validation", 300), ("test", 400))
    }
    examples = {part: [{"labels": int(label)} for label in found] for part, found in labels.items()}
    leads = {"trial-4": 3.0, "trial-2": 2.8, "plain": 2.2, "soup": 2.9}
    scores = {part: {name: a_model(random, labels[part], lead) for name, lead in leads.items()} for part in labels}
    (folder / "predictions").mkdir()
    values, entrants = {}, {}
    for name in leads:
        own = measure(scores["validation"][name], examples["validation"])[METRIC]
        values[name] = [own - 0.01, own] if name.startswith("trial") else [own]
        values[name] += [own - 0.03] if name.startswith("trial") else []
    choice = choose([Entrant(name, tuple(seen)) for name, seen in values.items()], Direction.MAXIMIZE)
    winner = choice.order[0]
    best, rows = scores["test"][winner], examples["test"]
    drawn = Resampling(measure, METRIC, rows)
    for name in choice.order:
        entrant, said = Entrant(name, tuple(values[name])), scores["test"][name]
        against = comparison_with(name, measure, METRIC, Direction.MAXIMIZE, scores=best, others=said, examples=rows)
        metrics = measure(said, rows)
        entrants[name] = {
            "name": name,
            "seeds": [{"seed": i, "validation": value} for i, value in enumerate(values[name])],
            "searched": values[name][0] if name.startswith("trial") else None,
            "validation": max(values[name]),
            "mean": entrant.mean,
            "spread": entrant.spread,
            "score": choice.scores[name],
            "test": metrics[METRIC],
            "test_interval": list(drawn.interval(said)),
            "test_metrics": metrics,
            "difference": None if name == winner else against["difference"],
            "difference_interval": None if name == winner else against["interval"],
        }
    trivial = {"majority": np.tile(np.log([0.6, 0.3, 0.1]), (400, 1)), "tfidf": a_model(random, labels["test"], 1.5)}
    baselines = compare(measure, METRIC, Direction.MAXIMIZE, scores=best, others=trivial, examples=rows)
    found: dict[str, Any] = {"plain": "plain", "runner_up": choice.order[1], "baseline": "tfidf"}
    comparisons = {
        key: comparison_with(
            key.replace("_", "-"),
            measure,
            METRIC,
            Direction.MAXIMIZE,
            scores=best,
            others=(scores["test"] | trivial)[name],
            examples=rows,
        )
        for key, name in found.items()
    }
    heat = calibrate(scores["validation"][winner], labels["validation"], best, labels["test"])
    report = {
        "metric": METRIC,
        "direction": "maximize",
        "labels": NAMES,
        "winner": {
            "entrant": winner,
            "test": entrants[winner]["test"],
            "test_interval": entrants[winner]["test_interval"],
        },
        "test_metrics": entrants[winner]["test_metrics"],
        "entrants": [entrants[name] for name in choice.order],
        "selection": {
            "optimism": optimism(entrants[winner]["searched"], values[winner][1:], METRIC, Direction.MAXIMIZE)[0]
        },
        "baselines": baselines,
        "comparisons": comparisons,
        "calibration": heat,
        **by_class(best, labels["test"], [f"text {i}" for i in range(400)], NAMES, heat["temperature"]),
    }
    for part, models in scores.items():
        for name, said in (
            models | ({f"baseline-{key}": s for key, s in trivial.items()} if part == "test" else {})
        ).items():
            lines = [
                json.dumps({"row": i, "scores": np.asarray(row).tolist(), "target": int(labels[part][i])})
                for i, row in enumerate(said)
            ]
            (folder / "predictions" / f"{part}-{name}.jsonl").write_text("\n".join(lines) + "\n")
    return report


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("search")
    report = a_search(folder)
    return folder, json.loads(json.dumps(report))


def write(folder: Path, report: dict[str, Any]) -> None:
    (folder / "report.json").write_text(json.dumps(report))


def test_a_true_report_passes(searched: tuple[Path, dict[str, Any]]) -> None:
    folder, report = searched
    assert report["winner"]["entrant"].startswith("trial-")
    write(folder, report)
    assert recompute.check(folder) > 200


def shifted(*path: Any, by: float = 0.01) -> tuple[str, Callable[[dict[str, Any]], None]]:
    def change(report: dict[str, Any]) -> None:
        entry: Any = report
        for key in path[:-1]:
            entry = entry[key]
        entry[path[-1]] += by

    return ".".join(map(str, path)), change


def _exchanged(report: dict[str, Any]) -> None:
    report["mistakes"][0], report["mistakes"][1] = report["mistakes"][1], report["mistakes"][0]


def _claimed(report: dict[str, Any]) -> None:
    report["comparisons"]["baseline"]["verdict"] = "no difference shown"


def _said(report: dict[str, Any]) -> None:
    entry = report["comparisons"]["plain"]
    entry["sentence"] = entry["sentence"].replace("points", "points and 77.7 more")


@pytest.mark.parametrize(
    ("what", "change"),
    [
        shifted("winner", "test", by=1e-4),
        shifted("winner", "test_interval", 0, by=-0.02),
        shifted("test_metrics", "mcc", by=1e-4),
        shifted("entrants", 1, "test", by=1e-4),
        shifted("entrants", 2, "test_interval", 1, by=0.02),
        shifted("entrants", 1, "difference", by=1e-4),
        shifted("entrants", 1, "difference_interval", 0, by=-0.02),
        shifted("entrants", 0, "mean", by=1e-4),
        shifted("entrants", 0, "score", by=1e-4),
        shifted("entrants", 0, "seeds", 1, "validation", by=1e-3),
        shifted("selection", "optimism", by=1e-4),
        shifted("baselines", "tfidf", "test", by=1e-4),
        shifted("baselines", "majority", "difference_interval", 1, by=0.03),
        shifted("comparisons", "plain", "difference", by=1e-3),
        shifted("comparisons", "runner_up", "interval", 0, by=-0.03),
        shifted("calibration", "temperature", by=0.02),
        shifted("calibration", "ece_before", by=1e-4),
        shifted("calibration", "ece_after", by=1e-4),
        shifted("calibration", "bins", 14, "rows", by=1),
        shifted("calibration", "bins_before", 14, "accuracy", by=1e-3),
        shifted("classes", 1, "f1", by=1e-4),
        shifted("classes", 2, "support", by=1),
        shifted("confusion", 0, 1, by=1),
        shifted("mistakes", 3, "confidence", by=1e-3),
        ("mistakes", _exchanged),
        ("comparisons.baseline.verdict", _claimed),
        ("comparisons.plain.sentence", _said),
    ],
)
def test_a_changed_number_is_caught(
    what: str, change: Callable[[dict[str, Any]], None], searched: tuple[Path, dict[str, Any]], monkeypatch: Any
) -> None:
    folder, report = searched
    changed = copy.deepcopy(report)
    change(changed)
    assert changed != report
    monkeypatch.setattr(recompute, "RESAMPLES", 600)
    write(folder, changed)
    with pytest.raises(AssertionError, match=what.split(".", maxsplit=1)[0]):
        recompute.check(folder)


def test_it_shares_no_code_with_what_it_checks() -> None:
    tree = ast.parse(Path(recompute.__file__).read_text())
    imported = [
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    assert imported and not any(name.startswith("autoft") for name in imported)
