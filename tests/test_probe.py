"""What a frozen model knows, and which models are worth a trial."""

import shutil

import numpy as np
import pandas as pd
import pytest
from tiny import configs, more_configs, save_model, sentences

from autoft import tasks
from autoft.records import Probe
from autoft.space import PLAIN_RECIPE, resolve
from autoft.spec import DataSpec, parse
from autoft.study.starting import starting_points
from autoft.tasks.base import learn
from autoft.training import probe
from autoft.training.models import inspect
from autoft.training.probe import Probed, Question, probe_models

META = {"labels": ["negative", "positive"], "text": "text", "text_pair": None, "label": "label"}


def question(metric="accuracy"):
    return Question(tasks.get("text-classification"), META, metric, max_length=64, seed=0, threads=1)


@pytest.fixture(scope="module")
def rows():
    table = sentences(400)
    return table[:300].reset_index(drop=True), table[300:].reset_index(drop=True)


def test_features_of_a_frozen_model_tell_the_labels_apart(tiny_bert, rows):
    (found,) = probe_models(question(), [inspect(str(tiny_bert))], *rows)
    assert found.probe.value > 0.75
    assert found.probe.rows == 400
    assert found.probe.dropped == ""
    assert found.scores(rows[1]).shape == (100, 2)
    assert measured(question(), found, rows[1])["accuracy"] > 0.75


def measured(asked, found, table):
    """What the task makes of a probe's scores for a table."""
    examples = probe.first_of_each_row(found._reader.encoded(table).examples)
    return asked.task.measure(found.scores(table), examples, asked.meta)


def asked_for(name, metric, train, **data):
    task = tasks.get(name)
    return Question(
        task, learn(task, train, DataSpec(source="x.csv", **data)), metric, max_length=32, seed=0, threads=1
    )


def test_numbers_are_probed_by_ridge_regression(tiny_bert, rows):
    train, validation = (table.assign(label=table["label"].map({"negative": 20.0, "positive": 80.0})) for table in rows)
    asked = asked_for("text-regression", "pearson", train)
    (found,) = probe_models(asked, [inspect(str(tiny_bert))], train, validation)
    assert found.probe.value > 0.5
    assert found.scores(validation).shape == (100,)
    assert measured(asked, found, validation)["rmse"] < 30


def test_several_labels_are_probed_one_by_one(tiny_bert, rows):
    def several(table):
        long = table["text"].str.len() > table["text"].str.len().median()
        cells = [[label, *(["long"] if is_long else [])] for label, is_long in zip(table["label"], long, strict=True)]
        return table.assign(label=cells)

    train, validation = map(several, rows)
    asked = asked_for("text-classification", "macro_f1", train)
    (found,) = probe_models(asked, [inspect(str(tiny_bert))], train, validation)
    assert found.scores(validation).shape == (100, 3)
    assert found.probe.value > 0.75


def test_tags_are_probed_word_by_word_across_windows(tiny_bert, rows):
    def tagged(table):
        texts = [[*text.split(), *text.split()] * 4 for text in table["text"]]
        return pd.DataFrame(
            {"text": texts, "label": [["LONG" if len(w) > 4 else "O" for w in words] for words in texts]}
        )

    train, validation = map(tagged, rows)
    asked = asked_for("token-classification", "token_accuracy", train)
    (found,) = probe_models(asked, [inspect(str(tiny_bert))], train, validation)
    scores = found.scores(validation)
    assert len(found._reader.encoded(validation)) > len(validation)  # they are cut into windows
    assert [len(row) for row in scores] == [len(words) for words in validation["text"]]
    assert found.probe.value > 0.75


@pytest.mark.parametrize(
    ("name", "label"),
    [("masked-language-modelling", None), ("question-answering", "text"), ("language-modelling", None)],
)
def test_labels_that_no_linear_model_can_learn_are_not_probed(tiny_bert, rows, name, label):
    cells = {"text": rows[0]["text"], "question": "what?"}
    table = pd.DataFrame(cells | ({} if label is None else {"label": [[text.split()[0]] for text in cells[label]]}))
    asked = asked_for(name, "loss", table)
    assert probe_models(asked, [inspect(str(tiny_bert))], table, table) == []


def test_the_same_seed_gives_the_same_probe_and_the_best_comes_first(tiny_bert, tiny_models, rows):
    infos = [inspect(str(tiny_models["albert"])), inspect(str(tiny_bert))]
    first, second = (probe_models(question(), infos, *rows) for _ in range(2))
    assert [one.probe.value for one in first] == [one.probe.value for one in second]
    values = [one.probe.value for one in first]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", [*configs(), *more_configs()])
def test_any_architecture_can_be_probed(name, tmp_path, rows):
    config = (configs() | more_configs())[name]
    (found,) = probe_models(question("macro_f1"), [inspect(str(save_model(tmp_path / name, config)))], *rows)
    assert 0 < found.probe.value <= 1
    assert np.isfinite(found.held_out).all()


def test_a_class_that_the_sample_lacks_has_a_score_all_the_same(tiny_bert, rows):
    train, validation = rows
    only = train[train["label"] == "positive"]
    assert probe_models(question(), [inspect(str(tiny_bert))], only, validation) == []
    meta = {**META, "labels": ["negative", "never seen", "positive"]}
    asked = Question(tasks.get("text-classification"), meta, "loss", 64, 0, 1)
    (found,) = probe_models(asked, [inspect(str(tiny_bert))], *rows)
    assert found.held_out.shape[1] == 3
    assert found.held_out[:, 1].max() < -20


def test_it_stops_between_two_batches(tiny_bert, rows):
    assert probe_models(question(), [inspect(str(tiny_bert))], *rows, lambda: True) == []


ALL_NEGATIVE = [{"labels": 0}] * 200


def scored(model, wrong, rows=200):
    """A model whose linear probe errs on the first `wrong` rows of class 0."""
    scores = np.tile([1.0, 0.0], (rows, 1))
    scores[:wrong] = [0.0, 1.0]
    return Probed(Probe(model, 1 - wrong / rows, rows, 1.0), scores, None, None)


@pytest.mark.parametrize(
    ("best", "other", "dropped"), [(20, 90, True), (20, 25, False), (20, 31, False), (0, 0, False), (2, 4, False)]
)
def test_only_a_clearly_dominated_model_is_dropped(best, other, dropped):
    said = probe._dominated(question(), scored("a/best", best), scored("b/other", other), ALL_NEGATIVE)
    assert bool(said) is dropped
    if dropped:
        assert "4.5 times" in said and "best" in said


def test_what_is_smaller_the_better_is_an_error_by_itself():
    said = probe._dominated(question("loss"), scored("a/best", 10), scored("b/other", 150), ALL_NEGATIVE)
    assert said


def make_space(**space):
    spec = parse({"task": "text-classification", "data": "x.csv", "space": {"model": ["tiny", "mini"], **space}})
    return resolve(spec.space, spec.models, spec.per_model, {"tiny": 2, "mini": 6}, seed=0)


SPACE = {
    "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "batch_size": [8, 16, 32],
    "epochs": {"low": 1, "high": 4},
    "freeze_depth": {"low": 0, "high": "all"},
}


def test_the_plain_recipe_of_the_best_model_goes_first_then_the_anchor_then_the_upper_blocks_of_each():
    space = make_space(**SPACE)
    points = starting_points(space, ["mini", "tiny"], {"tiny": 2, "mini": 6})
    assert points[0] == {**PLAIN_RECIPE, "model": "mini"}
    assert [(point["model"], point["freeze_depth"]) for point in points[1:]] == [("mini", 2), ("mini", 4), ("tiny", 1)]
    assert all(space.params(point) is not None for point in points)


def test_starting_points_stay_within_the_space():
    space = make_space(learning_rate={"low": 1e-5, "high": 5e-5}, batch_size=[4, 64], epochs=[1], freeze_depth=[2])
    points = starting_points(space, ["tiny", "mini"], {"tiny": 2, "mini": 6})
    assert PLAIN_RECIPE not in [dict(point) for point in points]
    for point in points:
        assert point["learning_rate"] == 5e-5
        assert (point["batch_size"], point["epochs"], point["freeze_depth"]) == (4, 1, 2)


def test_a_space_of_some_of_the_models_keeps_their_dimensions():
    space = make_space(**SPACE)
    only = space.only(["mini"])
    assert only.models == ("mini",)
    assert only.dimensions("mini") == space.dimensions("mini")


def test_a_model_that_cannot_be_opened_says_so(tiny_bert, tmp_path, rows):
    broken = shutil.copytree(tiny_bert, tmp_path / "broken")
    info = inspect(str(broken))
    (broken / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(Exception, match=r"(?i)header|safetensors|deserial"):
        probe_models(question(), [info], *rows)
