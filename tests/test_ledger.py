"""The ledger holds everything, in Optuna's own terms, and reads back what was written."""

import sqlite3

import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution

from autoft.errors import SearchError
from autoft.records import Direction, Report, SearchRecord, TrialConfig, TrialState
from autoft.study.driver import _Keeper
from autoft.study.ledger import Ledger
from autoft.study.trainable import checkpoints
from autoft.training import checkpoint

SEARCH = SearchRecord("id-1", "demo", "text-classification", "accuracy", Direction.MAXIMIZE, 1.0, {"data": "x.csv"})
CONFIG = TrialConfig("asset:bert-tiny", 1e-4, 16, 3, 0)
DISTRIBUTIONS = {"learning_rate": FloatDistribution(1e-5, 1e-3, log=True)}


def report(samples, value):
    return Report(samples, value, {"accuracy": value, "loss": 0.5}, 0.4, 1.5, 100.0 + samples)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.db"


def test_everything_reads_back(path):
    ledger = Ledger.create(path, SEARCH)
    for _ in range(4):
        ledger.add(CONFIG, {"learning_rate": 1e-4}, DISTRIBUTIONS)
    for number in range(3):
        ledger.report(number, report(100, 0.5 + number / 10))
    ledger.report(0, report(200, 0.4))
    ledger.complete(0, "horizon")
    ledger.prune(1, "not among the best 1/3 at 100 samples")
    ledger.fail(2, "diverged")
    ledger.spend(12.5)
    before = ledger.records()
    ledger.close()

    again = Ledger.open(path)
    assert again.records() == before
    assert again.search == SEARCH
    assert again.spent == 12.5
    assert [record.state for record in before] == [
        TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.OPEN
    ]  # fmt: skip


def test_the_study_says_the_same_in_optunas_terms(path):
    ledger = Ledger.create(path, SEARCH)
    for _ in range(3):
        ledger.add(CONFIG, {"learning_rate": 1e-4}, DISTRIBUTIONS)
        ledger.report(len(ledger.records()) - 1, report(100, 0.5))
    ledger.report(0, report(300, 0.4))
    ledger.complete(0, "horizon")
    ledger.prune(1, "behind")
    ledger.fail(2, "broke")
    ledger.close()

    trials = optuna.load_study(study_name="demo", storage=f"sqlite:///{path}").trials
    states = optuna.trial.TrialState
    assert [trial.state for trial in trials] == [states.COMPLETE, states.PRUNED, states.FAIL]
    assert trials[0].value == 0.5, "the best value, not the last"
    assert trials[0].intermediate_values == {100: 0.5, 300: 0.4}
    assert trials[1].intermediate_values == {100: 0.5}
    assert trials[0].params == {"learning_rate": 1e-4}


def test_the_same_report_again_changes_nothing(path):
    ledger = Ledger.create(path, SEARCH)
    ledger.add(CONFIG, {}, {})
    assert ledger.report(0, report(100, 0.5))
    assert not ledger.report(0, report(100, 0.5))
    assert len(ledger.records()[0].reports) == 1


def test_a_trial_without_a_value_can_not_be_complete(path):
    ledger = Ledger.create(path, SEARCH)
    ledger.add(CONFIG, {}, {})
    ledger.complete(0, "horizon")
    assert ledger.records()[0].state is TrialState.FAILED


def test_closed_the_file_is_whole_by_itself(path):
    ledger = Ledger.create(path, SEARCH)
    ledger.add(CONFIG, {}, {})
    ledger.close()
    assert [file.name for file in path.parent.iterdir()] == ["study.db"]


def test_it_writes_ahead(path):
    ledger = Ledger.create(path, SEARCH)
    ledger.add(CONFIG, {}, {})
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ledger.close()


def test_what_is_no_ledger_is_refused_in_one_line(path):
    with pytest.raises(SearchError, match="there is no such ledger"):
        Ledger.open(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(SearchError, match="not a ledger"):
        Ledger.open(path)


def test_damaged_weights_take_no_place_from_whole_ones(tmp_path):
    ledger = Ledger.create(None, SEARCH)
    for number in range(6):
        ledger.add(CONFIG, {"learning_rate": 1e-4}, DISTRIBUTIONS)
        ledger.report(number, report(100, 0.9 - number / 10))
        if number < 5:
            ledger.complete(number, "horizon")
        folder = checkpoints(tmp_path, number)
        checkpoint.save(folder, {"best": {"w": torch.ones(3)}}, {"reports": [{"samples": 100}]})
    for number in (0, 2):
        (checkpoints(tmp_path, number) / "000001" / "best.safetensors").write_bytes(b"damaged")
    keeper = _Keeper(ledger, tmp_path, 2)
    keeper.tick()
    there = [number for number in range(6) if checkpoints(tmp_path, number).is_dir()]
    assert there == [0, 1, 2, 3, 5], "the two best that are whole, the damaged ones as they are, and the one under way"
    ledger.report(5, report(200, 1.0))
    ledger.complete(5, "horizon")
    keeper.tick()
    assert [number for number in range(6) if checkpoints(tmp_path, number).is_dir()] == [0, 1, 2, 5]
