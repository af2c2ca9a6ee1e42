"""A temperature becomes a part of the saved model, so that everything that opens it is calibrated."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from saved import saved
from tiny import configs, more_configs, save_model
from transformers import pipeline

from autoft import tasks
from autoft.training import export
from autoft.training.calibrating import calibrate
from autoft.training.predict import Predictor

ARCHITECTURES = configs(0.0) | more_configs(0.0)


def contents(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_logits_of_every_architecture_are_divided(name, tmp_path):
    folder, rows = saved("text-classification", tmp_path, save_model(tmp_path / "base", ARCHITECTURES[name]))
    before, weights = Predictor.load(folder).scores(rows), load_file(folder / "model.safetensors")
    assert calibrate(folder, 2.5, rows[:4]) == ""
    after = Predictor.load(folder).scores(rows)
    assert np.abs(after - before / 2.5).max() < 1e-5
    assert np.abs(after - before).max() > 1e-4  # or nothing would have been shown
    changed = {key for key, value in load_file(folder / "model.safetensors").items() if not value.equal(weights[key])}
    assert len({key.rpartition(".")[0] for key in changed}) == 1, changed  # one layer, and nothing else
    assert json.loads((folder / export.CARD).read_text(encoding="utf-8"))["temperature"] == 2.5


@pytest.mark.parametrize("kind", ["pairs", "multi-label", "token-classification"])
def test_every_task_of_classes_is_calibrated(kind, tmp_path):
    folder, rows = saved(kind, tmp_path)
    before = Predictor.load(folder).scores(rows)
    assert calibrate(folder, 0.5, rows[:4]) == ""
    for one, other in zip(Predictor.load(folder).scores(rows), before, strict=True):
        assert np.abs(one - other * 2).max() < 1e-5


def test_a_pipeline_is_calibrated_without_a_line_of_code(tmp_path):
    folder, rows = saved("text-classification", tmp_path)
    logits = Predictor.load(folder).scores(rows)
    calibrate(folder, 3.0, rows)
    wanted = torch.softmax(torch.from_numpy(logits).double() / 3.0, dim=-1).max(dim=-1).values
    found = pipeline("text-classification", model=str(folder))(list(rows["text"]))
    assert [answer["score"] for answer in found] == pytest.approx(wanted.tolist(), abs=1e-5)
    assert [answer["label"] for answer in found] == [answer["label"] for answer in Predictor.load(folder).predict(rows)]


def test_again_changes_nothing_and_another_temperature_starts_from_the_trained_model(tmp_path):
    folder, rows = saved("text-classification", tmp_path)
    before = Predictor.load(folder).scores(rows)
    calibrate(folder, 1.7, rows)
    once = contents(folder)
    assert calibrate(folder, 1.7, rows) == ""
    assert contents(folder) == once
    calibrate(folder, 0.8, rows)
    assert np.abs(Predictor.load(folder).scores(rows) - before / 0.8).max() < 1e-5


@pytest.mark.parametrize("kind", ["text-regression", "question-answering", "language-modelling"])
def test_what_gives_no_classes_is_left_alone(kind, tmp_path):
    folder, rows = saved(kind, tmp_path)
    before = contents(folder)
    assert calibrate(folder, 2.0, rows[:4]) == "the model gives no probabilities of classes"
    assert contents(folder) == before


def test_a_head_that_does_not_end_in_a_linear_layer_is_left_alone(tmp_path, monkeypatch):
    folder, rows = saved("text-classification", tmp_path)
    before = contents(folder)

    class Squashed(torch.nn.Linear):
        def forward(self, input):
            return super().forward(input).tanh()

    build = tasks.get("text-classification").build

    def built(path, meta, config):
        model = build(path, meta, config)
        model.classifier.__class__ = Squashed
        return model

    monkeypatch.setattr(tasks.get("text-classification"), "build", built)
    assert "not the output of a linear layer" in calibrate(folder, 2.0, rows)
    assert contents(folder) == before


def test_a_cut_leaves_the_old_model(tmp_path, monkeypatch):
    folder, rows = saved("text-classification", tmp_path)
    before = contents(folder)

    def cut(new, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "_replace", cut)
    with pytest.raises(KeyboardInterrupt):
        calibrate(folder, 2.0, rows)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(temperature, tmp_path):
    with pytest.raises(ValueError, match="temperature"):
        calibrate(tmp_path, temperature, pd.DataFrame({"text": ["a"]}))


def test_other_files_of_the_folder_stay(tmp_path):
    folder, rows = saved("text-classification", tmp_path)
    (folder / "README.md").write_text("what it is", encoding="utf-8")
    before = contents(folder)
    calibrate(folder, 2.0, rows)
    after = contents(folder)
    assert before.keys() == after.keys()
    assert {name for name in after if after[name] != before[name]} == {"model.safetensors", export.CARD}
    shutil.rmtree(folder)
