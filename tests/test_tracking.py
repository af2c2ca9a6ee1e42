"""MLflow shows what the ledger holds: all of it, once, whatever happened on the way. A real store throughout."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tracking_samples import BLOCKS, a_report, a_search, a_trial, some_trials, tiny_classifier
from tracking_store import PATIENCE, Ledger, Store, flush, flushed

from autoft import tracking
from autoft.errors import Interrupted, SpecError, TrackingError
from autoft.records import SearchRecord, TrialState
from autoft.tracking import Mirror, Target, description, projection, tables, verdict
from autoft.tracking import mirror as mirror_module

# ---- what is shown


def test_every_state_is_shown_with_its_curve_params_and_times(store) -> None:
    trials = some_trials()
    flush(store.mirror(Ledger(*trials)))
    children = store.children()
    assert {n: (run.info.status, run.data.tags["autoft.state"]) for n, run in children.items()} == {
        0: ("FINISHED", "complete"),
        1: ("FINISHED", "pruned"),
        2: ("FAILED", "failed"),
        3: ("RUNNING", "open"),
    }
    assert {run.data.tags[projection.PARENT] for run in children.values()} == {store.parent().info.run_id}
    complete, pruned, failed, opened = (children[n] for n in range(4))
    for run, trial in zip((complete, pruned, failed, opened), trials, strict=True):
        assert run.info.start_time == trial.started * 1000
        assert run.data.params["learning_rate"] == str(trial.config.learning_rate)
        assert run.data.params["dropout"] == "model's own"
    assert complete.info.end_time == trials[0].finished * 1000
    for key, values in {
        "val_macro_f1": [r.metrics["macro_f1"] for r in trials[0].reports],
        "val_loss": [r.metrics["loss"] for r in trials[0].reports],
        "train_loss": [r.train_loss for r in trials[0].reports],
        "seconds": [9.5, 19.0, 28.5],
    }.items():
        assert store.curve(complete, key) == list(zip([160, 320, 480], values, strict=True))
    assert store.curve(complete, "best_val_macro_f1") == [(480, trials[0].reports[-1].value)]
    assert "best_val_macro_f1" in pruned.data.metrics
    assert "best_val_macro_f1" not in opened.data.metrics
    assert failed.data.metrics == {} and failed.data.tags["autoft.reason"] == "out of memory"
    assert complete.info.run_name == "#0 minilm-l6 lr 3.2e-4 bs 16 freeze 4"
    assert opened.info.run_name == "#3 bert-tiny lr 2e-5 bs 16 freeze all"


def test_the_parent_says_what_the_search_is(store) -> None:
    flush(store.mirror(Ledger(*some_trials())))
    parent = store.parent()
    assert parent.info.run_name == "reviews"
    assert parent.info.status == "RUNNING"
    expected = {
        "autoft.search_id": "5f0c",
        "autoft.task": "text-classification",
        "autoft.metric": "macro_f1",
        "autoft.direction": "maximize",
        "autoft.fingerprint": "0d8e12",
        "autoft.kind": "search",
        "autoft.search": "reviews",
        "autoft.data": "data/reviews.csv",
        "autoft.rows": '{"train": 1800, "validation": 300, "test": 300}',
    }
    assert expected.items() <= parent.data.tags.items()
    note = parent.data.tags["mlflow.note.content"]
    assert "Best so far: 0.6212 macro_f1" in note
    assert (
        f"[#0](#/experiments/{parent.info.experiment_id}/runs/{store.children()[0].info.run_id}?workflowType=machine_learning)"
        in note
    )


def test_artifacts_of_the_embedded_store_lie_beside_it(store) -> None:
    flush(store.mirror(Ledger()))
    experiment = store.client.get_experiment_by_name("autoft")
    assert experiment.artifact_location == (store.target.database.parent / "mlartifacts").as_uri()


def test_nan_and_infinity_never_reach_mlflow(store) -> None:
    trial = a_trial(0)
    bad = replace(
        trial.reports[1], metrics={"macro_f1": math.nan, "loss": math.inf}, train_loss=-math.inf, value=math.nan
    )
    flush(store.mirror(Ledger(replace(trial, reports=(trial.reports[0], bad, trial.reports[2])))))
    run = store.children()[0]
    assert [step for step, _ in store.curve(run, "val_macro_f1")] == [160, 480]
    assert [step for step, _ in store.curve(run, "train_loss")] == [160, 480]
    assert [step for step, _ in store.curve(run, "seconds")] == [160, 320, 480]
    assert all(math.isfinite(v) and abs(v) < 1e300 for v in run.data.metrics.values())


def test_a_long_curve_is_cut_into_batches(store) -> None:
    flush(store.mirror(Ledger(a_trial(0, reports=600))))
    assert len(store.curve(store.children()[0], "train_loss")) == 600


# ---- once, and all of it


def test_again_from_the_same_or_another_mirror_changes_nothing(store) -> None:
    ledger = Ledger(*some_trials())
    with flushed(store.mirror(ledger)) as mirror:
        first = store.content("5f0c")
        assert mirror.flush(PATIENCE)
        assert store.content("5f0c") == first
    flush(store.mirror(ledger))  # as after kill -9: another object that knows nothing
    assert store.content("5f0c") == first
    assert len(store.runs()) == 5


def test_a_growing_search_is_followed(store) -> None:
    ledger = Ledger(a_trial(0, TrialState.OPEN, 1))
    with flushed(store.mirror(ledger)) as mirror:
        ledger.trials = (a_trial(0, TrialState.OPEN, 2), a_trial(1, TrialState.OPEN, 0))
        assert mirror.flush(PATIENCE)
        assert [step for step, _ in store.curve(store.children()[0], "train_loss")] == [160, 320]
        assert store.children()[1].info.status == "RUNNING"
        ledger.trials = (a_trial(0, TrialState.PRUNED, 2), a_trial(1))
        assert mirror.flush(PATIENCE)
    grown = store.content("5f0c")
    flush(store.mirror(ledger, a_search("at once")))
    assert store.content("at once") == grown


def test_a_trial_that_goes_on_after_its_end_is_running_again(store) -> None:
    flush(store.mirror(Ledger(a_trial(0, TrialState.FAILED, 1, reason="node lost"))))
    flush(store.mirror(Ledger(a_trial(0, TrialState.OPEN, 2))))
    run = store.children()[0]
    assert (run.info.status, run.data.tags["autoft.state"], run.data.tags["autoft.reason"]) == ("RUNNING", "open", "")
    assert len(store.curve(run, "train_loss")) == 2


def test_a_report_that_the_ledger_lost_and_made_again_is_not_doubled(store) -> None:
    flush(store.mirror(Ledger(a_trial(0, TrialState.OPEN, 3))))
    flush(store.mirror(Ledger(a_trial(0, TrialState.OPEN, 2))))
    again = a_trial(0, TrialState.OPEN, 4)
    later = tuple(replace(r, time=r.time + 1000) if r.samples > 320 else r for r in again.reports)
    flush(store.mirror(Ledger(replace(again, reports=later))))
    assert [step for step, _ in store.curve(store.children()[0], "train_loss")] == [160, 320, 480, 640]


class CutError(Exception):
    pass


class CutAt:
    """A client whose connection breaks at one call that writes: before it arrives, or after, its answer lost."""

    WRITES = frozenset(
        {
            *("create_experiment", "create_run", "log_batch", "set_terminated", "update_run", "log_inputs"),
            *("log_artifact", "log_artifacts", "set_model_version_tag", "update_model_version"),
            *("create_logged_model", "log_model_artifacts", "log_outputs", "finalize_logged_model"),
            *("create_registered_model", "create_model_version", "set_logged_model_tags"),
            *("set_registered_model_alias", "delete_run", "delete_model_version", "delete_logged_model"),
        }
    )

    def __init__(self, client, call: int, arrives: bool) -> None:
        self._client, self._left, self._arrives = client, call, arrives

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if name not in self.WRITES:
            return method

        def write(*args, **kwargs):
            self._left -= 1
            if self._left > 0:
                return method(*args, **kwargs)
            if self._left == 0 and self._arrives:
                method(*args, **kwargs)
            raise CutError(f"connection lost in {name}")

        return write


@pytest.mark.faults
@pytest.mark.parametrize("arrives", [False, True])
def test_cut_at_any_write_a_second_driver_completes_it(store, monkeypatch, arrives) -> None:
    ledger = Ledger(a_trial(0, best=0.7), a_trial(1, TrialState.FAILED, 1, reason="oom"))
    flush(store.mirror(ledger, a_search("whole")))
    whole = store.content("whole")
    cuts = 0
    for call in range(1, 100):
        search = a_search(f"cut {call}")
        with monkeypatch.context() as patched:
            patched.setattr(mirror_module, "connect", lambda _, call=call: CutAt(store.client, call, arrives))
            first = store.mirror(ledger, search)
            done = first._pass(full=True)  # on this thread: one pass, and dead
        if done:
            break
        assert "connection lost" in first.problem
        cuts += 1
        flush(store.mirror(ledger, search))
        assert store.content(search.id) == whole, f"cut at write {call}"
    assert cuts >= 8  # parent, and run, data and end of both trials, and the description


def test_a_create_call_that_arrives_late_leaves_one_run(store) -> None:
    flush(store.mirror(Ledger(a_trial(0))))
    run, parent = store.children()[0], store.parent()
    for late in (run, parent):
        tags = {
            k: v for k, v in late.data.tags.items() if k in (projection.SEARCH, projection.TRIAL, projection.PARENT)
        }
        store.client.create_run(run.info.experiment_id, tags=tags, run_name="late")
    flush(store.mirror(Ledger(a_trial(0))))
    assert store.children()[0].info.run_id == run.info.run_id
    assert store.parent().info.run_id == parent.info.run_id
    assert len(store.runs(deleted=True)) == 2


def test_a_run_that_a_person_deleted_stays_deleted_and_holds_up_nobody(store) -> None:
    ledger = Ledger(a_trial(0), a_trial(1))
    with flushed(store.mirror(ledger)) as mirror:
        store.client.delete_run(store.children()[0].info.run_id)
        ledger.trials = (a_trial(0, reports=4), a_trial(1, reports=4))
        assert mirror.flush(PATIENCE)
    assert list(store.children()) == [1]
    assert len(store.curve(store.children()[1], "train_loss")) == 4


def test_a_trial_that_mlflow_refuses_holds_up_no_other(store) -> None:
    ledger = Ledger(a_trial(0), a_trial(1))
    flush(store.mirror(ledger))
    # Params can't change in MLflow: the ledger of another search under the same id.
    store.client.delete_tag(store.children()[0].info.run_id, projection.SAMPLES)
    real = store.client.log_batch
    refused = store.children()[0].info.run_id

    class Refusing:
        def __getattr__(self, name):
            return getattr(store.client, name)

        def log_batch(self, run_id, **kwargs):
            from mlflow.entities import Param

            if run_id == refused:
                return real(run_id, params=[Param("seed", "1")])
            return real(run_id, **kwargs)

    ledger.trials = (a_trial(0), a_trial(1, reports=4))
    mirror = store.mirror(ledger)
    mirror._client = Refusing()
    assert not mirror._pass(full=True)
    assert "seed" in mirror.problem
    assert len(store.curve(store.children()[1], "train_loss")) == 4


def test_a_deleted_experiment_is_said_to_be_deleted(store) -> None:
    flush(store.mirror(Ledger()))
    store.client.delete_experiment(store.client.get_experiment_by_name("autoft").experiment_id)
    mirror = store.mirror(Ledger())
    assert not mirror._pass(full=True)
    assert "'autoft' is in the bin" in mirror.problem and "--experiment" in mirror.problem


# ---- MLflow away


@pytest.mark.faults
def test_a_server_that_refuses_stops_nobody_and_is_named_without_its_password() -> None:
    mirror = Mirror(a_search(), Target(f"http://me:hunter2@127.0.0.1:{tracking.free_port()}", "autoft"), Ledger())
    mirror.start()
    while mirror.problem is None:
        mirror.flush(1.0)
    assert not mirror.stop(timeout=0)
    seen = False
    for _ in range(60):
        seen = seen or "refuses connections" in mirror.problem
        if seen:
            break
        mirror.flush(1.0)
    mirror.stop(timeout=0)
    assert seen
    assert "hunter2" not in mirror.problem and "me:" not in mirror.problem
    with pytest.raises(TrackingError, match="refuses connections") as caught:
        mirror.finish(a_report(a_search()), None, None, "text-classification")
    assert "hunter2" not in str(caught.value)


@pytest.mark.faults
def test_a_server_that_hangs_blocks_neither_start_nor_the_caller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the connection and never says a word
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        mirror = Mirror(a_search(), Target(uri, "autoft"), Ledger(a_trial(0)))
        mirror.start()
        server.accept()[0].recv(1)  # the mirror's thread is now inside a request …
        assert not mirror.flush(0.5)  # … and the caller comes back all the same
        assert uri in mirror.problem and "not answer" in mirror.problem
        assert not mirror.stop(timeout=0.1)


@pytest.mark.faults
def test_the_end_comes_back_in_time_from_a_server_that_hangs_and_leaves_no_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the connection and never says a word
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        mirror = Mirror(a_search(), Target(uri, "autoft"), Ledger(a_trial(0)))
        for _ in range(2):  # it may be tried again while the thread still hangs
            with pytest.raises(TrackingError, match="not answer"):
                mirror.finish(a_report(a_search()), None, None, "text-classification", timeout=0.3)
        thread = mirror._thread
        assert thread.is_alive()  # inside its request
    thread.join(PATIENCE)  # which ends with the server
    assert not thread.is_alive()


@pytest.mark.faults
def test_who_waits_for_a_server_that_hangs_may_stop_waiting() -> None:
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise Interrupted("stopped by the user")

    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        mirror = Mirror(a_search(), Target(uri, "autoft"), Ledger(a_trial(0)))
        with pytest.raises(Interrupted):
            mirror.finish(a_report(a_search()), None, None, "text-classification", timeout=PATIENCE, check=check)
        assert not mirror.stop("KILLED", timeout=0.1)


def test_publishing_that_is_stopped_is_killed_and_completed_later(store, tmp_path) -> None:
    model, ledger, steps = tiny_classifier(tmp_path / "model"), Ledger(a_trial(0)), 0
    while True:
        left = steps = steps + 1

        def check() -> None:
            nonlocal left
            left -= 1
            if left == 0 and threading.current_thread() is threading.main_thread():
                raise Interrupted("stopped by the user")

        mirror = store.mirror(ledger)
        mirror.start()
        try:
            published = mirror.finish(a_report(a_search()), model, "reviews", "text-classification", check=check)
            break
        except Interrupted:
            assert mirror.stop("KILLED", timeout=PATIENCE)
            assert store.parent().info.status == "KILLED"
    assert steps > 3, "before the model, its version and the files, at least"
    assert published.model_version == "1" and store.parent().info.status == "FINISHED"
    assert len(logged_models(store)) == 1


def test_the_end_stops_the_thread_whether_or_not_it_went_well(store, tmp_path) -> None:
    ledger = Ledger(a_trial(0))
    mirror = store.mirror(ledger)
    mirror.start()
    thread = mirror._thread
    with pytest.raises(TrackingError, match="holds no model"):
        mirror.finish(a_report(a_search()), tmp_path, "reviews", "text-classification")
    thread.join(PATIENCE)
    assert not thread.is_alive()
    mirror.finish(a_report(a_search()), None, None, "text-classification")
    assert store.parent().info.status == "FINISHED"


def test_the_end_of_a_search_with_a_trial_that_mlflow_refuses_is_shown(store) -> None:
    from mlflow.exceptions import MlflowException

    refused = a_trial(0)
    mirror = store.mirror(Ledger(refused, a_trial(1)))
    real = store.client.log_batch

    class Refusing:
        def __getattr__(self, name):
            return getattr(store.client, name)

        def log_batch(self, run_id, **kwargs):
            if any(tag.key == projection.SAMPLES for tag in kwargs.get("tags", ())) and run_id == first():
                raise MlflowException("too long", error_code=1000)
            return real(run_id, **kwargs)

    def first() -> str:
        return store.children()[0].info.run_id

    mirror._client = Refusing()
    mirror.finish(a_report(a_search()), None, None, "text-classification", timeout=PATIENCE)
    assert "too long" in mirror.problem
    assert "The winner is trial #0" in store.parent().data.tags["mlflow.note.content"]


def kill_tree(process: subprocess.Popen) -> None:
    """Kill -9 of a server and of the workers that it started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (*children, process.pid):
        for grandchild in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(grandchild), signal.SIGKILL)
        os.kill(int(pid), signal.SIGKILL)
    process.wait()


@pytest.fixture
def serving(store):
    """Starts MLflow's server on the store, at the same port each time."""
    port, processes = tracking.free_port(), []

    def start() -> tuple[str, subprocess.Popen]:
        process = tracking.serve(store.target.uri, port=port)
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        assert tracking.wait_until_up(url, process)
        return url, process

    yield start
    for process in processes:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


@pytest.mark.faults
@pytest.mark.slow
def test_an_outage_of_a_real_server_leaves_no_hole_and_no_duplicate(store, serving, tmp_path) -> None:
    url, server = serving()
    ledger = Ledger(a_trial(0, TrialState.OPEN, 1))
    mirror = Mirror(a_search(), Target(url, "autoft"), ledger, blocks=BLOCKS, interval=0.2)
    mirror.start()
    assert mirror.flush(PATIENCE), mirror.problem
    kill_tree(server)
    ledger.trials = (a_trial(0, TrialState.OPEN, 3), a_trial(1, TrialState.OPEN, 1))
    assert not mirror.flush(1.0)
    assert mirror.problem
    ledger.trials = (a_trial(0), a_trial(1, TrialState.PRUNED, 2))
    _, server = serving()
    assert mirror.flush(PATIENCE), mirror.problem
    assert mirror.problem is None
    report = tmp_path / "report.md"
    report.write_text("# Report")
    model = tiny_classifier(tmp_path / "model")
    published = mirror.finish(a_report(a_search()), model, "reviews", "text-classification", lambda _: [report])
    assert (published.tracking_uri, published.model_version) == (url, "1")
    server.terminate()
    server.wait(60)
    # Now with the database alone, as another process would read it.
    shown = store.content("5f0c")
    assert len(store.runs()) == 3
    flush(store.mirror(ledger, a_search("calm")))
    calm = store.content("calm")
    shown[0]["tags"].pop("winner")
    assert shown == calm


def test_a_search_whose_mlflow_was_down_is_shown_later_in_full(store, tmp_path) -> None:
    ledger = Ledger(a_trial(0), a_trial(1, TrialState.PRUNED, 1))
    down = Mirror(a_search(), Target(f"http://127.0.0.1:{tracking.free_port()}", "autoft"), ledger)
    down.start()
    assert not down.stop(timeout=0.1)
    sync = store.mirror(ledger)  # another process, later
    assert sync.flush(PATIENCE)
    sync.finish(a_report(a_search()), None, None, "text-classification")
    parent = store.parent()
    assert (parent.info.status, parent.info.end_time) == ("FINISHED", ledger.trials[1].finished * 1000)
    assert "The winner is trial #0" in parent.data.tags["mlflow.note.content"]
    assert len(store.runs()) == 3


# ---- the life of a search


def test_interrupted_killed_resumed_running_finished(store) -> None:
    ledger = Ledger(a_trial(0))
    mirror = store.mirror(ledger)
    mirror.start()
    assert mirror.stop("KILLED", timeout=PATIENCE)
    assert store.parent().info.status == "KILLED"
    mirror = store.mirror(ledger)
    mirror.start()
    assert mirror.flush(PATIENCE)
    assert store.parent().info.status == "RUNNING"
    mirror.finish(a_report(a_search()), None, None, "text-classification")
    assert store.parent().info.status == "FINISHED"
    flush(store.mirror(ledger))  # a late look must not take back the final words
    assert "The winner is trial #0" in store.parent().data.tags["mlflow.note.content"]
    assert store.parent().info.status == "FINISHED"


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_open_trials_end_with_their_search_and_run_again_with_it(store, status) -> None:
    ended, opened = a_trial(0), a_trial(1, TrialState.OPEN, 2)
    ledger = Ledger(ended, opened)

    def said() -> list[str]:
        return [store.parent().info.status, *(run.info.status for _, run in sorted(store.children().items()))]

    mirror = store.mirror(ledger)
    mirror.start()
    assert mirror.stop(status, timeout=PATIENCE)
    assert said() == [status, "FINISHED", "KILLED"]
    assert store.children()[1].info.end_time == opened.reports[-1].time * 1000
    assert store.children()[1].data.tags["autoft.state"] == "open"
    flush(store.mirror(ledger))  # a look at a search that does not run
    assert said() == [status, "FINISHED", "KILLED"]
    mirror = store.mirror(ledger)
    mirror.start()
    assert mirror.flush(PATIENCE)
    assert said() == ["RUNNING", "FINISHED", "RUNNING"]
    mirror.finish(a_report(a_search()), None, None, "text-classification")
    assert said() == ["FINISHED", "FINISHED", "KILLED"], "nothing runs where the search is over"


def test_a_search_without_a_winner(store) -> None:
    mirror = store.mirror(Ledger(a_trial(0, TrialState.FAILED, 0, reason="oom")))
    published = mirror.finish({"winner": None}, None, None, "text-classification", status="FAILED")
    assert (published.model_name, published.model_version) == (None, None)
    assert store.parent().info.status == "FAILED"
    assert "No winner" in store.parent().data.tags["mlflow.note.content"]


# ---- the winner's model


@pytest.fixture
def no_network(monkeypatch):
    """Connections that anything tried to open to somewhere else."""
    tried = []
    real = socket.socket.connect

    def connect_or_note(self, address):
        if self.family != socket.AF_UNIX:
            tried.append(address)
            raise OSError("no network in this test")
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_or_note)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: tried.append(a) or (_ for _ in ()).throw(OSError()))
    return tried


def logged_models(store: Store):
    return store.client.search_logged_models([store.client.get_experiment_by_name("autoft").experiment_id])


def test_the_winner_is_logged_registered_and_predicts(store, tmp_path, no_network, monkeypatch, capfd) -> None:
    import mlflow

    model = tiny_classifier(tmp_path / "model")
    files = [tmp_path / "report.md", tmp_path / "report.json", tmp_path / "spec.yaml"]
    for file in files:
        file.write_text("{}")
    search = a_search()
    capfd.readouterr()
    mirror = store.mirror(Ledger(*some_trials()))
    told = []
    published = mirror.finish(
        a_report(search), model, "reviews", "text-classification", lambda p: told.append(p) or files
    )
    assert told == [published], "the files may say where everything is"
    assert capfd.readouterr() == ("", ""), "the screen belongs to the search"
    parent = store.parent()
    assert published == tracking.Published(
        store.target.uri,
        "autoft",
        parent.info.experiment_id,
        parent.info.run_id,
        model_name="reviews",
        model_version="1",
        champion=True,
        champion_reason="Champion: there was no other under this name.",
    )
    assert no_network == []

    champion = store.client.get_model_version_by_alias("reviews", "champion")
    assert (str(champion.version), champion.run_id) == ("1", parent.info.run_id)
    assert "95 % interval 0.7012 to 0.7601" in champion.description
    assert {a.path for a in store.client.list_artifacts(parent.info.run_id)} >= {f.name for f in files}
    assert parent.data.metrics["test_macro_f1"] == 0.7312
    assert parent.data.metrics["test_macro_f1_low"] == 0.7012
    assert parent.data.metrics["test_accuracy"] == 0.75
    assert parent.data.metrics["baseline_tfidf_test_macro_f1"] == 0.695
    assert "test_mcc" not in parent.data.metrics  # NaN
    assert [n for n, run in store.children().items() if run.data.tags.get("winner") == "true"] == [0]
    (logged,) = logged_models(store)
    assert (logged.status, logged.source_run_id) == ("READY", parent.info.run_id)
    assert logged.params["learning_rate"] == "0.00032"

    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", store.target.uri)
    pipeline = mlflow.transformers.load_model("models:/reviews@champion")
    assert pipeline("a good film")[0]["label"] in ("negative", "positive")
    pyfunc = mlflow.pyfunc.load_model("models:/reviews@champion")
    frame = pyfunc.predict(["a good film", "the films was bad"])
    assert list(frame.columns) == ["label", "score"] and len(frame) == 2
    assert pyfunc.metadata.signature.inputs.input_types()[0].name == "string"
    assert pyfunc.input_example is not None
    assert len(pyfunc.predict(pyfunc.input_example)) == 1
    artifacts = tmp_path / "runs" / "mlartifacts" / parent.info.run_id / "artifacts"
    assert {file.name for file in artifacts.iterdir()} == {file.name for file in files}
    weights = {p.suffix for p in (tmp_path / "runs" / "mlartifacts").rglob("model*") if p.is_file()}
    assert ".safetensors" in weights and not weights & {".bin", ".pkl", ".pt"}
    (requirements,) = (tmp_path / "runs" / "mlartifacts").rglob("requirements.txt")
    assert "transformers==" in requirements.read_text() and "+cpu" not in requirements.read_text()


def test_publishing_twice_gives_one_version_and_a_new_winner_a_second(store, tmp_path) -> None:
    ledger, search = Ledger(a_trial(0), a_trial(1)), a_search()
    model = tiny_classifier(tmp_path / "model")
    first = store.mirror(ledger).finish(a_report(search), model, "reviews", "text-classification")
    metrics = {key: len(store.client.get_metric_history(first.run_id, key)) for key in store.parent().data.metrics}
    again = store.mirror(ledger).finish(a_report(search), model, "reviews", "text-classification")
    assert again == first
    assert len(store.client.search_model_versions("name = 'reviews'")) == len(logged_models(store)) == 1
    assert set(metrics.values()) == {1}
    assert all(len(store.client.get_metric_history(first.run_id, key)) == 1 for key in metrics)

    other = tiny_classifier(tmp_path / "other", seed=1)
    second = store.mirror(ledger).finish(
        a_report(search, winner=1, test=0.7402), other, "reviews", "text-classification"
    )
    assert second.model_version == "2"
    assert store.client.get_registered_model("reviews").aliases == {"champion": 2, "previous": 1}
    assert [n for n, run in store.children().items() if "winner" in run.data.tags] == [1]


def a_successor(*replaced: str, identity: str = "new") -> SearchRecord:
    return a_search(identity, **{SearchRecord.REPLACES: " ".join(replaced)})


def test_what_a_search_replaces_is_put_away_and_nothing_beside_it(store, tmp_path) -> None:
    """A search of the same name, another of another name in the same experiment, and runs that a person made."""
    model = tiny_classifier(tmp_path / "model")
    for search in (a_search("old"), a_search("other", "others")):
        store.mirror(Ledger(*some_trials()), search).finish(a_report(search), model, search.name, "text-classification")
    experiment = store.parent("old").info.experiment_id
    own = store.client.create_run(experiment).info.run_id
    others = store.content("other")

    mirror = store.mirror(Ledger(a_trial(0)), a_successor("old"))
    mirror.start()
    assert mirror.flush(PATIENCE), mirror.problem
    assert store.runs("old") == [] and len(store.runs("old", deleted=True)) == 5
    champion = store.client.get_model_version_by_alias("reviews", "champion")
    assert champion.tags["autoft.search_id"] == "old", "until there is another"

    published = mirror.finish(a_report(a_successor("old"), test=0.74), model, "reviews", "text-classification")
    assert store.client.get_registered_model("reviews").aliases == {"champion": 2, "previous": 1}
    assert (published.model_version, published.champion) == ("2", True)
    assert store.client.get_model_version("reviews", "1").tags["autoft.replaced"] == "true"

    third = a_successor("new", "old", identity="newer")
    store.mirror(Ledger(a_trial(0)), third).finish(a_report(third, test=0.75), model, "reviews", "text-classification")
    assert {str(v.version) for v in store.client.search_model_versions("name = 'reviews'")} == {"2", "3"}
    assert store.client.get_registered_model("reviews").aliases == {"champion": 3, "previous": 2}
    assert {logged.tags["autoft.search_id"] for logged in logged_models(store)} == {"newer", "new", "other"}
    assert store.content("other") == others
    assert len(store.client.search_model_versions("name = 'others'")) == 1
    assert store.client.get_run(own).info.lifecycle_stage == "active"


def test_a_replaced_model_that_is_in_use_stays(store, tmp_path) -> None:
    import mlflow

    model = tiny_classifier(tmp_path / "model")

    def search(record: SearchRecord, test: float) -> None:
        report = a_report(record, test=test)
        store.mirror(Ledger(a_trial(0)), record).finish(report, model, "reviews", "text-classification")

    search(a_search("old"), 0.71)
    store.client.copy_model_version("models:/reviews/1", "shop")
    store.client.set_registered_model_alias("reviews", "production", "1")
    search(a_successor("old"), 0.72)
    first, second = (store.client.get_model_version("reviews", number) for number in ("1", "2"))
    assert (sorted(first.aliases), first.tags.get("autoft.replaced")) == (["previous", "production"], "true")
    assert (second.aliases, second.tags.get("autoft.replaced")) == (["champion"], None)

    search(a_successor("new", "old", identity="newer"), 0.73)
    assert store.client.get_registered_model("reviews").aliases == {"production": 1, "previous": 2, "champion": 3}
    store.client.delete_registered_model_alias("reviews", "production")
    search(a_successor("newer", "new", "old", identity="newest"), 0.74)
    assert {str(v.version) for v in store.client.search_model_versions("name = 'reviews'")} == {"3", "4"}
    assert len(logged_models(store)) == 3, "the copy in `shop` needs the files of the first"
    mlflow.set_tracking_uri(store.target.uri)
    try:
        assert mlflow.transformers.load_model("models:/shop/1")("a film")[0]["label"] in ("negative", "positive")
    finally:
        mlflow.set_tracking_uri(None)


def test_a_server_that_lets_nobody_delete_shows_the_new_search_all_the_same(store, tmp_path, monkeypatch) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    class Strict:
        def __getattr__(self, name):
            if name.startswith("delete_"):
                raise MlflowException("no", error_code=PERMISSION_DENIED)
            return getattr(store.client, name)

    model, search = tiny_classifier(tmp_path / "model"), a_search("old")
    store.mirror(Ledger(a_trial(0)), search).finish(a_report(search), model, "reviews", "text-classification")
    monkeypatch.setattr(mirror_module, "connect", lambda _: Strict())
    mirror, successor = store.mirror(Ledger(a_trial(0)), a_successor("old")), a_successor("old")
    assert mirror.finish(a_report(successor), model, "reviews", "text-classification").model_version == "2"
    assert len(store.runs("old")) == 2 and store.parent("new").info.status == "FINISHED"


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("arrives", [False, True])
def test_publishing_cut_at_any_write_is_completed_without_a_duplicate(store, tmp_path, monkeypatch, arrives) -> None:
    model = tiny_classifier(tmp_path / "model")
    ledger = Ledger(a_trial(0))
    for number in range(1, 100):
        search, name = a_search(f"cut {number}"), f"model-{number}"
        flush(store.mirror(ledger, search))
        arguments = (a_report(search), model, name, "text-classification", lambda _: [model / "config.json"])
        with monkeypatch.context() as patched:
            patched.setattr(mirror_module, "connect", lambda _, n=number: CutAt(store.client, n, arrives))
            cut = store.mirror(ledger, search)
            with suppress(TrackingError):
                cut.finish(*arguments)
                break
            assert "connection lost" in cut.problem
        published = store.mirror(ledger, search).finish(*arguments)
        assert published.model_version == "1", f"cut at write {number}"
        (version,) = store.client.search_model_versions(f"name = '{name}'")
        models = [m for m in logged_models(store) if m.tags[projection.SEARCH] == search.id]
        assert [m.artifact_location for m in models if m.status == "READY"] == [version.source]
        assert len(models) == 1
        assert store.parent(search.id).info.status == "FINISHED"
    assert number > 8


def test_a_folder_without_a_model_is_refused(store, tmp_path) -> None:
    with pytest.raises(TrackingError, match=r"holds no model: config\.json"):
        store.mirror(Ledger(a_trial(0))).finish(a_report(a_search()), tmp_path, "reviews", "text-classification")


# ---- words


def test_the_description_of_a_running_search() -> None:
    text = description.describe(a_search(), some_trials(), BLOCKS, {0: "#/somewhere"})
    assert text.startswith("**Best so far: 0.6212 macro_f1** on validation, trial #0: minilm-l6, learning rate 3.2e-4")
    assert "4 trials (1 open, 1 complete, 1 pruned, 1 failed)" in text
    rows = [
        [c.removesuffix("&emsp; ").strip() for c in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert rows[0] == list(tables.LEADERBOARD)
    assert [row[1] for row in rows[2:]] == ["[#0](#/somewhere)", "#3", "#1", "#2"]
    assert rows[3] == ["2", "#3", "bert-tiny", "2e-5", "16", "3", "all", "0.4500", "open", "320", "19 s"]
    assert rows[5][0] == "-" and rows[5][7] == "-"
    assert "**No result yet.**" in description.describe(a_search(), (), {}, {})


def test_smaller_is_better_where_the_metric_says_so() -> None:
    search = a_search(metric="loss")
    trials = [a_trial(0, best=0.9), a_trial(1, best=0.2)]
    assert "trial #1:" in description.describe(search, trials, {}, {})
    report = a_report(search)
    report["baselines"] = {"tfidf": {"test": 0.7}}
    assert "not better than tfidf" in verdict.final_verdict(search, report)


def test_the_verdict_is_honest_about_baselines() -> None:
    search, report = a_search(), a_report(a_search())
    assert "chance" not in verdict.final_verdict(search, report)
    report["baselines"]["tfidf"]["test"] = 0.71
    assert "The interval reaches tfidf, so the lead may be chance." in verdict.final_verdict(search, report)
    report["baselines"]["tfidf"]["test"] = 0.74
    assert "**The winner is not better than tfidf.**" in verdict.final_verdict(search, report)


def test_a_huge_search_still_fits_into_a_tag_and_ends_with_whole_rows() -> None:
    trials = [a_trial(n, model="some/" + "long-" * 60) for n in range(500)]
    links = dict.fromkeys(range(500), "#/experiments/1/runs/" + "f" * 32)
    text = description.describe(a_search(), trials, {}, links, report=a_report(a_search()), usage="the end")
    assert len(text) <= 7800
    assert text.rstrip().endswith("the end")
    assert "more, in the list of child runs" in text
    assert all(line.count("|") == 12 for line in text.splitlines() if line.startswith("|"))


def test_a_trial_that_failed_is_last_with_its_reason_and_never_the_best() -> None:
    reason = "diverged: the loss | is not\nfinite " + "x" * 200
    trials = [a_trial(0, TrialState.FAILED, 2, best=0.99, reason=reason), a_trial(1, best=0.5), a_trial(2, reports=0)]
    text = description.describe(a_search(), trials, BLOCKS, {})
    assert "Best so far: 0.4375 macro_f1** on validation, trial #1" in text
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert [re.search(r"#\d", row)[0] for row in rows] == ["#1", "#2", "#0"]
    assert rows[-1].startswith("| -&emsp;") and "failed: diverged: the loss \\| is not finite" in rows[-1]
    assert len(rows[-1]) < 400
    assert projection.closing(trials[0], a_search()) == []
    assert [point.key for point in projection.closing(trials[1], a_search())] == ["best_val_macro_f1"]


def test_a_metric_may_have_any_name() -> None:
    assert projection.metric_name("recall@5") == "recall_5"


# ---- where MLflow is


def test_credentials_are_never_shown() -> None:
    assert "pass" not in repr(Target("http://me:pass@host", "x"))
    assert Target("http://me:pass@host", "x").public_uri == "http://host"


@pytest.mark.parametrize(
    ("given", "environment", "uri"),
    [
        ("http://given", "http://environment", "http://given"),
        (None, "http://me:pw@environment", "http://me:pw@environment"),
        (None, "", None),
        (None, None, None),
    ],
)
def test_a_uri_given_goes_before_the_environment_and_that_before_the_default(
    given, environment, uri, tmp_path, monkeypatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if environment is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", environment)
    assert tracking.resolve_uri(given, tmp_path) == (uri or tracking.default_uri(tmp_path))


def test_the_embedded_store_is_absolute(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    uri = tracking.default_uri(Path("runs"))
    assert Target(uri, "x").database == tmp_path / "runs" / "mlflow.db"
    assert Target("http://host", "x").artifact_location is None


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, autoft.tracking; "
        "print([m for m in ('mlflow', 'torch', 'pandas', 'transformers', 'ray') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_addresses() -> None:
    assert tracking.run_url("http://h:1/", "3", "ab").startswith("http://h:1/#/experiments/3/runs/ab?")
    assert tracking.model_url("http://h:1", "my model", "2") == "http://h:1/#/models/my%20model/versions/2"
    assert tracking.serve("http://me:pw@h:1/") == "http://h:1"


def test_a_taken_port_is_an_input_error(tmp_path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SpecError, match="--port"),
    ):
        tracking.serve(tracking.default_uri(tmp_path), port=taken.getsockname()[1])


def test_the_front_is_tagged_and_its_costs_are_logged_once(store) -> None:
    ledger = Ledger(
        a_trial(0, best=0.5, model="asset:bert-tiny"), a_trial(1, best=0.6), a_trial(2, TrialState.FAILED, 0)
    )

    def finish(*front: int) -> None:
        points = [{"trial": n, "value": 0.5, "cost": 1.5 + n} for n in (0, 1)]
        report = {"winner": None, "pareto": {"axes": ["macro_f1", "latency"], "points": points, "front": list(front)}}
        store.mirror(ledger).finish(report, None, None, "text-classification", timeout=PATIENCE)

    def tagged() -> list[int]:
        return [n for n, run in sorted(store.children().items()) if run.data.tags.get("autoft.front") == "true"]

    finish(0, 1)
    assert tagged() == [0, 1]
    curves = {n: store.curve(run, "latency_ms") for n, run in store.children().items()}
    assert curves == {0: [(480, 1.5)], 1: [(480, 2.5)], 2: []}
    before = store.content("5f0c")
    finish(0, 1)
    assert store.content("5f0c") == before
    finish(1)  # a better trial was found since
    assert tagged() == [1]
