"""`predict` on the command line: what goes in, what comes out."""

import csv
import io
import json
import sys

import pandas as pd
import pytest
from saved import saved

from autoft.cli import main
from autoft.errors import InputError
from autoft.training.predict import Predictor


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved("text-classification", tmp_path_factory.mktemp("model"))


@pytest.fixture
def predict(model, monkeypatch, capsys):
    def run(*arguments, given=None):
        stdin = io.TextIOWrapper(io.BytesIO(given.encode())) if given is not None else sys.stdin
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(model[0]), *map(str, arguments)])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_probabilities_of_all_labels_as_json(model, predict):
    texts = list(model[1]["text"][:3])
    code, out, err = predict(*texts, "--json", "--probabilities")
    assert code == 0, err
    for line, text, answer in zip(out.splitlines(), texts, Predictor.load(model[0]).predict(texts), strict=True):
        row = json.loads(line)
        assert (row["text"], row["label"]) == (text, answer["label"])
        assert set(row["probabilities"]) == {"yes", "no"}
        assert sum(row["probabilities"].values()) == pytest.approx(1.0)
        assert row["probabilities"][row["label"]] == row["score"] == pytest.approx(answer["score"], abs=1e-6)


def test_a_table_goes_through_as_csv(model, predict):
    table = model[1][["text", "label"]].assign(probability_no="mine")
    code, out, err = predict("--data", "-", "--out", "-", "--probabilities", given=table.to_csv(index=False))
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == [
        "text", "label", "probability_no", "predicted_label", "score", "predicted_probability_no", "probability_yes",
    ]  # fmt: skip
    assert [row["label"] for row in rows] == list(table["label"])
    wanted = Predictor.load(model[0]).predict(list(table["text"]), probabilities=True)
    for row, answer in zip(rows, wanted, strict=True):
        assert float(row["probability_yes"]) == pytest.approx(answer["probabilities"]["yes"], abs=1e-6)


def test_lines_of_json_go_through(model, predict, tmp_path):
    lines = "".join(json.dumps({"text": text, "n": 1}) + "\n" for text in model[1]["text"][:4])
    code, _, err = predict("--data", "-", "--out", tmp_path / "out.jsonl", "--probabilities", given=lines)
    assert code == 0, err
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == list(model[1]["text"][:4])
    assert set(rows[0]) == {"text", "n", "label", "score", "probabilities"}


def test_a_column_for_each_label_in_plain_lines(predict):
    code, out, _ = predict("great old film", "--probabilities")
    assert code == 0
    assert len(out.rstrip("\n").split("\t")) == 5  # label, score, two probabilities, text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("id,body\n1,a\n", "error: --data: standard input has no column 'text'"),
        ("text\na\n \n", "error: --data: standard input has 1 row (row 2) with an empty 'text'"),
        ("", "error: "),
    ],
)
def test_what_is_wrong_with_a_table_on_standard_input_is_told_in_a_line(predict, given, said):
    code, out, err = predict("--data", "-", given=given)
    assert (code, out) == (2, "")
    assert err.startswith(said)
    assert len(err.splitlines()) == 1
    assert "/tmp" not in err


def test_the_model_reads_as_many_texts_at_once_as_it_is_told(model, predict, monkeypatch):
    from autoft.training import evaluation

    sizes = []
    batches = evaluation.evaluation_batches
    monkeypatch.setattr(evaluation, "evaluation_batches", lambda n, size: sizes.append(size) or batches(n, size))
    assert predict("a", "b", "--batch-size", 7)[0] == 0
    assert sizes == [7]
    assert predict("a", "--batch-size", 0)[0] == 2


@pytest.mark.parametrize("kind", ["text-regression", "token-classification", "question-answering"])
def test_a_task_without_labels_for_a_row_has_no_probabilities(kind, tmp_path):
    model, rows = saved(kind, tmp_path)
    with pytest.raises(InputError, match=f"^probabilities: a model for {kind} gives none of labels"):
        Predictor.load(model).predict(rows, probabilities=True)


def test_several_labels_each_have_a_probability(tmp_path):
    model, rows = saved("multi-label", tmp_path)
    for answer in Predictor.load(model).predict(rows, probabilities=True):
        assert answer["labels"] == [label for label, chance in answer["probabilities"].items() if chance > 0.5]


def test_no_rows_have_no_answers(model):
    assert Predictor.load(model[0]).predict(pd.DataFrame({"text": []}), probabilities=True) == []
