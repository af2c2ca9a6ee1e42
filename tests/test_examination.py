"""What is found when the rows are looked through before a search, and what is not."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from samples import KINDS, ROWS, sample

from autoft import api, cli, data, tasks
from autoft.data.examination import Severity, examine
from autoft.data.examination.drift import label_drift, length_drift, vocabulary_drift
from autoft.data.examination.duplicates import NEAR, shingles, similarity
from autoft.data.examination.texts import Texts, words
from autoft.data.splits import Splits, fingerprint
from autoft.errors import DataError
from autoft.planning import plan
from autoft.spec import DataSpec, write_yaml

TASK = tasks.get("text-classification")
GIVEN = DataSpec(train="a.csv", test="b.csv")
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst"]  # 360 words


def splits(train, validation, test):
    parts = {
        part: rows.reset_index(drop=True)
        for part, rows in (("train", train), ("validation", validation), ("test", test))
    }
    return Splits(**parts, fingerprint=fingerprint(parts))


def table(rows, seed=0, labels=("yes", "no"), least=6, most=25, vocabulary=WORDS):
    """Rows of words drawn at random, no two of them alike."""
    generator = random.Random(seed)
    return pd.DataFrame(
        {
            "text": [" ".join(generator.choices(vocabulary, k=generator.randint(least, most))) for _ in range(rows)],
            "label": [labels[i % len(labels)] for i in range(rows)],
        }
    )


def three(rows=600, seed=0, **how):
    whole = table(rows, seed, **how)
    a, b = rows * 2 // 3, rows * 5 // 6
    return whole[:a], whole[a:b], whole[b:]


def found(examination, kind=None):
    return [finding for finding in examination.findings if kind in (None, finding.kind)]


def places(finding):
    return {tuple(example.rows) for example in finding.examples}


def disguised(text, generator):
    """The same words in other clothes."""
    pieces = [word.upper() if generator.random() < 0.3 else word for word in text.split()]
    return generator.choice(("", "  ")) + "  ".join(
        word + generator.choice(("", ",", "!", " -", ".")) for word in pieces
    )


# --- texts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Well-known, indeed!", "well known indeed", True),
        ("don't", "DONT", True),
        ("Straße", "STRASSE", True),
        ("\ufb01ne \uff11\uff12", "fine 12", True),
        ("1 11", "11 1", False),
        ("good", "goods", False),
        ("naïve", "naive", False),
        ("我爱电影。", "我 爱 电影", True),
        ("我爱电影", "我恨电影", False),
        ("great 😀", "great 😡", False),
        (":)", ":(", False),  # nothing but signs: then these count
    ],
)
def test_what_makes_two_texts_the_same(one, other, same):
    texts = Texts("train", [(one,), (other,)])
    assert (texts.keys[0] == texts.keys[1]) is same


def test_words_in_scripts_without_spaces():
    assert words("日本語 ok") == ["日", "本", "語", "ok"]


# --- leaks ---------------------------------------------------------------------------------------------------


def test_clean_splits_give_no_finding():
    assert found(examine(splits(*three()), TASK, GIVEN)) == []


def test_a_planted_leak_is_found_whole_and_nothing_else():
    train, validation, test = three(1200)
    generator = random.Random(1)
    chosen = generator.sample(range(len(test)), len(test) // 20)
    texts = test["text"].tolist()
    copies = [texts[row] if i % 2 else disguised(texts[row], generator) for i, row in enumerate(chosen)]
    leaked = pd.DataFrame({"text": copies, "label": test["label"].iloc[chosen].tolist()})
    examined = examine(splits(pd.concat([train, leaked]), validation, test), TASK, GIVEN)
    (leak,) = found(examined)
    assert (leak.kind, leak.severity, leak.count) == ("leak", Severity.WARNING, len(chosen))
    assert leak.share == pytest.approx(0.05)
    assert "10 rows of test (5 %) stand in training too" in leak.sentence
    assert "take them out of training" in leak.sentence
    assert places(leak) <= {(("train", len(train) + i), ("test", row)) for i, row in enumerate(chosen)}
    assert len(leak.examples) == 5
    assert examined.warnings == (leak.sentence,) and examined.refusals == ()


def test_all_rows_of_a_repeated_text_leak():
    train, validation, test = three()
    twice = pd.concat([test, test[:1].assign(text=test["text"].iloc[0].upper())])
    examined = examine(splits(pd.concat([train, test[:1]]), validation, twice), TASK, GIVEN)
    (leak,) = found(examined, "leak")
    assert leak.count == 2


def test_near_duplicates_are_found_and_are_what_they_are_called():
    train, validation, test = three(2400, least=15, most=25)
    texts = test["text"].tolist()
    generator = random.Random(2)
    chosen = generator.sample(range(len(test)), 40)
    copies = []
    for row in chosen:  # a word more at the end: at least 0.93 alike
        copies.append(f"{texts[row]} {generator.choice(WORDS)}")
    leaked = pd.DataFrame({"text": copies, "label": "yes"})
    half = [" ".join(text.split()[: len(text.split()) // 2]) for text in texts[:100]]  # half of a text is another one
    train = pd.concat([train, leaked, pd.DataFrame({"text": half, "label": "no"})])
    (leak,) = found(examine(splits(train, validation, test), TASK, GIVEN))
    assert leak.count == len(chosen)
    assert "nearly the same" in leak.sentence
    for example in leak.examples:
        (_, a), (_, b) = example.rows
        one, other = train["text"].iloc[a], texts[b]
        assert similarity(shingles([words(one)]), shingles([words(other)])) >= NEAR


def test_a_pair_is_known_only_where_both_of_its_texts_are():
    spec = DataSpec(train="a.csv", test="b.csv", text="one", text_pair="two")
    rows = table(600, least=20, most=30).rename(columns={"text": "one"}).assign(two=table(600, seed=9)["text"])
    train, validation, test = rows[:400], rows[400:500], rows[500:]
    half = test[:20].assign(two=table(20, seed=5)["text"].tolist())
    assert found(examine(splits(pd.concat([train, half]), validation, test), TASK, spec), "leak") == []
    (leak,) = found(examine(splits(pd.concat([train, test[:3]]), validation, test), TASK, spec), "leak")
    assert leak.count == 3


def test_repeats_within_training_are_a_note():
    train, validation, test = three()
    again = train[:3].assign(text=train["text"][:3].str.upper())
    (repeat,) = found(examine(splits(pd.concat([train, again]), validation, test), TASK, GIVEN))
    assert (repeat.kind, repeat.severity, repeat.count) == ("duplicate", Severity.NOTE, 3)


def test_a_test_that_stands_in_training_is_refused():
    train, validation, test = three()
    known = test[:51].assign(text=test["text"][:51].str.title())
    examined = examine(splits(pd.concat([train, known]), validation, test), TASK, GIVEN)
    (line,) = examined.refusals
    assert line.startswith("data.test: 51 rows of test (51 %) stand in training too")
    assert examined.findings[0].severity is Severity.REFUSAL
    half = examine(splits(pd.concat([train, known[:50]]), validation, test), TASK, GIVEN)
    assert half.refusals == () and len(half.warnings) == 1


def test_rows_made_by_one_template_cost_no_more_than_they_may(monkeypatch):
    from autoft.data.examination import duplicates

    monkeypatch.setattr(duplicates, "_CANDIDATES", 2_000)
    text = table(1, least=30, most=30)["text"][0]
    rows = pd.DataFrame({"text": [f"{text} {i}" for i in range(600)], "label": ["yes", "no"] * 300})
    examined = examine(splits(rows[:400], rows[400:500], rows[500:]), TASK, GIVEN)
    leaks = found(examined, "leak")
    assert leaks and all("or more" in leak.sentence for leak in leaks)


# --- labels --------------------------------------------------------------------------------------------------


def test_contradictory_labels():
    train, validation, test = three()
    torn = pd.DataFrame({"text": [train["text"].iloc[0].upper() + "!", "love it :)", "love it :("], "label": "no"})
    torn.loc[2, "label"] = "yes"  # another smile, another text
    assert train["label"].iloc[0] == "yes"
    examined = examine(splits(train, validation, pd.concat([test, torn])), TASK, GIVEN)
    (finding,) = found(examined, "contradiction")
    assert finding.sentence.startswith("1 text has different labels in 2 rows")
    assert "1 of them in different splits" in finding.sentence
    assert places(finding) == {(("train", 0), ("test", len(test)))}
    assert finding.examples[0].text.startswith("'yes' / 'no': ")


def test_the_same_text_with_two_numbers_is_no_contradiction():
    task = tasks.get("text-regression")
    rows = table(600).assign(label=np.arange(600) / 7)
    train = pd.concat([rows[:400], rows[:10].assign(label=1.5)])
    examined = examine(splits(train, rows[400:500], rows[500:]), task, GIVEN)
    assert found(examined, "contradiction") == [] and "classes" not in examined.splits["train"]


def test_small_classes():
    train, validation, test = three()
    train = pd.concat([train, table(9, seed=3, labels=["rare"])])
    test = pd.concat([test, table(1, seed=4, labels=["rare"])])
    small = found(examine(splits(train, validation, test), TASK, GIVEN), "small_class")
    assert [finding.sentence.split(";")[0] for finding in small] == [
        "1 class ('rare' (9)) with fewer than 10 rows in training",
        "1 class ('rare' (0)) with fewer than 2 rows in validation",
        "1 class ('rare' (1)) with fewer than 2 rows in test",
    ]


def test_a_class_that_training_lacks():
    train, validation, test = three()
    test = pd.concat([test, table(2, seed=4, labels=["new"])])
    (finding,) = found(examine(splits(train, validation, test), TASK, GIVEN))
    assert finding.kind == "unseen_class" and "1 class ('new' (2)) of test never in training" in finding.sentence


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_split_with_one_class_is_refused(part):
    parts = dict(zip(("train", "validation", "test"), three(), strict=True))
    parts[part] = parts[part][parts[part]["label"] == "yes"]
    (line,) = examine(splits(**parts), TASK, GIVEN).refusals
    assert line.startswith(f"data.{part}: all of its 50 rows have the label 'yes'")


def test_several_labels_of_a_row_count_one_by_one():
    rows = table(600, labels=[["a"], ["a", "b"], [], ["b"]])
    train = pd.concat([rows[:400], table(3, seed=3, labels=[["a", "rare"]])])
    examined = examine(splits(train, rows[400:500], rows[500:]), TASK, GIVEN)
    assert examined.splits["train"]["classes"] == {"a": 203, "b": 200, "rare": 3}
    assert {finding.kind for finding in examined.findings} == {"small_class"}


# --- drift ---------------------------------------------------------------------------------------------------


def test_longer_texts_are_told():
    train, validation, _ = three()
    test = table(100, seed=8, least=20, most=50)
    (finding,) = found(examine(splits(train, validation, test), TASK, GIVEN))
    assert (finding.kind, finding.severity) == ("length_drift", Severity.WARNING)
    assert finding.sentence.startswith("the texts of test are longer than those of training (half of them have at most")


def test_another_language_is_told_by_its_words():
    train, validation, _ = three()
    test = table(100, seed=8, vocabulary=["el", "la", "los", "muy", *WORDS[:60]])
    (finding,) = found(examine(splits(train, validation, test), TASK, GIVEN))
    assert (finding.kind, finding.severity) == ("vocabulary_drift", Severity.WARNING)
    assert "typical there: la, muy, el" in finding.sentence


def test_other_shares_of_the_labels_are_told():
    train, validation, _ = three()
    test = table(120, seed=8, labels=["yes", "yes", "yes", "no"])
    (finding,) = found(examine(splits(train, validation, test), TASK, GIVEN))
    assert (finding.kind, finding.severity) == ("label_drift", Severity.WARNING)
    assert "75 % of them are 'yes', there 50 %" in finding.sentence


def test_no_drift_in_what_chance_divides():
    """400 random splits, small ones among them, of texts whose words and lengths vary widely."""
    generator = np.random.default_rng(0)
    said = []
    for seed in range(400):
        rows = int(generator.integers(60, 400))
        common = WORDS[: int(generator.integers(5, 300))]
        whole = table(
            rows, seed, labels=["a", "b", "c"], least=1, most=int(generator.integers(5, 60)), vocabulary=common
        )
        whole = whole.sample(frac=1, random_state=seed)
        cut = int(rows * generator.uniform(0.4, 0.8))
        one, other = (
            Texts(part, [(text,) for text in some["text"]])
            for part, some in (("train", whole[:cut]), ("test", whole[cut:]))
        )
        labels = whole["label"].tolist()
        said += [length_drift(one, other), label_drift(labels[:cut], labels[cut:], "test")]
        if seed % 8 == 0:  # which costs more
            said.append(vocabulary_drift(one, other, seed))
    assert [drift.sentence for drift in said if drift] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tweets", "rotten-tomatoes", "r8"])
def test_no_false_alarm_on_real_data(name):
    """What is said of random splits of real data is true: every leak is one, and there is no drift."""
    for seed in range(3):
        spec = DataSpec(source=f"asset:{name}", clean=True, limit=(None, 2_000, 400)[seed])
        parts = data.load(spec, TASK, seed)
        examined = examine(parts, TASK, spec, seed)
        assert {finding.kind for finding in examined.findings} <= {"leak", "duplicate", "small_class", "contradiction"}
        for finding in (*found(examined, "leak"), *found(examined, "duplicate")):
            for example in finding.examples:
                one, other = (getattr(parts, part)["text"].iloc[row] for part, row in example.rows)
                same = Texts("train", [(one,), (other,)]).keys
                assert same[0] == same[1] or similarity(shingles([words(one)]), shingles([words(other)])) >= NEAR
        assert examined.refusals == ()


@pytest.mark.slow
def test_a_planted_leak_in_real_data():
    """Rows of Rotten Tomatoes of which none is like another, and 5 % of the test copied into training."""
    spec = DataSpec(source="asset:rotten-tomatoes", clean=True, limit=6_000)
    whole = data.load(spec, TASK, 0)
    near = {
        (part, row)
        for finding in found(examine(whole, TASK, spec))
        for example in finding.examples
        for part, row in example.rows
    }
    parts = [
        rows.drop(index=[row for part, row in near if part == name])
        for name, rows in (("train", whole.train), ("validation", whole.validation), ("test", whole.test))
    ]
    train, validation, test = (rows.reset_index(drop=True) for rows in parts)
    assert found(examine(splits(train, validation, test), TASK, GIVEN)) == []
    generator = random.Random(3)
    chosen = generator.sample(range(len(test)), len(test) // 20)
    bare = str.maketrans("", "", string.punctuation)
    texts = [test["text"].iloc[row] for row in chosen]
    copies = [(text, text.upper(), text.translate(bare).lower())[i % 3] for i, text in enumerate(texts)]
    leaked = pd.DataFrame({"text": copies, "label": test["label"].iloc[chosen].tolist()})
    (leak,) = found(examine(splits(pd.concat([train, leaked]), validation, test), TASK, GIVEN))
    assert (leak.kind, leak.count) == ("leak", len(chosen))


# --- all tasks, and the way into a search -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_every_task_is_examined(name, tmp_path):
    rows, columns = sample(name, 120)
    task = tasks.get(KINDS.get(name, name))
    path = tmp_path / "rows.jsonl"
    rows.to_json(path, orient="records", lines=True)
    spec = DataSpec(source=str(path), **columns)
    parts = data.load(spec, task, 0)
    examined = examine(parts, task, spec)
    assert examined.refusals == ()
    assert examined.splits["test"]["rows"] == len(parts.test)
    assert examined.splits["train"]["length"]["median"] > 0
    assert json.loads(json.dumps(examined.as_dict())) == examined.as_dict()
    # Each knows a row again.
    again = splits(pd.concat([parts.train, parts.test[:1]]), parts.validation, parts.test)
    leak = found(examine(again, task, spec), "leak")
    assert any((("train", len(parts.train)), ("test", 0)) in places(finding) for finding in leak)


@pytest.fixture
def leaky(tmp_path, tiny_bert, monkeypatch):
    """A folder with splits whose test stands in training for the first `known` rows, and what checks it."""
    monkeypatch.chdir(tmp_path)
    train, validation, test = three(300)
    validation.to_csv("validation.csv", index=False)
    test.to_csv("test.csv", index=False)

    def write(known):
        copies = test[:known].assign(text=test["text"][:known].str.upper())
        pd.concat([train, copies]).to_csv("train.csv", index=False)
        given = {part: f"{part}.csv" for part in ("train", "validation", "test")}
        return {"task": "text-classification", "name": "leaky", "models": [str(tiny_bert)], "data": given}

    return write


def test_a_plan_carries_what_was_found(leaky):
    plan = api.check(**leaky(5))
    (warning,) = plan.examination.warnings
    assert warning in plan.notes and "5 rows of test (10 %) stand in training too" in warning


def test_a_meaningless_search_is_refused_with_one_line(leaky):
    with pytest.raises(DataError) as refused:
        api.check(**leaky(26))
    (line,) = refused.value.problems
    assert line.startswith("data.test: 26 rows of test (52 %) stand in training too")


def test_check_shows_what_was_found(leaky, capsys):
    write_yaml(api.make_spec(**leaky(5)), Path("leaky.yaml"))
    for arguments in ([], ["--json"]):
        with pytest.raises(SystemExit) as left:
            cli.main(["check", "leaky.yaml", *arguments])
        assert not left.value.code
        said = capsys.readouterr().out
        if arguments:
            (finding,) = json.loads(said)["examination"]["findings"]
            assert (finding["kind"], finding["count"], finding["severity"]) == ("leak", 5, "warning")
            assert finding["examples"][0]["rows"] == [["train", 200], ["test", 0]]
        else:
            assert " ".join(said.split()).count("5 rows of test (10 %) stand in training too") == 1
            assert "such as train row 200, test row 0: " in said


def test_a_search_that_has_begun_is_not_refused(leaky):
    spec = api.make_spec(**leaky(26))
    parts = data.load(spec.data, TASK, 0)
    again = plan(spec, Path("runs"), parts)
    assert len(again.examination.refusals) == 1
