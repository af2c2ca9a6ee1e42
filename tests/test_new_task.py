"""A task of one's own: the guide's code as it is printed, the faults that the suite finds, and how a task is found."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from samples import sample

from autoft import tasks
from autoft.errors import InputError, SpecError
from autoft.records import Direction
from autoft.tasks.carrying import dumps
from autoft.tasks.text_regression import TextRegression
from autoft.testing import check_task, faults
from autoft.testing.models import word_pieces
from autoft.training.predict import Predictor

GUIDE = (Path(__file__).parent.parent / "docs" / "new-task.md").read_text(encoding="utf-8")
TASK, TRY, SEARCH = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
COMMANDS = re.search(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL)[1].splitlines()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the guide's file in it, which one works in."""
    (tmp_path / "my_task.py").write_text(TASK, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("my_task", None)
    tasks._named.cache_clear()
    tasks._given.clear()


def python(code, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    (folder / "script.py").write_text(code, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "script.py", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_guides_task_passes_the_suite(folder):
    done = python(TRY, folder)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(folder / "comments.csv")) == 120


@pytest.mark.slow
def test_the_guides_commands_and_its_search_in_python_run(folder):
    assert python(TRY, folder).returncode == 0
    for command in COMMANDS:
        words = re.findall(r'"[^"]*"|\S+', command)
        arguments = [word.strip('"') for word in words[1:]]
        done = python("from autoft.cli import main\nmain()", folder, *arguments)
        assert done.returncode == 0, done.stderr
    low, high = (float(line.split("\t")[0]) for line in done.stdout.splitlines())
    assert 0 <= low < high <= 1
    done = python(SEARCH, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[{'toxicity': 0.")
    # The class may as well stand in the script itself.
    done = python(
        TASK + SEARCH.replace("from my_task import Toxicity\n", "").replace("toxicity-2", "in-a-script"), folder
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "runs" / "in-a-script" / "report.json").is_file()


def test_a_task_is_found_by_its_module_and_class(folder):
    task = tasks.get("my_task:Toxicity")
    assert (task.name, task.summary, task.windows) == ("toxicity", "", False)
    assert "learning_rate" in task.space()
    assert task.merge([1, 2], [], {}) == [1, 2]
    assert tasks.get("my_task:Toxicity") is task


@pytest.mark.parametrize(
    ("content", "ref", "line"),
    [
        (None, "text-clasification", "task: there is no task 'text-clasification', did you mean text-classification?"),
        (None, "no_such_module:X", "task: there is no module no_such_module here; work in the folder that holds "),
        (TASK, "my_task:Toxcity", "task: my_task has no 'Toxcity', did you mean Toxicity?"),
        ("class X:\n    name = 'x'\n", "my_task:X", "task: my_task:X lacks metrics, build, encode, loss, scores, "),
        ("import nothing_here\n", "my_task:X", "task: my_task:X needs nothing_here, which is not installed here"),
        ("1 / 0\n", "my_task:X", "task: my_task:X can't be imported: ZeroDivisionError: division by zero"),
        (None, "os:system", "task: os:system lacks name, metrics, build"),
    ],
)
def test_what_is_no_task_is_told_in_a_line(folder, content, ref, line):
    if content:
        (folder / "my_task.py").write_text(content, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        tasks.get(ref)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_task_travels_with_its_code_where_it_cannot_be_imported(folder):
    (folder / "carried").write_bytes(dumps(tasks.get("my_task:Toxicity")))
    (folder / "my_task.py").unlink()
    code = "import pickle, sys; print(pickle.load(open('carried', 'rb')).answers([0.5], [], {}))"
    done = python(code, folder)
    assert done.stdout == "[{'toxicity': 0.5}]\n", done.stderr


def test_an_installed_task_travels_by_name():
    carried = dumps(tasks.get("text-regression"))
    assert len(carried) < 200
    assert isinstance(pickle.loads(carried), TextRegression)


def test_a_task_that_is_handed_over_is_found_by_its_reference(folder):
    task = tasks.get("my_task:Toxicity")._task
    tasks._named.cache_clear()
    assert tasks.reference(task) == "my_task:Toxicity"
    assert tasks.get("my_task:Toxicity")._task is task
    assert tasks.reference(TextRegression()) == "text-regression"
    assert tasks.reference("anything") == "anything"
    with pytest.raises(SpecError, match="int lacks name"):
        tasks.reference(3)


# What the suite finds: a good task with one thing wrong with it, ten times and more


class NoMetrics(TextRegression):
    metrics = MappingProxyType({"pearson": "maximize"})


class ForgetsLength(TextRegression):
    def encode(self, rows, tokenizer, meta, max_length):
        return super().encode(rows, tokenizer, meta, 10 * max_length)


class NeedsTheLabel(TextRegression):
    def encode(self, rows, tokenizer, meta, max_length):
        rows[meta["label"]]
        return super().encode(rows, tokenizer, meta, max_length)


class LosesARow(TextRegression):
    def encode(self, rows, tokenizer, meta, max_length):
        return super().encode(rows, tokenizer, meta, max_length)[1:]


class LearnsArrays(TextRegression):
    def learn(self, train, data):
        return {**super().learn(train, data), "some": np.arange(3)}


class Unseeded(TextRegression):
    def build(self, path, meta, config):
        import torch

        model = super().build(path, meta, config)
        torch.seed()
        torch.nn.init.normal_(model.classifier.weight)
        return model


class DetachedLoss(TextRegression):
    def loss(self, model, batch, meta, config):
        return super().loss(model, batch, meta, config).detach()


class LossByRow(TextRegression):
    def loss(self, model, batch, meta, config):
        return super().loss(model, batch, meta, config) * batch["labels"]


class LooksAtThePadding(TextRegression):
    def scores(self, model, batch, meta):
        return super().scores(model, batch, meta) + batch["input_ids"].shape[1]


class OneScoreForAll(TextRegression):
    def scores(self, model, batch, meta):
        return super().scores(model, batch, meta)[:1]


class NotFinite(TextRegression):
    def measure(self, scores, examples, meta):
        found = super().measure(scores, examples, meta)
        return found | {"r2": float("nan") if len(scores) == 1 else found["r2"]}


class ForgetsAMetric(TextRegression):
    metrics = MappingProxyType({**TextRegression.metrics, "max_error": Direction.MINIMIZE})


class NoBaseline(TextRegression):
    def baselines(self, train, other, known, examples, meta):
        return {}


class WrongKindOfAnswer(TextRegression):
    def answers(self, scores, examples, meta):
        return [float(score) for score in scores]


class BadSpace(TextRegression):
    def space(self):
        return {"learning_rat": 1e-3}


FAULTS = {
    NoMetrics: "metrics: is no mapping from names to Direction.MAXIMIZE or Direction.MINIMIZE",
    ForgetsLength: "encode: gives an example with more tokens than `max_length`",
    NeedsTheLabel: "encode, without the label column: raises KeyError: 'stars'",
    LosesARow: "encode: doesn't give every row its examples in the rows' order; `row` says whose one is",
    LearnsArrays: "learn: raises TypeError: Object of type ndarray is not JSON serializable",
    Unseeded: "build: gives other weights for the same seed a second time; use autoft.tasks.loading",
    DetachedLoss: "loss: doesn't depend on the model's weights",
    LossByRow: "loss: is no finite scalar",
    LooksAtThePadding: "scores: depend on what else is in the batch; mind the padding",
    OneScoreForAll: "scores: raises ValueError: the task gives 1 scores for a batch of 4 examples",
    NotFinite: "measure: gives nan for the metric 'r2'",
    ForgetsAMetric: "measure: gives None for the metric 'max_error'",
    NoBaseline: "baselines: gives none; there is always something trivial to compare with",
    WrongKindOfAnswer: "answers: doesn't give a dictionary for each row",
    BadSpace: "space.learning_rat: unknown key, did you mean learning_rate?",
}


def regression_rows():
    rows, data = sample("text-regression")
    rows["text"] += rows["text"].map(lambda text: f" {text}" * (len(text) % 5))
    return rows, data


def test_the_good_task_has_no_fault():
    check_task(TextRegression(), *regression_rows())


@pytest.mark.parametrize("task", FAULTS, ids=lambda kind: kind.__name__)
def test_a_planted_fault_is_found(task):
    found = faults(task(), *regression_rows())
    assert found == [FAULTS[task]]


def test_a_loss_that_rises_is_found_and_check_task_raises():
    class Ascends(TextRegression):
        def loss(self, model, batch, meta, config):
            loss = super().loss(model, batch, meta, config)
            return 2 * loss.detach() - loss

    with pytest.raises(AssertionError, match="loss: doesn't fall when it is trained on: "):
        check_task(Ascends(), *regression_rows())


def test_what_is_missing_is_named():
    class Nothing:
        name = "nothing"

    assert faults(Nothing(), *regression_rows())[0] == "metrics: is missing; see docs/new-task.md"


def test_rows_that_the_task_itself_refuses_are_told():
    rows, _ = regression_rows()
    found = faults(TextRegression(), rows.assign(stars=1.0), {"label": "stars"})
    assert found == [
        "columns, fault or problems: refuse the rows: data.label: column 'stars' holds one number only; "
        "regression needs at least two"
    ]


def test_code_that_lies_in_a_model_folder_is_never_run(folder):
    card = {"format": 1, "task": "my_task:Toxicity", "meta": {}, "max_length": 8}
    config = {"model": "m", "learning_rate": 1e-3, "batch_size": 8, "epochs": 1, "freeze_depth": 0}
    (folder / "autoft.json").write_text(json.dumps({**card, "config": config}), encoding="utf-8")
    (folder / "my_task.py").write_text("raise SystemExit('it was run')", encoding="utf-8")
    with pytest.raises(InputError, match="work in the folder that holds it, not in the model's"):
        Predictor.load(folder)


def test_the_words_of_the_smallest_model_are_the_same_every_time(tmp_path):
    texts = ["a slow film", "A lovely, lovely ending", "café 24", "a film"] * 3
    first, second = word_pieces(texts, 60), word_pieces(texts, 60)
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()
    assert first.tokenize("Lovely films, café!") == ["lovely", "film", "##s", ",", "cafe", "[UNK]"]
    assert len(word_pieces(texts, 20)) == 20
