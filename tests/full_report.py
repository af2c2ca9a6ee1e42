"""A whole search with a report that has every section: simulated trials, and a classifier's answers that add up.

Everything in the report that comes from the test rows is computed here from the same simulated answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoft.records import Direction, Probe, Report, SearchRecord, TrialConfig, TrialRecord, TrialState
from autoft.report import build

LABELS = ("earn", "acq", "crude", "trade")
RUNGS = (160, 480, 1440)
MODELS = ("asset:bert-tiny", "asset:minilm-l6")
BLOCKS = {"asset:bert-tiny": 2, "asset:minilm-l6": 6}
START = 1_790_000_000.0
TEST_ROWS, WINNER = 420, 11
HOSTILE = "<script>alert(1)</script>"


def full_search() -> SearchRecord:
    """The search that the report is about."""
    return SearchRecord("7d1f", "newswire", "text-classification", "macro_f1", Direction.MAXIMIZE, START)


def full_trials(number: int = 18, seed: int = 4) -> tuple[TrialRecord, ...]:
    """Trials of a search by halving: most stop at the first rung, some go on, one fails."""
    random = np.random.default_rng(seed)
    trials = []
    for i in range(number):
        model = MODELS[i % 2]
        rate = float(10 ** random.uniform(-5, -3))
        depth = int(random.integers(0, BLOCKS[model] + 1))
        epochs, batch = int(random.integers(1, 4)), int(random.choice([16, 32]))
        if i == WINNER:
            rate, depth, epochs = 2.1e-4, 1, 3
        config = TrialConfig(model, rate, batch, epochs, depth, dropout=(None, 0.0)[i // 2 % 2])
        ceiling = 0.86 + 0.07 * (i % 2) - 0.06 * abs(math.log10(rate) + 3.7) - 0.008 * depth
        if i == 5:
            reports = _curve(i, ceiling, (160,), random)
            reason = "diverged: the loss is not finite"
            trials.append(TrialRecord(i, config, TrialState.FAILED, reports, reason, START + 9 * i, START + 9 * i + 4))
            continue
        horizon = 960 * epochs
        rungs = [rung for rung in RUNGS if rung < horizon]
        far = len(rungs) if ceiling > 0.89 or i % 6 == 0 else 1 + (ceiling > 0.87)
        done = far >= len(rungs)
        steps = (*rungs, *range(960, horizon + 1, 960)) if done else rungs[:far]
        reports = _curve(i, ceiling, sorted(set(steps)), random)
        state = TrialState.COMPLETE if done else TrialState.PRUNED
        reason = "" if done else f"not among the best third at {reports[-1].samples} samples"
        trials.append(TrialRecord(i, config, state, reports, reason, START + 9 * i, reports[-1].time + 1))
    return tuple(trials)


def full_report(labels: Sequence[str] = LABELS, trials: Sequence[TrialRecord] | None = None) -> dict[str, Any]:
    """The report of that search, with every key that a report can have."""
    trials = full_trials() if trials is None else trials
    logits, targets = answers(len(labels))
    confusion = _confusion(logits, targets)
    test = _macro_f1(confusion)
    baselines = {
        "majority": {"test": 0.151, "difference_interval": [0.66, 0.75]},
        "tfidf": {"test": 0.842, "difference_interval": [0.012, 0.081]},
        "probe": {"test": 0.801, "difference_interval": [0.05, 0.12]},
    }
    search = full_search()
    report = build(
        search,
        trials,
        WINNER,
        test=test,
        interval=(test - 0.031, test + 0.029),
        test_metrics={"macro_f1": test, "accuracy": float(np.trace(confusion)) / TEST_ROWS, "loss": 0.31},
        baselines=baselines,
        probes=[Probe(MODELS[1], 0.83, 800, 6.1), Probe(MODELS[0], 0.71, 800, 1.9)],
        seconds=268.0,
        model_dir="runs/newswire/model",
        rows={"train": 1920, "validation": 410, "test": TEST_ROWS},
        labels=labels,
        fingerprint="0d8e12aa",
        models={ref: {"name": ref, "blocks": blocks} for ref, blocks in BLOCKS.items()},
        pipeline="text-classification",
        notes=["2 rows of the training data have an empty text and were left out."],
        mlflow={"model_name": "newswire", "model_version": "3"},
    )
    report["winner"] |= {"entrant": f"trial-{WINNER}", "seed": 1}
    return report | _finals(report, test) | _winner(logits, targets, confusion, labels) | _data(labels)


def answers(classes: int, seed: int = 11) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits of a classifier that is too sure of itself, shape (`TEST_ROWS`, classes), and what is right."""
    random = np.random.default_rng(seed)
    share = np.array([0.5 ** (i * 0.7) for i in range(classes)])
    targets = random.choice(classes, size=TEST_ROWS, p=share / share.sum())
    logits = random.normal(0, 1.6, size=(TEST_ROWS, classes)) + 4.2 * np.eye(classes)[targets]
    logits[:, 1] += 1.4 * (targets == 0)  # the second label is often taken for the first, and the other way
    return logits * 2.2, targets


def bins(logits: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[list[dict[str, Any]], float]:
    """Ten bins of a reliability diagram, and the expected calibration error."""
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    sure, right = chances.max(1), chances.argmax(1) == targets
    found, error = [], 0.0
    for i in range(10):
        low, high = i / 10, (i + 1) / 10
        inside = (sure > low) & (sure <= high)
        rows = int(inside.sum())
        confidence = float(sure[inside].mean()) if rows else None
        accuracy = float(right[inside].mean()) if rows else None
        error += rows / len(sure) * abs((confidence or 0) - (accuracy or 0))
        found.append({"low": low, "high": high, "rows": rows, "confidence": confidence, "accuracy": accuracy})
    return found, error


def _curve(number: int, ceiling: float, steps: Sequence[int], random: np.random.Generator) -> tuple[Report, ...]:
    pace = (0.004, 0.021)[number % 2]  # seconds a sample
    reports = []
    for step in steps:
        value = ceiling * (1 - 0.45 * math.exp(-step / 320)) + random.normal(0, 0.006)
        seconds = step * pace
        metrics = {"macro_f1": value, "accuracy": value + 0.02, "loss": 1.4 * (1 - value)}
        reports.append(Report(step, value, metrics, 1.2 * (1 - value), seconds, START + 8 + 9 * number + seconds))
    return tuple(reports)


def _confusion(logits: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    counts = np.zeros((logits.shape[1],) * 2, dtype=np.int64)
    np.add.at(counts, (targets, logits.argmax(1)), 1)
    return counts


def _macro_f1(confusion: NDArray[np.int64]) -> float:
    return float(np.mean(2 * np.diag(confusion) / (confusion.sum(0) + confusion.sum(1))))


def _finals(report: dict[str, Any], test: float) -> dict[str, Any]:
    board = {entry["trial"]: entry for entry in report["leaderboard"]}
    rivals = [entry["trial"] for entry in report["leaderboard"] if entry["rank"] and entry["trial"] != WINNER]
    plain = {**board[WINNER]["params"], "learning_rate": 2e-5, "batch_size": 16, "epochs": 3, "freeze_depth": 0}
    entrants = [_entrant(f"trial-{WINNER}", "finalist", WINNER, board[WINNER], 0.006, test)]
    entrants += [
        _entrant(f"trial-{n}", "finalist", n, board[n], 0.012, test - gap, (gap, gap - 0.019, gap + 0.021))
        for n, gap in zip(rivals[:2], (0.004, 0.027), strict=True)
    ]
    soup = _entrant("soup", "soup", WINNER, board[WINNER], 0.007, test - 0.002, (0.002, -0.009, 0.012))
    soup |= {
        "ingredients": [f"trial-{WINNER}/0", f"trial-{rivals[0]}/1"],
        "spread": None,
        "searched": None,
        "seeds": [],
    }
    last = _entrant(
        "plain", "plain", None, {**board[WINNER], "params": plain}, 0.031, test - 0.038, (0.038, 0.011, 0.067)
    )
    return {
        "entrants": [*entrants, soup, last | {"searched": None}],
        "selection": {
            "rule": "The entrant with the highest mean over its seeds minus half of their spread, on validation.",
            "optimism": 0.006,
            "sentence": "The search had measured 0.0060 more for the winner than its repeated seeds give: having been "
            "chosen flatters a score.",
        },
        "comparisons": {
            "plain": {
                "difference": 0.038,
                "interval": [0.011, 0.067],
                "verdict": "better",
                "sentence": _verdict("plain", 0.038, 0.011, 0.067),
            },
            "runner_up": {
                "difference": 0.004,
                "interval": [-0.015, 0.025],
                "verdict": "no difference shown",
                "sentence": _verdict(f"trial-{rivals[0]}", 0.004, -0.015, 0.025),
            },
        },
        "test_read": {"time": START + 260, "entrants": 5, "earlier": 0},
        "cost": {
            "search_seconds": 212.0,
            "finals_seconds": 51.0,
            "trained_samples": 31_040,
            "energy_joules": 4_210.0,
            "energy_method": "RAPL counters of the processor",
            "parameters": 22_713_988,
            "trainable": 10_648_324,
            "latency": {"1": {"median_ms": 11.2, "p95_ms": 13.9}, "32": {"median_ms": 148.0, "p95_ms": 160.5}},
            "device": "cpu, 1 thread",
        },
    }


def _entrant(
    name: str,
    kind: str,
    trial: int | None,
    entry: dict[str, Any],
    lower: float,
    test: float,
    difference: tuple[float, float, float] | None = None,
) -> dict[str, Any]:
    values = [entry["validation"] - lower + shift for shift in (0.004, -0.002, -0.002)]
    spread = float(np.std(values, ddof=1))
    return {
        "name": name,
        "kind": kind,
        "trial": trial,
        "params": entry["params"],
        "seeds": [
            {"seed": seed, "validation": value, "samples": entry["samples"], "seconds": entry["seconds"]}
            for seed, value in enumerate(values)
        ],
        "searched": entry["validation"],
        "mean": float(np.mean(values)),
        "spread": spread,
        "score": float(np.mean(values)) - spread / 2,
        "test": test,
        "test_interval": [test - 0.031, test + 0.029],
        "test_metrics": {"macro_f1": test, "accuracy": test + 0.01},
        "verdict": _verdict(name, *difference) if difference else None,
        "difference": difference[0] if difference else None,
        "difference_interval": list(difference[1:]) if difference else None,
    }


def _verdict(name: str, lead: float, low: float, high: float) -> str:
    by, start, end = (f"{100 * value:.1f}" for value in (lead, low, high))
    name = {"plain": "the plain recipe", "soup": "the soup"}.get(name, name.replace("-", " "))
    if low <= 0 <= high:
        return f"no difference from {name} is shown: {by} points ahead, and the interval, {start} to {end}, holds zero"
    return f"better than {name} by {by} points, 95 % interval {start} to {end}"


def _winner(
    logits: NDArray[np.float64], targets: NDArray[np.int64], confusion: NDArray[np.int64], labels: Sequence[str]
) -> dict[str, Any]:
    temperature = 1.3
    before, error_before = bins(logits, targets)
    after, error_after = bins(logits / temperature, targets)
    chances = np.exp(logits / temperature)
    chances /= chances.sum(1, keepdims=True)
    wrong = [int(row) for row in np.argsort(-chances.max(1)) if chances[row].argmax() != targets[row]]
    return {
        "calibration": {
            "temperature": temperature,
            "ece_before": error_before,
            "ece_after": error_after,
            "bins": after,
            "bins_before": before,
        },
        "classes": [
            {
                "label": label,
                "precision": float(confusion[i, i] / max(1, confusion[:, i].sum())),
                "recall": float(confusion[i, i] / max(1, confusion[i].sum())),
                "f1": float(2 * confusion[i, i] / max(1, confusion[i].sum() + confusion[:, i].sum())),
                "support": int(confusion[i].sum()),
            }
            for i, label in enumerate(labels)
        ],
        "confusion": confusion.tolist(),
        "mistakes": [
            {
                "row": row,
                "text": f"Company {row} said it completed the announced sale of its {HOSTILE} unit | for $12",
                "label": labels[targets[row]],
                "predicted": labels[int(chances[row].argmax())],
                "confidence": float(chances[row].max()),
            }
            for row in wrong[:8]
        ],
    }


def _data(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "examination": {
            "findings": [
                {
                    "kind": "leak",
                    "severity": "warning",
                    "count": 12,
                    "share": 12 / TEST_ROWS,
                    "sentence": "12 texts of the test rows (2.9 %) stand in the training rows, too.",
                    "examples": [{"text": "Shareholders approved the merger.", "rows": [["train", 3], ["test", 9]]}],
                },
                {
                    "kind": "small_class",
                    "severity": "note",
                    "count": 1,
                    "share": 0.25,
                    "sentence": f"The label {labels[-1]} has few rows: its score is uncertain.",
                    "examples": [],
                },
            ],
            "splits": {
                part: {"rows": rows, "length": {"5 %": 8, "median": 61, "95 %": 214}}
                for part, rows in (("train", 1920), ("validation", 410), ("test", TEST_ROWS))
            },
        },
        "label_noise": {
            "candidates": [
                {
                    "split": "train",
                    "row": 17,
                    "text": "Crude oil prices fell a dollar a barrel in early trading.",
                    "label": labels[0],
                    "suggested": labels[2 % len(labels)],
                    "confidence": 0.97,
                }
            ],
            "method": "Confident learning on the predictions of a linear model, out of fold.",
            "checked": 1920,
        },
    }
