"""A registered model answers over MLflow's own ways as `autoft predict` does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest
from mlflow.entities import LoggedModel
from saved import saved
from tracking_samples import BLOCKS, a_report, a_search, some_trials

from autoft import tasks, tracking
from autoft.errors import InputError
from autoft.tracking import saving
from autoft.training.predict import Predictor

KINDS = (
    "text-classification", "multi-label", "pairs", "text-regression", "token-classification", "spans",
    "question-answering", "dialogue", "translation", "masked-language-modelling",
)  # fmt: skip


def in_mlflow(model, folder, pipeline):
    entity = LoggedModel("1", "m-" + "0" * 32, "model", str(folder), 0, 0)
    saving.save(entity, "0" * 32, model, pipeline, folder)
    return folder


def plainly(answers):
    """Answers as they come out of JSON, with numbers that two libraries may round differently."""

    def rounded(value):
        if isinstance(value, dict):
            return {key: rounded(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [rounded(entry) for entry in value]
        return pytest.approx(value, abs=1e-4) if isinstance(value, float) else value

    return rounded(json.loads(json.dumps(answers)))


def asked(model, rows):
    """The columns that the model answers for."""
    return rows[[column.name for column in Predictor.load(model).inputs]][:5]


@pytest.mark.parametrize("kind", KINDS)
def test_the_generic_flavour_answers_as_predict_does(kind, tmp_path):
    import mlflow

    model, rows = saved(kind, tmp_path)
    predictor, rows = Predictor.load(model), asked(model, rows)
    folder = in_mlflow(model, tmp_path / "mlflow", predictor.task.pipeline)
    loaded = mlflow.pyfunc.load_model(str(folder))
    found = loaded.predict(rows)
    found = found.to_dict("records") if isinstance(found, pd.DataFrame) else found
    assert found == plainly(predictor.predict(rows))
    served_without_autoft = "transformers" in loaded.metadata.flavors["python_function"]["loader_module"]
    assert served_without_autoft == (kind == "text-classification")
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8")
    assert ("autoft==" in requirements) != served_without_autoft
    assert str(Path.home()) not in (folder / "MLmodel").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["multi-label", "pairs", "token-classification"])
def test_the_pipeline_is_there_as_well(kind, tmp_path):
    import mlflow

    model, rows = saved(kind, tmp_path)
    pipeline = Predictor.load(model).task.pipeline
    folder = in_mlflow(model, tmp_path / "mlflow", pipeline)
    loaded = mlflow.transformers.load_model(str(folder))
    text = {"text": rows["one"][0], "text_pair": rows["two"][0]} if kind == "pairs" else "great old film"
    assert loaded(text)
    assert len(list(folder.rglob("*.safetensors"))) == 1  # nothing is kept twice


def test_plain_lists_and_other_names_of_columns_will_do(tmp_path):
    import mlflow

    model, rows = saved("text-regression", tmp_path)
    loaded = mlflow.pyfunc.load_model(str(in_mlflow(model, tmp_path / "mlflow", "")))
    texts = list(rows["text"][:3])
    wanted = plainly(Predictor.load(model).predict(texts))
    assert loaded.predict(texts) == wanted
    assert loaded.predict(pd.DataFrame({"anything": texts})) == wanted


def test_a_task_of_ones_own_is_served_where_it_can_be_found(tmp_path, monkeypatch):
    import mlflow

    (tmp_path / "work").mkdir()
    (tmp_path / "work/my_own_task.py").write_text(
        "from autoft.tasks.text_classification import TextClassification\n\n\n"
        "class Mine(TextClassification):\n"
        "    name, pipeline = 'mine', ''\n\n"
        "    def answers(self, scores, examples, meta):\n"
        "        return [{'mine': answer['label']} for answer in super().answers(scores, examples, meta)]\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path / "work")
    task = tasks.get("my_own_task:Mine")
    model, rows = saved("text-classification", tmp_path, task=task)
    folder = in_mlflow(model, tmp_path / "mlflow", task.pipeline)
    found = mlflow.pyfunc.load_model(str(folder)).predict(rows[["text"]][:3])
    assert found == Predictor.load(model).predict(rows[:3])
    assert set(found[0]) == {"mine"}

    monkeypatch.chdir(tmp_path)
    tasks._named.cache_clear()
    tasks._given.clear()
    monkeypatch.delitem(sys.modules, "my_own_task")
    with pytest.raises(InputError, match=r"there is no module my_own_task here; work in the folder that holds"):
        mlflow.pyfunc.load_model(str(folder))


@contextmanager
def server(uri, where, log, **environment):
    """`mlflow models serve` on a free port of the loopback interface, until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    env = {**os.environ, "HF_HUB_OFFLINE": "1", **environment}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=where, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(900):
            if process.poll() is not None:
                raise AssertionError(log.read_text())
            try:
                with urllib.request.urlopen(f"{address}/ping", timeout=5):
                    break
            except OSError:
                time.sleep(0.2)
        else:
            raise AssertionError(f"it never answered: {log.read_text()}")
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def post(address, body):
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["predictions"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from None


@pytest.mark.slow
def test_mlflow_serves_the_champion(tmp_path):
    model, rows = saved("text-classification", tmp_path)
    texts = list(rows["text"])
    wanted = Predictor.load(model).predict(texts)
    (tmp_path / "runs").mkdir()
    target = tracking.Target(tracking.default_uri(tmp_path / "runs"), "autoft")
    mirror = tracking.Mirror(a_search(), target, some_trials, blocks=BLOCKS)
    mirror.finish(a_report(a_search()), model, "reviews", "text-classification", lambda _: [])
    with server("models:/reviews@champion", tmp_path, tmp_path / "log", MLFLOW_TRACKING_URI=target.uri) as address:
        found = post(address, {"inputs": texts})
        again = post(address, {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}})
    assert found == again == plainly(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pairs", "token-classification", "question-answering"])
def test_mlflow_serves_what_it_has_no_flavour_for(kind, tmp_path):
    model, rows = saved(kind, tmp_path)
    predictor, rows = Predictor.load(model), asked(model, rows)
    folder = in_mlflow(model, tmp_path / "mlflow", predictor.task.pipeline)
    with server(str(folder), tmp_path, tmp_path / "log") as address:
        found = post(address, {"dataframe_records": json.loads(rows.to_json(orient="records"))})
    assert found == plainly(predictor.predict(rows))


def test_the_columns_that_a_schema_knows_are_told(tmp_path):
    import mlflow

    model, _ = saved("question-answering", tmp_path)
    folder = in_mlflow(model, tmp_path / "mlflow", "")
    names = mlflow.pyfunc.load_model(str(folder)).metadata.signature.inputs.input_names()
    assert names == ["context", "question"]
