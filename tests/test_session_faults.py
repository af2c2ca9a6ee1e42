"""What a search does when its disk, its workers or its user fail it."""

import contextlib
import threading
import time

import pytest

import autoft
from autoft.errors import InputError, SearchError, SpecError
from autoft.folder import locked, prepare
from autoft.records import TrialState
from autoft.session import Session

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch_size": 8, "epochs": {"low": 4, "high": 8}}


@pytest.fixture
def given(tmp_path, monkeypatch, tiny_bert, tiny_data):
    """Keywords of a small search, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    tiny_data.drop_duplicates().to_csv("rows.csv", index=False)
    return {
        "task": "text-classification", "data": "rows.csv", "models": [str(tiny_bert)], "metric": "accuracy",
        "space": SPACE, "trials": 6, "workers": 2,
    }  # fmt: skip


def test_a_disk_that_takes_nothing_ends_the_search(given, tmp_path):
    folder, planned = prepare(autoft.make_spec(**given), tmp_path / "runs", replace=False)
    (folder / "checkpoints").write_text("in the way")
    with pytest.raises(SearchError, match="its weights could not be saved"):
        Session(folder, planned, lambda snapshot: None, time.monotonic(), None).run()
    _, trials = autoft.api.records(folder)
    assert all(trial.state is not TrialState.OPEN for trial in trials)
    assert all(trial.reports for trial in trials), "what was measured is not lost with the weights"


def test_a_worker_that_is_killed_costs_no_trial(given):
    import psutil

    killed = []

    def kill_one():
        while not killed:
            for process in psutil.Process().children(recursive=True):  # of this test, not of the machine
                with contextlib.suppress(psutil.Error):  # it may be gone already
                    if (process.cmdline() or [""])[0].startswith("ray::TrialRunner"):
                        process.kill()
                        killed.append(process.pid)
                        return
            time.sleep(0.1)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    # Long enough for a worker to be found at work.
    long = {"trials": 3, "space": {**SPACE, "epochs": 60}, "search": {"patience": 1000, "scheduler": "none"}}
    result = autoft.search(**{**given, **long})
    assert killed
    assert [trial.state for trial in result.trials] == [TrialState.COMPLETE] * 3


def test_two_drivers_never_share_a_search(given, tmp_path):
    folder, _ = prepare(autoft.make_spec(**given), tmp_path / "runs", replace=False)
    lock = locked(folder)
    for call in (
        lambda: autoft.resume("rows"),
        lambda: prepare(autoft.make_spec(**given), tmp_path / "runs", replace=True),
    ):
        with pytest.raises(SpecError, match="another process is running this search"):
            call()
    lock.release()
    assert folder.is_dir()


def test_replace_leaves_a_folder_that_is_no_search_alone(given, tmp_path):
    (tmp_path / "runs" / "rows").mkdir(parents=True)
    (tmp_path / "runs" / "rows" / "thesis.txt").write_text("precious")
    with pytest.raises(SpecError, match="no search of autoft"):
        autoft.search(**given, replace=True)
    assert (tmp_path / "runs" / "rows" / "thesis.txt").read_text() == "precious"


def test_a_search_knows_what_it_replaces(given, tmp_path):
    def begin():
        folder, _ = prepare(autoft.make_spec(**given), tmp_path / "runs", replace=True)
        record, _ = autoft.api.records(folder)
        return record

    first, second, third = begin(), begin(), begin()
    assert first.replaces == ()
    assert second.replaces == (first.id,)
    assert third.replaces == (second.id, first.id)
    (tmp_path / "runs" / "rows" / "study.db").write_bytes(b"damaged")
    assert begin().replaces == ()


def test_a_damaged_winner_gives_way_to_the_next_and_it_is_told(given, tmp_path):
    result = autoft.search(**given, finals=False)
    assert not any("could not win" in note for note in result.report["notes"])
    first = result.report["winner"]["trial"]
    weights = next((result.folder / "checkpoints" / f"{first:05d}").rglob("best.safetensors"))
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    (result.folder / "report.json").unlink()
    again = autoft.resume("rows")
    assert again.report["winner"]["trial"] != first
    assert any(f"trial {first} was the best on validation and could not win" in n for n in again.report["notes"])


def test_the_test_rows_are_not_read_again_where_nothing_was_trained_since(given):
    result = autoft.search(**given)
    before = (result.folder / "model" / "autoft.json").stat().st_mtime_ns
    again = autoft.resume("rows")
    assert again.report["winner"] == result.report["winner"]
    assert (result.folder / "model" / "autoft.json").stat().st_mtime_ns == before


def test_a_finished_search_goes_on_where_it_is_given_more(given):
    result = autoft.search(**{**given, "trials": 3})
    more = autoft.resume("rows", trials=5)
    assert (len(result.trials), len(more.trials)) == (3, 5)
    assert more.trials[:3] == result.trials


def test_a_wrong_number_leaves_the_search_as_it_was(given):
    result = autoft.search(**{**given, "trials": 2})
    before = (result.folder / "spec.yaml").read_text()
    with pytest.raises(InputError, match="trials"):
        autoft.resume("rows", trials=0)
    assert (result.folder / "spec.yaml").read_text() == before


def test_a_budget_ends_trials_that_are_under_way(given):
    long = {"trials": None, "budget": "50s", "space": {**SPACE, "epochs": 1000}, "search": {"patience": 100_000}}
    result = autoft.search(**{**given, **long})
    spec = autoft.api.make_spec(result.folder / "spec.yaml")
    assert spec.search.trials is None
    assert any(trial.reason.startswith("out of time") for trial in result.trials)


def test_a_search_runs_in_a_thread_and_beside_a_ray_of_the_callers_own(given):
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    found = []
    try:
        thread = threading.Thread(target=lambda: found.append(autoft.search(**{**given, "trials": 2})))
        thread.start()
        thread.join()
        assert ray.is_initialized(), "it was not ours to end"
    finally:
        ray.shutdown()
    assert len(found[0].trials) == 2


def test_a_place_that_was_taken_meanwhile_is_left_alone(given, tmp_path, monkeypatch):
    """Two searches of one name, started at the same moment: the second finds the place taken, and says so."""
    from autoft import folder

    checked = folder.plan

    def taken_while_it_checks(spec, runs):
        planned = checked(spec, runs)
        (runs / "rows").mkdir(parents=True)
        (runs / "rows" / "spec.yaml").write_text("another process's")
        return planned

    monkeypatch.setattr(folder, "plan", taken_while_it_checks)
    with pytest.raises(SpecError, match="exists already"):
        prepare(autoft.make_spec(**given), tmp_path / "runs", replace=False)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["rows"]
    assert (tmp_path / "runs" / "rows" / "spec.yaml").read_text() == "another process's"
