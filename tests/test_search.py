"""Real searches: Ray workers, an Optuna study, MLflow, models trained and handed over."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

import autoft
from autoft.records import Direction, TrialState
from autoft.study.driver import KEEP_WEIGHTS

pytestmark = pytest.mark.slow

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "batch_size": [8, 16],
    "epochs": {"low": 2, "high": 6},
    "freeze_depth": {"low": 0, "high": "all"},
}


def options(tmp_path, tiny_bert, tiny_data, **more):
    table = tmp_path / "rows.csv"
    tiny_data.to_csv(table, index=False)
    return {
        "task": "text-classification",
        "data": str(table),
        "models": [str(tiny_bert)],
        "metric": "accuracy",
        "space": SPACE,
        "clean": True,
        "search": {"first_rung": 256},  # the rows are few, and by default none would be paused
        "finals": False,  # they have a test of their own
        **more,
    }


@pytest.fixture(scope="module")
def searched(tmp_path_factory, tiny_bert, tiny_data):
    """A search of twelve trials on two workers, to its end."""
    folder = tmp_path_factory.mktemp("searched")
    given = options(folder, tiny_bert, tiny_data, name="demo", trials=12, workers=2)
    return autoft.search(**given, runs=folder / "runs")


def mlflow_children(result):
    from mlflow import MlflowClient

    client = MlflowClient(result.report["mlflow"]["tracking_uri"])
    experiment = client.get_experiment_by_name("autoft").experiment_id
    parent = result.report["mlflow"]["run_id"]
    return client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'", max_results=1000)


def test_the_report_keeps_its_contract(searched):
    report = json.loads((searched.folder / "report.json").read_text())
    assert {"search", "task", "metric", "direction", "seconds", "trials", "winner", "baselines"} <= set(report)
    trials = report["trials"]
    assert trials["total"] == 12 == trials["complete"] + trials["pruned"] + trials["failed"]
    assert trials["pruned"] >= 1
    winner = report["winner"]
    assert set(winner) >= {"trial", "params", "validation", "test", "test_interval", "seconds"}
    assert winner["test_interval"][0] <= winner["test"] <= winner["test_interval"][1]
    assert winner["test"] > report["baselines"]["majority"]["test"]
    assert set(report["mlflow"]) >= {"tracking_uri", "experiment", "run_id", "model_name", "model_version"}
    assert (searched.folder / "report.md").read_text().strip()
    assert (searched.folder / "spec.yaml").is_file()


def test_the_winner_is_the_best_on_validation(searched):
    best = max(
        (trial for trial in searched.trials if trial.reports),
        key=lambda trial: (trial.best(Direction.MAXIMIZE).value, -trial.number),
    )
    assert searched.report["winner"]["trial"] == best.number
    assert searched.report["winner"]["validation"] == best.best(Direction.MAXIMIZE).value


def test_study_ray_and_mlflow_agree_trial_by_trial(searched):
    study = optuna.load_study(study_name="demo", storage=f"sqlite:///{searched.folder / 'study.db'}")
    from ray.tune import ExperimentAnalysis

    analysis = ExperimentAnalysis(str(searched.folder / "ray" / "session-1"))
    ray_trials = {trial.config["number"]: trial for trial in analysis.trials}
    children = {int(run.data.tags["autoft.trial"]): run for run in mlflow_children(searched)}

    assert [trial.number for trial in study.trials] == sorted(ray_trials) == sorted(children)
    for trial in study.trials:
        ray_trial, run = ray_trials[trial.number], children[trial.number]
        last = max(trial.intermediate_values)
        # Ray: every trial has ended, none in error, and none beyond what the study knows of it.
        assert ray_trial.status == "TERMINATED"
        assert ray_trial.last_result["samples"] >= last
        outcome = "complete" if trial.state is optuna.trial.TrialState.COMPLETE else ""
        assert ray_trial.last_result["outcome"] == outcome
        # MLflow: the same state and the same curve.
        assert run.data.tags["autoft.state"] == trial.state.name.lower()
        assert run.info.end_time
        from mlflow import MlflowClient

        client = MlflowClient(searched.report["mlflow"]["tracking_uri"])
        curve = {m.step: m.value for m in client.get_metric_history(run.info.run_id, "val_accuracy")}
        assert curve == pytest.approx(trial.intermediate_values)


def test_the_files_in_mlflow_are_those_of_the_folder(searched):
    from mlflow import MlflowClient

    client, told = MlflowClient(searched.report["mlflow"]["tracking_uri"]), searched.report["mlflow"]
    assert told["run_id"] and told["model_version"]
    for name in ("report.json", "report.md", "spec.yaml"):
        uploaded = Path(client.download_artifacts(told["run_id"], name))
        assert uploaded.read_bytes() == (searched.folder / name).read_bytes()


def test_the_champion_is_registered(searched):
    from mlflow import MlflowClient

    client = MlflowClient(searched.report["mlflow"]["tracking_uri"])
    version = client.get_model_version_by_alias("demo", "champion")
    assert str(version.version) == searched.report["mlflow"]["model_version"]
    assert version.run_id == searched.report["mlflow"]["run_id"]


def test_a_plain_pipeline_gives_what_predict_gives(searched, tiny_data):
    from transformers import pipeline

    texts = tiny_data["text"].head(20).tolist()
    ours = searched.predict(texts)
    theirs = pipeline("text-classification", model=str(searched.model_dir))(texts)
    assert [answer["label"] for answer in ours] == [answer["label"] for answer in theirs]
    assert [a["score"] for a in ours] == pytest.approx([a["score"] for a in theirs], abs=1e-5)


def test_only_the_winner_and_its_rivals_take_disk(searched):
    assert len(list((searched.folder / "checkpoints").iterdir())) <= KEEP_WEIGHTS


def test_the_same_seed_gives_the_same_search(tmp_path, tiny_bert, tiny_data):
    found = []
    for name in ("one", "two"):
        given = options(tmp_path, tiny_bert, tiny_data, name=name, trials=6, workers=1, seed=3)
        result = autoft.search(**given, runs=tmp_path / "runs")
        curves = [
            (trial.config, trial.state, [(report.samples, report.metrics) for report in trial.reports])
            for trial in result.trials
        ]
        found.append((curves, result.report["winner"]["trial"], result.report["winner"]["test"]))
    assert found[0] == found[1]


def test_a_search_that_is_replaced_is_replaced_in_mlflow_too(tmp_path, tiny_bert, tiny_data):
    from mlflow import MlflowClient

    given = options(tmp_path, tiny_bert, tiny_data, name="demo", trials=1, workers=1, runs=tmp_path / "runs")
    space = {"learning_rate": 1e-3, "batch_size": 16, "epochs": 1, "freeze_depth": 4}
    beside = autoft.search(**{**given, "name": "beside", "space": space})
    first = autoft.search(**{**given, "space": space})
    second = autoft.search(**{**given, "space": space}, replace=True)
    told = second.report["mlflow"]
    client = MlflowClient(told["tracking_uri"])
    parents = {run.info.run_id for run in client.search_runs([told["experiment_id"]], "tags.`autoft.kind` = 'search'")}
    assert parents == {told["run_id"], beside.report["mlflow"]["run_id"]}
    # The same model again is not better, so the champion stays.
    assert {str(v.version) for v in client.search_model_versions("name = 'demo'")} == {"1", "2"}
    assert len(client.search_model_versions("name = 'beside'")) == 1
    assert client.get_run(first.report["mlflow"]["run_id"]).info.lifecycle_stage == "deleted"


def test_a_trial_that_breaks_fails_alone(tmp_path, tiny_bert, tiny_data):
    given = options(tmp_path, tiny_bert, tiny_data, name="breaks", trials=5, workers=1)
    # A rate at which every weight is soon beyond what a float can hold.
    given["space"] = {**SPACE, "learning_rate": [1e-3, 1.0], "max_grad_norm": 0, "weight_decay": 1.0}
    given["search"] = {"start": [{"learning_rate": 1.0}]}
    result = autoft.search(**given, runs=tmp_path / "runs")
    assert result.report["winner"]["params"]["learning_rate"] == 1e-3
    for trial in result.trials:
        assert all(report.finite for report in trial.reports)
        assert trial.state is not TrialState.OPEN


@pytest.mark.faults
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_search_that_is_stopped_goes_on(tmp_path, tiny_bert, tiny_data, how):
    given = options(tmp_path, tiny_bert, tiny_data, name="stopped", trials=10, workers=2)
    spec = autoft.make_spec(**given)
    from autoft.spec import write_yaml

    write_yaml(spec, tmp_path / "stopped.yaml")
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "autoft", "search", str(tmp_path / "stopped.yaml"), "--runs", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as driver:
        wait_for_reports(runs / "stopped" / "study.db", 4, driver)
        os.kill(driver.pid, how)
        output, _ = driver.communicate(timeout=120)
    if how == signal.SIGINT:
        assert driver.returncode == 130, output
        assert "autoft resume stopped" in output
        assert "Traceback" not in output
    before = optuna.load_study(study_name="stopped", storage=f"sqlite:///{runs / 'stopped' / 'study.db'}").trials
    assert any(trial.state is optuna.trial.TrialState.RUNNING for trial in before)

    result = autoft.resume("stopped", runs=runs)
    assert len(result.trials) == 10
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in result.trials)
    for trial in before:  # what was reported before stands as it was
        after = {report.samples: report.value for report in result.trials[trial.number].reports}
        assert trial.intermediate_values.items() <= after.items()
    numbers = [int(run.data.tags["autoft.trial"]) for run in mlflow_children(result)]
    assert sorted(numbers) == list(range(10))


@pytest.mark.faults
@pytest.mark.parametrize("times", [1, 2])
def test_a_search_that_is_stopped_while_mlflow_hangs_says_so_and_ends(searched, tmp_path, times):
    shutil.copytree(searched.folder, tmp_path / "runs" / "demo")
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the connection and never says a word
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "autoft", "resume", "demo", "--runs", str(tmp_path / "runs")]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri},
        ) as driver:  # fmt: skip
            said = []
            for line in driver.stdout:
                said.append(line.rstrip())
                if "handing over" in line or ("stopping" in line and times == 2):
                    os.kill(driver.pid, signal.SIGINT)
        output = "\n".join(said)
        assert driver.returncode == 130, output
        assert "stopping; Ctrl-C again stops at once" in said[-2], output
        assert said[-1].startswith("stopped; nothing is lost. Go on with: autoft resume demo")


def wait_for_reports(path, count, process):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        if path.is_file():
            try:
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                    (found,) = connection.execute("SELECT count(*) FROM trial_intermediate_values").fetchone()
            except sqlite3.OperationalError:
                found = 0
            if found >= count:
                return
        time.sleep(0.2)
    raise AssertionError("the search never reported")


def test_predict_opens_a_model_folder_wherever_it_lies(searched, tmp_path, capsys):
    from autoft.cli import app as cli

    shutil.copytree(searched.model_dir, tmp_path / "copied")
    table = tmp_path / "texts.csv"
    table.write_text("text\na great story\n")
    for arguments, code in (
        ([str(searched.model_dir), "a great story", "--json"], 0),
        ([str(tmp_path / "copied"), "a great story", "--json"], 0),
        ([str(tmp_path), "a great story"], 2),
        ([str(searched.model_dir), "--data", str(table), "--out", str(table)], 2),
    ):
        with pytest.raises(SystemExit) as left:
            cli.main(["predict", *arguments])
        assert (left.value.code or 0) == code
    assert table.read_text() == "text\na great story\n"
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert said[0] == said[1]
    assert json.loads(said[0])["label"] == searched.predict(["a great story"])[0]["label"]
