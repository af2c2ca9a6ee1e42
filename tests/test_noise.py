"""Labels that are probably wrong: planted ones are found, and far more often than chance would."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from samples import sample
from tiny import sentences

from autoft import data, tasks
from autoft.spec import DataSpec
from autoft.tasks.base import learn
from autoft.training import noise
from autoft.training.models import inspect
from autoft.training.noise import doubts, of_features, of_words, suspects
from autoft.training.probe import Question


def asked(train, name="text-classification", **columns):
    task = tasks.get(name)
    meta = learn(task, train, DataSpec(source="x.csv", **columns))
    return Question(task, meta, next(iter(task.metrics)), max_length=64, seed=0, threads=1)


def planted(labels, generator, share=0.05):
    """The labels with some of them changed to another one, and which."""
    kinds = sorted(set(labels))
    wrong = np.zeros(len(labels), dtype=bool)
    wrong[generator.choice(len(labels), round(share * len(labels)), replace=False)] = True
    changed = [
        generator.choice([kind for kind in kinds if kind != label]) if bad else label
        for label, bad in zip(labels, wrong, strict=True)
    ]
    return changed, wrong


def points(generator, rows=1500, classes=3, width=8, distance=4.0):
    """Clouds that overlap a little, and the cloud of each point."""
    truth = np.arange(rows) % classes
    centres = distance * np.eye(classes, width)
    return (centres[truth] + generator.normal(size=(rows, width))).astype(np.float32), truth


def out_of_sample(features, given, classes):
    return noise.out_of_sample([of_features(features, given, classes)], given, classes, seed=0)


# --- the arithmetic ------------------------------------------------------------------------------------------


def test_planted_errors_come_first():
    generator = np.random.default_rng(0)
    features, truth = points(generator)
    given, wrong = planted(truth.tolist(), generator)
    given = np.array(given)
    found = doubts(out_of_sample(features, given, 3), given)
    first = found[:50]
    assert np.mean([wrong[doubt.row] for doubt in first]) > 0.95
    assert np.mean([doubt.suggested == truth[doubt.row] for doubt in first]) > 0.95
    assert sum(wrong[doubt.row] for doubt in found) > 0.5 * wrong.sum()
    margins = [doubt.margin for doubt in found]
    assert margins == sorted(margins, reverse=True) and margins[-1] > 0


def test_right_labels_are_hardly_doubted():
    features, truth = points(np.random.default_rng(1), distance=8.0)
    assert doubts(out_of_sample(features, truth, 3), truth) == []


def test_what_no_feature_tells_is_not_doubted_for_sure():
    generator = np.random.default_rng(2)
    features, labels = generator.normal(size=(1000, 8)), generator.integers(0, 2, 1000)
    found = doubts(out_of_sample(features, labels, 2), labels)
    assert all(doubt.confidence < 0.75 for doubt in found)


def test_thresholds_are_those_of_confident_learning():
    """Worked by hand: class 0 is trusted at 0.8 on average, class 1 at 0.64."""
    chances = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] + [[0.3, 0.7]] * 4 + [[0.6, 0.4]])
    given = np.array([0] * 5 + [1] * 5)
    assert doubts(chances, given) == []  # row 4: 0.6 is less than 0.64; row 9: 0.6 is less than 0.8
    chances[4] = [0.3, 0.7]  # class 0 now at 0.78, and row 4 is surer of class 1 than its own rows are
    (doubt,) = doubts(chances, given)
    assert (doubt.row, doubt.suggested) == (4, 1)
    assert (doubt.confidence, doubt.margin) == pytest.approx((0.7, 0.4))


def test_a_class_of_a_few_rows_is_left_alone():
    generator = np.random.default_rng(3)
    features, truth = points(generator, rows=300, classes=2)
    given = truth.copy()
    given[:3] = 2  # three rows of a class that lies amid the others
    found = doubts(out_of_sample(features, given, 3), given)
    assert not {0, 1, 2} & {doubt.row for doubt in found}
    assert all(doubt.suggested != 2 for doubt in found)


def test_no_row_is_judged_by_a_model_that_has_seen_it():
    """A feature that names each row lets a model that has seen it repeat the label, and one that has not guess."""
    labels = np.random.default_rng(4).integers(0, 2, 60)
    chances = out_of_sample(np.eye(60, dtype=np.float32), labels, 2)
    assert (chances.argmax(axis=1) == labels).mean() < 0.75


def test_words_are_a_second_opinion():
    """Where the features say nothing, the words find the error; where there are no words, the features do."""
    generator = np.random.default_rng(6)
    table = sentences(400, seed=6)
    truth = (table["label"] == "positive").to_numpy().astype(int)
    given, wrong = planted(truth.tolist(), generator)
    given = np.array(given)
    nothing = generator.normal(size=(400, 4)).astype(np.float32)
    views = [of_features(nothing, given, 2), of_words(table, asked(table).meta, given, 2)]
    found = doubts(noise.out_of_sample(views, given, 2, seed=0), given)
    assert np.mean([wrong[doubt.row] for doubt in found[:10]]) >= 5 * wrong.mean()
    signs = table.assign(text="!!!")
    telling = (np.eye(2)[truth] * 5 + generator.normal(size=(400, 2))).astype(np.float32)
    views = [of_features(telling, given, 2), of_words(signs, asked(table).meta, given, 2)]
    found = doubts(noise.out_of_sample(views, given, 2, seed=0), given)
    assert np.mean([wrong[doubt.row] for doubt in found[:10]]) >= 5 * wrong.mean()


# --- rows ----------------------------------------------------------------------------------------------------


def test_planted_errors_in_rows(tiny_bert):
    generator = np.random.default_rng(5)
    table = sentences(800, seed=5)
    labels, wrong = planted(table["label"].tolist(), generator)
    table = table.assign(label=labels)
    train, validation = table[:600].reset_index(drop=True), table[600:].reset_index(drop=True)
    found = suspects(asked(train), inspect(str(tiny_bert)), train, validation)
    assert found["checked"] == 800 and found["found"] >= len(found["candidates"]) >= 20
    rows = {"train": train, "validation": validation}
    hits = []
    for candidate in found["candidates"]:
        row = rows[candidate["split"]].iloc[candidate["row"]]
        assert (candidate["text"], candidate["label"]) == (row["text"], row["label"])
        assert candidate["suggested"] in {"positive", "negative"} - {candidate["label"]}
        hits.append(wrong[candidate["row"] + (600 if candidate["split"] == "validation" else 0)])
    assert {candidate["split"] for candidate in found["candidates"]} == {"train", "validation"}
    assert np.mean(hits[:20]) >= 5 * wrong.mean()
    assert json.loads(json.dumps(found)) == found
    assert found == suspects(asked(train), inspect(str(tiny_bert)), train, validation)


def test_no_more_rows_are_read_than_the_time_allows(tiny_bert, monkeypatch):
    table = sentences(600)
    monkeypatch.setattr(noise, "MOST", 450)
    found = suspects(asked(table), inspect(str(tiny_bert)), table[:400], table[400:])
    assert found["checked"] == 450
    monkeypatch.setattr(noise, "_WORK", 0.0)
    assert suspects(asked(table), inspect(str(tiny_bert)), table[:400], table[400:])["checked"] == 400


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text-regression", "text-regression"),
        ("multi-label", "text-classification"),
        ("token-classification", "token-classification"),
        ("language-modelling", "language-modelling"),
        ("question-answering", "question-answering"),
    ],
)
def test_other_tasks_have_no_such_thing(name, kind, tiny_bert):
    rows, columns = sample(name, 60)
    assert suspects(asked(rows, kind, **columns), inspect(str(tiny_bert)), rows[:40], rows[40:]) is None


def test_pairs_are_shown_as_pairs(tiny_bert):
    table = sentences(300).rename(columns={"text": "one"}).assign(two="the other, always the same")
    table.loc[7, "label"] = "negative" if table.loc[7, "label"] == "positive" else "positive"
    question = asked(table, text="one", text_pair="two")
    found = suspects(question, inspect(str(tiny_bert)), table[:200], table[200:].reset_index(drop=True))
    assert all(candidate["text"].endswith(" | the other, always the same") for candidate in found["candidates"])
    assert ("train", 7) in {(candidate["split"], candidate["row"]) for candidate in found["candidates"][:10]}


def test_labels_that_are_all_rarer_than_there_are_folds_are_left_alone(tiny_bert):
    table = sentences(40).assign(label=[f"label {i // 4}" for i in range(40)])
    assert suspects(asked(table), inspect(str(tiny_bert)), table[:30], table[30:]) is None


def test_a_search_that_is_stopped_waits_for_nothing(tiny_bert):
    table = sentences(200)
    assert suspects(asked(table), inspect(str(tiny_bert)), table[:150], table[150:], lambda: True) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tweets", "rotten-tomatoes", "r8"])
def test_planted_errors_in_real_data(name):
    """5 % of the labels changed: of the 50 rows that are shown, at least five times as many are wrong."""
    spec = DataSpec(source=f"asset:{name}", clean=True, limit=2_500)
    parts = data.load(spec, tasks.get("text-classification"), 0)
    rows = pd.concat([parts.train, parts.validation], ignore_index=True)
    labels, wrong = planted(rows["label"].tolist(), np.random.default_rng(7))
    rows = rows.assign(label=labels)
    cut = len(parts.train)
    model = inspect("asset:bert-tiny", "AutoModelForSequenceClassification")
    found = suspects(asked(rows[:cut]), model, rows[:cut], rows[cut:])
    shown = [candidate["row"] + (cut if candidate["split"] == "validation" else 0) for candidate in found["candidates"]]
    assert len(shown) == 50 and found["checked"] == len(rows)
    assert wrong[shown].mean() >= 5 * wrong.mean()
