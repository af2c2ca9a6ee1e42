"""Augmentation: training texts in other words, the same ones for the same seed, epoch and row."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autoft.errors import InputError, SpecError
from autoft.records import TrialConfig
from autoft.training.augmentation import augmented, load_synonyms, reworded
from autoft.training.finetune import FineTune

TEXT = "a really great film with its own Superb cast!"


def config_of(model="m", **knobs):
    return TrialConfig(**{
        "model": str(model), "learning_rate": 5e-3, "batch_size": 16, "epochs": 2, "max_length": 64, "seed": 5, **knobs,
    })  # fmt: skip


def chance(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("# good ones\ngreat, grand, very good\n\nsuperb\texcellent\nGreat,fine\n", encoding="utf-8")
    return str(path)


def test_nothing_happens_at_rate_zero_and_everything_at_one(words):
    synonyms = load_synonyms(words)
    for how in ("delete", "swap", "mask", "synonym"):
        assert reworded(TEXT, how, 0.0, chance(), mask="[MASK]", synonyms=synonyms) == TEXT
    assert reworded(TEXT, "delete", 1.0, chance()) in TEXT.split()
    assert reworded("a b c d", "swap", 1.0, chance()) == "b c d a"
    assert reworded("a b c", "mask", 1.0, chance(), mask="[MASK]") == "[MASK] [MASK] [MASK]"
    assert reworded("It was Superb!", "synonym", 1.0, chance(), synonyms=synonyms) == "It was Excellent!"


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60), how=st.sampled_from(["delete", "swap", "mask"]), rate=st.floats(0, 1))
def test_any_text_can_be_reworded(text, how, rate):
    found = reworded(text, how, rate, chance(), mask="#").split()
    before = text.split()
    assert (len(found) > 0) == (len(before) > 0)
    if how == "delete":
        assert len(found) <= len(before)
    else:
        assert len(found) == len(before)
    if how == "swap":
        assert sorted(found) == sorted(before)


def test_words_are_changed_as_often_as_the_rate_says():
    text = " ".join(["word"] * 4000)
    assert reworded(text, "mask", 0.3, chance(), mask="#").count("#") == pytest.approx(1200, abs=100)
    assert len(reworded(text, "delete", 0.3, chance()).split()) == pytest.approx(2800, abs=100)


def test_a_synonym_comes_from_the_list(words):
    synonyms = load_synonyms(words)
    found = {reworded("great", "synonym", 1.0, chance(seed), synonyms=synonyms) for seed in range(40)}
    assert found == {"grand", "very good", "fine"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "there is no file"),
        ("great\n", r"line 1: 'great' has no synonym; write a word and its synonyms with commas"),
        ("a, b\n, c\n", "line 2"),
        ("# nothing\n", "holds no word"),
        (b"\xff\xfe\x00", "can't be read"),
    ],
)
def test_a_word_list_that_makes_no_sense_is_refused_in_a_line(tmp_path, content, line):
    path = tmp_path / "words.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SpecError, match=line) as refused:
        load_synonyms(str(path))
    assert len(refused.value.problems) == 1


def test_without_a_list_wordnet_is_asked_and_where_it_is_not_there_a_line_says_so(monkeypatch):
    import sys

    from autoft.training import augmentation

    augmentation._wordnet.cache_clear()
    monkeypatch.setitem(sys.modules, "nltk", None)
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    with pytest.raises(InputError, match=r"synonym needs a word list .* or NLTK with its WordNet data"):
        load_synonyms("")


def test_the_words_depend_on_seed_epoch_and_row_alone():
    rows = pd.DataFrame({"text": [TEXT] * 8, "label": list("abababab")})

    def texts(epoch=0, **knobs):
        config = config_of(augmentation="delete", augmentation_rate=0.3, **knobs)
        return list(augmented(rows, ["text"], config, epoch=epoch, mask="", synonyms="")["text"])

    first = texts()
    assert first == texts() != texts(epoch=1)
    assert first != texts(seed=6)
    assert len(set(first)) > 4
    assert list(rows["text"]) == [TEXT] * 8
    # The head of a table is augmented as it is in the whole of it.
    head = augmented(
        rows[:3], ["text"], config_of(augmentation="delete", augmentation_rate=0.3), epoch=0, mask="", synonyms=""
    )
    assert list(head["text"]) == first[:3]


def test_both_texts_of_a_pair_are_reworded():
    rows = pd.DataFrame({"a": ["one two three four"] * 3, "b": ["one two three four"] * 3})
    config = config_of(augmentation="mask", augmentation_rate=0.5)
    found = augmented(rows, ["a", "b"], config, epoch=0, mask="#", synonyms="")
    assert "#" in " ".join(found["a"]) and "#" in " ".join(found["b"])
    assert list(found["a"]) != list(found["b"])


def test_a_tokenizer_without_a_mask_token_is_refused():
    rows = pd.DataFrame({"text": [TEXT]})
    with pytest.raises(InputError, match="the tokenizer of m hasn't got"):
        augmented(rows, ["text"], config_of(augmentation="mask"), epoch=0, mask="", synonyms="")


# In a fine-tune


@pytest.mark.parametrize("how", ["delete", "swap", "mask", "synonym"])
def test_every_epoch_sees_other_words_and_validation_never_does(tiny_job, tiny_bert, words, how):
    job = replace(tiny_job, synonyms=words, rungs=())
    trial = FineTune(job, config_of(tiny_bert, augmentation=how, augmentation_rate=0.3))
    validation = [example["input_ids"] for example in trial._validation.examples]
    seen = []
    while not trial.ended:
        trial.advance(0.0)
        if trial._batches[0] == len(seen):
            seen.append([example["input_ids"] for example in trial._feed._parts[0].examples])
    assert len(seen) == 2
    plain = [example["input_ids"] for example in trial._train.examples]
    assert seen[0] != plain and seen[1] != plain and seen[0] != seen[1]
    assert [example["input_ids"] for example in trial._feed._parts[1].examples] == validation
    if how == "mask":
        mask = trial._tokenizer.mask_token_id
        assert any(mask in ids for ids in seen[0]) and not any(mask in ids for ids in plain)


def test_labels_stay_with_their_texts(tiny_job, tiny_bert):
    trial = FineTune(tiny_job, config_of(tiny_bert, augmentation="delete"))
    trial.advance(0.0)
    labels = [example["labels"] for example in trial._feed._parts[0].examples]
    assert labels == [example["labels"] for example in trial._train.examples]


def test_a_paused_trial_goes_on_with_the_same_words(tiny_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert, augmentation="mask", dropout=0.1)
    whole = FineTune(tiny_job, config)
    while not whole.ended:
        whole.advance(math.inf)
    trial = FineTune(tiny_job, config)
    while not trial.ended:
        trial.advance(0.0)
        trial.save(tmp_path)
        trial = FineTune(tiny_job, config)
        assert trial.restore(tmp_path)
    assert all(torch.equal(tensor, trial._best[key]) for key, tensor in whole._best.items())
    assert [(r.value, r.train_loss) for r in whole.reports] == [(r.value, r.train_loss) for r in trial.reports]


def test_nothing_is_cached_where_the_texts_change(tiny_job, tiny_bert, tmp_path):
    job = replace(tiny_job, cache=str(tmp_path))
    trial = FineTune(job, config_of(tiny_bert, freeze_depth=2, augmentation="swap"))
    assert trial.uncached == "the training texts are augmented anew in every epoch"
    trial.advance(0.0)
    assert not list(tmp_path.iterdir())
    assert FineTune(job, config_of(tiny_bert, freeze_depth=2)).uncached == ""
