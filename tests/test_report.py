"""The report: its interval, its JSON, its words."""

import ast
import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autoft import tasks
from autoft.records import Direction, Report, SearchRecord, TrialConfig, TrialRecord, TrialState
from autoft.report import bootstrap_interval, build, paired_interval, render, write
from autoft.report.labels import between, score
from autoft.report.markdown import comparison


def accuracy(scores: NDArray[Any], targets: NDArray[Any]) -> float:
    return float((scores.argmax(axis=1) == targets).mean())


def answers(rows: int, right: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores of a classifier of two classes that is right with the probability `right`."""
    random = np.random.default_rng(seed)
    targets = random.integers(2, size=rows)
    said = np.where(random.random(rows) < right, targets, 1 - targets)
    return np.eye(2)[said], targets


def test_the_interval_of_an_accuracy_is_what_theory_says() -> None:
    scores, targets = answers(600, 0.8, seed=0)
    share = accuracy(scores, targets)
    low, high = bootstrap_interval(accuracy, scores, targets, resamples=2000)
    half = 1.96 * math.sqrt(share * (1 - share) / 600)
    assert low == pytest.approx(share - half, abs=0.006)
    assert high == pytest.approx(share + half, abs=0.006)


def test_95_of_100_intervals_hold_the_truth() -> None:
    held = 0
    for seed in range(200):
        low, high = bootstrap_interval(accuracy, *answers(200, 0.75, seed), resamples=200, seed=seed)
        held += low <= 0.75 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_the_interval_depends_on_nothing_but_its_seed() -> None:
    scores, targets = answers(100, 0.7, seed=1)
    first = bootstrap_interval(accuracy, scores, targets)
    assert bootstrap_interval(accuracy, scores, list(targets)) == first
    assert bootstrap_interval(accuracy, scores, targets, seed=1) != first


def test_a_higher_level_is_wider() -> None:
    scores, targets = answers(300, 0.7, seed=2)
    low, high = bootstrap_interval(accuracy, scores, targets)
    wider_low, wider_high = bootstrap_interval(accuracy, scores, targets, level=0.99)
    assert wider_low < low < high < wider_high


def test_many_rows_are_drawn_in_chunks_to_the_same_effect() -> None:
    scores, targets = answers(50_000, 0.8, seed=3)  # 80 resamples fit a chunk
    low, high = bootstrap_interval(accuracy, scores, targets, resamples=200)
    assert 0.79 < low < accuracy(scores, targets) < high < 0.81


@pytest.mark.parametrize("rows", [1, 2, 50])
def test_rows_that_are_all_right_leave_no_doubt(rows: int) -> None:
    scores, targets = np.eye(2)[np.zeros(rows, dtype=int)], np.zeros(rows, dtype=int)
    assert bootstrap_interval(accuracy, scores, targets) == (1.0, 1.0)


def test_resamples_without_a_score_are_left_out() -> None:
    def strict(scores: NDArray[Any], targets: NDArray[Any]) -> float:
        if len(set(targets.tolist())) < 2:
            raise ValueError("needs both classes")
        return math.nan if targets[0] == 1 and targets[1] == 1 and targets[2] == 1 else accuracy(scores, targets)

    scores, targets = answers(40, 0.8, seed=4)
    low, high = bootstrap_interval(strict, scores, targets)
    assert 0.5 < low < high <= 1


def test_a_metric_that_is_mostly_undefined_has_no_interval() -> None:
    scores, targets = answers(40, 0.8, seed=5)
    low, high = bootstrap_interval(lambda s, t: math.inf, scores, targets, resamples=20)
    assert math.isnan(low) and math.isnan(high)
    assert between((low, high)) == ""


def test_other_errors_of_a_metric_are_not_hidden() -> None:
    def broken(scores: NDArray[Any], targets: NDArray[Any]) -> float:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        bootstrap_interval(broken, *answers(10, 0.8, seed=6))


def test_targets_may_be_of_unequal_length() -> None:
    scores = np.arange(6.0)[:, None]
    targets = [[1], [1, 2], [1, 2, 3], [1], [1, 2], [1]]
    low, high = bootstrap_interval(lambda s, t: float(np.mean([len(target) for target in t])), scores, targets)
    assert 1 <= low < 10 / 6 < high <= 3


@pytest.mark.parametrize(
    ("rows", "targets", "resamples", "level"), [(0, 0, 10, 0.95), (3, 2, 10, 0.95), (3, 3, 0, 0.95), (3, 3, 10, 1.0)]
)
def test_what_makes_no_sense_is_refused(rows: int, targets: int, resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match=r"fit|resamples"):
        bootstrap_interval(accuracy, np.zeros((rows, 2)), [0] * targets, resamples=resamples, level=level)


def test_every_metric_of_the_task_has_an_interval_around_its_value() -> None:
    task = tasks.get("text-classification")
    scores, targets = answers(200, 0.8, seed=7)
    random = np.random.default_rng(7)
    scores = scores * 2 + random.normal(size=scores.shape) * 0.1
    examples = [{"labels": target} for target in targets]
    whole = task.measure(scores, examples, {"labels": ["a", "b"]})
    for name in task.metrics:
        low, high = bootstrap_interval(
            lambda s, e, name=name: task.measure(s, e, {})[name],  # type: ignore[misc]
            scores,
            examples,
            resamples=60,
        )
        assert low < whole[name] < high, name


# --- report.json and report.md ---

SEARCH = SearchRecord("id-1", "reviews", "text-classification", "accuracy", Direction.MAXIMIZE, started=1e9)
MODEL = "asset:minilm-l6"


def trial(number: int, *values: float, state: TrialState = TrialState.COMPLETE, reason: str = "") -> TrialRecord:
    config = TrialConfig(MODEL, 3.2e-4, 16, 2, number % 7, dropout=None)
    reports = tuple(
        Report(300 * 3**i, value, {"accuracy": value, "loss": 0.5}, 0.4, 5.0 * (i + 1), 1e9 + i)
        for i, value in enumerate(values)
    )
    return TrialRecord(number, config, state, reports, reason, 1e9, 1e9 + 60)


TRIALS = (
    trial(0, 0.70, 0.80),
    trial(1, 0.60, state=TrialState.PRUNED, reason="not among the best third | at\n300"),
    trial(2, 0.99, state=TrialState.FAILED, reason="diverged: the loss is not finite"),
    trial(3, 0.75, 0.85, 0.84),
    trial(4, state=TrialState.FAILED, reason="out of memory"),
    trial(5, 0.80, state=TrialState.PRUNED),
    trial(6, 0.85),
)


def report(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "test": 0.83,
        "interval": (0.80, 0.86),
        "test_metrics": {"accuracy": 0.83, "loss": math.nan},
        "baselines": {"majority": {"test": 0.6}, "tfidf": {"test": 0.75}},
        "seconds": 100.0,
        "model_dir": Path("runs/reviews/model"),
        "rows": {"train": 700, "validation": 150, "test": 150},
        "labels": ["bad", "good"],
        "fingerprint": "abc123",
        "models": {MODEL: {"blocks": 6}},
    }
    return build(SEARCH, TRIALS, 3, **{**values, **changes})


def test_the_report_says_what_was_promised() -> None:
    said = report()
    assert said["search"] == "reviews"
    assert (said["task"], said["metric"], said["direction"]) == ("text-classification", "accuracy", "maximize")
    assert said["trials"] == {"total": 7, "complete": 3, "pruned": 2, "failed": 2}
    winner = said["winner"]
    assert (winner["trial"], winner["validation"], winner["test"]) == (3, 0.85, 0.83)
    assert winner["test_interval"] == [0.80, 0.86]
    assert winner["samples"] == 900  # where it was best, not where it ended
    assert winner["seconds"] == 15.0
    assert winner["params"]["learning_rate"] == 3.2e-4
    assert said["baselines"]["tfidf"]["test"] == 0.75
    assert said["model_dir"] == "runs/reviews/model"
    assert set(said["mlflow"]) == {"tracking_uri", "experiment", "run_id", "model_name", "model_version"}
    assert said["versions"]["torch"]
    assert said["rows"]["test"] == 150


def test_the_report_is_json_and_a_number_that_is_none_is_null() -> None:
    said = report(interval=(math.nan, math.nan))
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["test_metrics"]["loss"] is None
    assert said["winner"]["test_interval"] == [None, None]


def test_the_leaderboard_puts_failed_trials_last_and_the_earlier_of_equals_first() -> None:
    board = report()["leaderboard"]
    assert [entry["trial"] for entry in board] == [3, 6, 0, 5, 1, 2, 4]
    assert [entry["rank"] for entry in board] == [1, 2, 3, 4, 5, None, None]


def test_a_metric_to_be_minimised_ranks_the_other_way() -> None:
    search = replace(SEARCH, metric="loss", direction=Direction.MINIMIZE)
    said = build(
        search,
        TRIALS,
        1,
        test=0.5,
        interval=(0.45, 0.56),
        test_metrics={},
        baselines={"majority": {"test": 0.6, "difference_interval": [0.04, 0.15]}},
        seconds=1,
        model_dir="m",
        rows={"test": 9},
    )
    assert [entry["trial"] for entry in said["leaderboard"]][:2] == [1, 0]
    assert comparison(said).startswith("It beats the best baseline")
    said["baselines"]["majority"]["difference_interval"] = [-0.01, 0.21]
    assert "no difference is shown" in comparison(said)
    assert "lower is better" in render(said)


@pytest.mark.parametrize("winner", [4, 99])
def test_a_winner_without_a_report_is_refused(winner: int) -> None:
    with pytest.raises(ValueError, match=f"trial {winner}"):
        build(
            SEARCH,
            TRIALS,
            winner,
            test=1,
            interval=(1, 1),
            test_metrics={},
            baselines={},
            seconds=1,
            model_dir="m",
            rows={},
        )


@pytest.mark.parametrize(
    ("test", "difference", "says"),
    [
        (
            0.83,
            (0.05, 0.11),
            "It beats the best baseline, logistic regression on TF-IDF words (0.7500) by 0.0800 "
            "(95 % interval of the difference 0.0500 to 0.1100)",
        ),
        (0.76, (-0.02, 0.04), "no difference is shown"),
        (0.75, (-0.03, 0.03), "does not beat"),
        (0.70, (-0.09, -0.01), "does not beat"),
        (0.83, None, "can't be said"),
        (0.83, (None, None), "can't be said"),
    ],
)
def test_the_verdict_is_honest(test: float, difference: Any, says: str) -> None:
    baselines = {"majority": {"test": 0.5}, "tfidf": {"test": 0.75, "difference_interval": difference}}
    said = report(test=test, baselines=baselines)
    assert says in comparison(said)
    assert says in render(said).split("##")[0]


def test_a_paired_interval_is_narrower_than_the_rows_are_hard() -> None:
    scores, targets = answers(400, 0.7, seed=3)
    better = scores.copy()
    wrong = np.flatnonzero(scores.argmax(axis=1) != targets)[:20]
    better[wrong] = np.eye(2)[targets[wrong]]
    low, high = paired_interval(accuracy, better, scores, targets)
    half = 1.96 * math.sqrt(0.05 * 0.95 / 400)
    assert low == pytest.approx(0.05 - half, abs=0.006)
    assert high == pytest.approx(0.05 + half, abs=0.006)
    assert paired_interval(accuracy, scores, scores, targets) == (0.0, 0.0)
    back = paired_interval(accuracy, scores, better, targets)
    assert back == pytest.approx((-high, -low), abs=1e-9)


def test_two_models_that_are_equally_good_are_told_apart_in_few_cases() -> None:
    """Of 200 pairs of equally good models about 5 % differ by chance."""
    shown = 0
    for seed in range(200):
        one, targets = answers(300, 0.8, seed)
        right = np.random.default_rng(1_000 + seed).random(300) < 0.8
        other = np.eye(2)[np.where(right, targets, 1 - targets)]
        low, high = paired_interval(accuracy, one, other, targets, resamples=200, seed=seed)
        shown += not low <= 0 <= high
    assert 2 <= shown <= 20


def test_without_baselines_nothing_is_compared() -> None:
    said = report(baselines={})
    assert comparison(said) == ""
    assert "0.8300 (95 % interval 0.8000 to 0.8600) on 150 test rows" in render(said)


def test_the_python_in_the_report_is_python() -> None:
    for pairs in (False, True):
        blocks = re.findall(r"```python\n(.*?)```", render(report(pairs=pairs)), flags=re.DOTALL)
        assert len(blocks) == 2
        for block in blocks:
            ast.parse(block)


def test_the_tables_of_the_report_are_whole() -> None:
    text = render(report())
    tables = re.findall(r"(?:^\|.*\|$\n?)+", text, flags=re.MULTILINE)
    assert len(tables) == 2
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1
    assert "freeze" in text and "| 3 |" in text
    assert "not among the best third \\| at 300" in text


def test_the_report_says_how_to_get_the_model() -> None:
    text = render(report(mlflow={"model_name": "reviews", "model_version": "2"}))
    assert 'autoft predict reviews "a text"' in text
    assert "models:/reviews/2" in text
    assert "champion" not in render(report())


def test_long_leaderboards_are_cut_and_say_so() -> None:
    many = tuple(trial(number, 0.5 + number / 100) for number in range(40))
    said = build(
        SEARCH,
        many,
        39,
        test=0.8,
        interval=(0.7, 0.9),
        test_metrics={},
        baselines={},
        seconds=1,
        model_dir="m",
        rows={"test": 1},
    )
    assert len(said["leaderboard"]) == 40
    assert "The other 25 stand in `report.json`." in render(said)


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    write(report(), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == report()
    assert (tmp_path / "report.md").read_text() == render(report())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]


@pytest.mark.parametrize("fault", ["fsync", "not JSON"])
def test_a_fault_while_writing_leaves_the_old_report(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(report(), tmp_path)
    new = report(test=0.99)
    if fault == "not JSON":
        new["seconds"] = math.nan
    else:

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((OSError, ValueError)):
        write(new, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == report()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]


def test_a_score_that_is_none_is_a_dash() -> None:
    assert (score(None), score(math.inf), score(0.5)) == ("-", "-", "0.5000")
