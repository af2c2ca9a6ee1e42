"""Every task keeps the contract, with every kind of model that can do it."""

import pandas as pd
import pytest
from samples import KINDS, ROWS, sample
from tiny import configs, more_configs, save_model

from autoft import tasks
from autoft.spec import DataSpec
from autoft.testing import check_task

DECODER, BOTH = ("gpt2", "llama"), ("t5", "bart")
ENCODERS = ("bert", "albert", "mpnet", "modernbert")
MODELS = {
    "text-classification": DECODER,
    "text-regression": DECODER,
    "token-classification": (*ENCODERS, "gpt2"),
    "question-answering": (*ENCODERS, "gpt2"),
    "language-modelling": DECODER,
    "dialogue": DECODER,
    "masked-language-modelling": ENCODERS[1:],
    "summarization": BOTH,
    "translation": BOTH,
}


def test_every_task_has_a_sample_here():
    assert set(tasks.names()) == set(ROWS) - set(KINDS)


@pytest.mark.parametrize("kind", ROWS)
def test_the_conformance_suite_finds_nothing(kind):
    rows, data = sample(kind)
    check_task(tasks.get(KINDS.get(kind, kind)), rows, data)


@pytest.mark.parametrize(("kind", "model"), [(kind, model) for kind, models in MODELS.items() for model in models])
def test_also_with_other_kinds_of_models(kind, model, tmp_path):
    rows, data = sample(kind)
    folder = save_model(tmp_path / model, (configs() | more_configs())[model])
    check_task(tasks.get(kind), rows, data, folder)


@pytest.mark.parametrize("name", ROWS)
def test_a_summary_an_example_and_a_model_are_there(name):
    task = tasks.get(KINDS.get(name, name))
    assert task.summary
    assert task.example.startswith(f"autoft search --task {task.name} --data ")
    assert task.models
    assert next(iter(task.metrics)) != "loss"


def test_the_words_of_an_entity_come_from_the_window_that_sees_most_around_them():
    import numpy as np

    task = tasks.get("token-classification")
    meta = {"labels": ["O", "X"], "commonest": "O", "prefixes": False}
    places = [(2 * i, 2 * i + 1) for i in range(4)]
    extra = {"text": "a b c d", "places": places, "plain": True, "tags": ("O",) * 4}
    examples = [
        {"row": 0, "extra": {**extra, "first": [None, 0, 1, 2, None]}},
        {"row": 0, "extra": {**extra, "first": [None, 2, 3, None]}},
    ]
    first, second = np.tile([1.0, 0.0], (5, 1)), np.tile([0.0, 1.0], (4, 1))
    # Word 2 stands at the edge of both; the first window that has it there keeps it.
    assert task.merge([first, second], examples, meta)[0].argmax(axis=1).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ((["a", "b"], ["O"]), "has another number of tags than of words"),
        (("a b", "O O O"), "has another number of tags than of words"),
        (("ab cd", [{"start": 1, "end": 2, "label": "X"}]), "has a span that doesn't begin and end with a word"),
        (("ab cd", [{"start": 0, "label": "X"}]), "has a span without start, end and label"),
        (("ab cd", [{"start": 0, "end": 2, "label": "X"}] * 2), "has spans that overlap"),
        (("ab cd", ["O", "O"]), "has tags for a text that isn't divided into words; give lists of words, or spans"),
        (("a b", "O O"), ""),
    ],
)
def test_what_is_wrong_with_a_row_of_tags(cells, fault):
    task = tasks.get("token-classification")
    assert task.fault(dict(zip(("text", "label"), cells, strict=True)), DataSpec(source="x")) == fault


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        ("rome", ""),
        ([{"text": "rome", "start": 3}], ""),
        ({"text": ["rome"], "answer_start": [3]}, ""),
        ([], ""),
        ([{"text": "rome", "start": 2}], "has the answer 'rome', which doesn't stand in the text where it should"),
        ("oslo", "has the answer 'oslo', which doesn't stand in the text where it should"),
        ([7], "has answers that are neither texts nor mappings with text and start"),
    ],
)
def test_what_is_wrong_with_an_answer(label, fault):
    task = tasks.get("question-answering")
    assert task.fault({"text": "in rome", "question": "?", "label": label}, DataSpec(source="x")) == fault


def test_masks_for_an_evaluation_are_the_same_whatever_stands_beside(tmp_path):
    from autoft.tasks.masked_language_modelling import _masked

    labels = pd.Series([-100, 7, 8, 9, 10, 11, 12, 13, -100]).to_numpy()
    padded = pd.Series([-100, -100, *labels, -100]).to_numpy()
    chosen = _masked(labels)
    assert 1 <= chosen.sum() < 7
    assert not chosen[[0, -1]].any()
    assert _masked(padded)[2:-1].tolist() == chosen.tolist()
