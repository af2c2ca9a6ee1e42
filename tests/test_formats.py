"""Files beside tables: what is read of them, what is refused and in which words."""

import json

import pytest

from autoft import data, tasks
from autoft.data.reading import read_file
from autoft.errors import DataError
from autoft.spec import DataSpec

TOKENS = tasks.get("token-classification")
ANSWERS = tasks.get("question-answering")
PLAIN = tasks.get("language-modelling")
TALK = tasks.get("dialogue")


def read(folder, name, content, task):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return dict(read_file(path, "data.source", formats=task.formats).columns)


def refused(folder, name, content, task):
    with pytest.raises(DataError) as caught:
        read(folder, name, content, task)
    (line,) = caught.value.problems
    return line


@pytest.mark.parametrize(
    "content",
    [
        "Anna B-PER\nwent O\n\nto O\nRome B-LOC\n",
        "-DOCSTART- -X- -X- O\n\nAnna NNP I-NP B-PER\nwent VBD I-VP O\n\n\nto TO I-PP O\nRome NNP I-NP B-LOC",
        "# sent_id = 1\nAnna\tB-PER\nwent\tO\n\n# sent_id = 2\nto\tO\nRome\tB-LOC\n\n",
    ],
    ids=["two columns", "four, as CoNLL has them", "tabs and comments"],
)
def test_conll(tmp_path, content):
    assert read(tmp_path, "a.conll", content, TOKENS) == {
        "text": [["Anna", "went"], ["to", "Rome"]],
        "label": [["B-PER", "O"], ["O", "B-LOC"]],
    }


def test_a_hash_may_be_a_word(tmp_path):
    assert read(tmp_path, "a.bio", "# O\n1 O\n", TOKENS)["text"] == [["#", "1"]]


def test_nltks_tagged_lines(tmp_path):
    assert read(tmp_path, "a.pos", "the/DT 1/2/CD film/NN\n\nends/VBZ\n", TOKENS) == {
        "text": [["the", "1/2", "film"], ["ends"]],
        "label": [["DT", "CD", "NN"], ["VBZ"]],
    }


def test_a_corpus_of_spacy(tmp_path):
    spacy = pytest.importorskip("spacy")
    words = ["Anna", "Berg", "went", "to", "Rome"]
    doc = spacy.tokens.Doc(spacy.vocab.Vocab(), words=words, ents=["B-PER", "I-PER", "O", "O", "B-LOC"])
    spacy.tokens.DocBin(docs=[doc]).to_disk(tmp_path / "a.spacy")
    assert read_file(tmp_path / "a.spacy", "data.source", formats=TOKENS.formats).columns == {
        "text": [words],
        "label": [["B-PER", "I-PER", "O", "O", "B-LOC"]],
    }
    (tmp_path / "b.spacy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="is no corpus of spaCy, or a damaged one"):
        read_file(tmp_path / "b.spacy", "data.source", formats=TOKENS.formats)


SQUAD = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": "She lives in Rome.",
                    "qas": [
                        {"question": "Where?", "answers": [{"text": "Rome", "answer_start": 13}]},
                        {"question": "When?", "answers": [], "is_impossible": True},
                    ],
                }
            ]
        }
    ]
}


def test_squad(tmp_path):
    assert read(tmp_path, "a.json", json.dumps(SQUAD), ANSWERS) == {
        "text": ["She lives in Rome."] * 2,
        "question": ["Where?", "When?"],
        "label": [[{"text": "Rome", "start": 13}], []],
    }


def test_other_json_is_a_table(tmp_path):
    assert read(tmp_path, "a.json", '[{"text": "a", "question": "b"}]', ANSWERS) == {"text": ["a"], "question": ["b"]}


def test_plain_text_by_paragraph_or_by_line(tmp_path):
    assert read(tmp_path, "a.txt", "one\ntwo\n\n three\n \n\n", PLAIN) == {"text": ["one\ntwo", "three"]}
    assert read(tmp_path, "b.txt", "one\r\ntwo\r\n", PLAIN) == {"text": ["one", "two"]}


@pytest.mark.parametrize(
    "line",
    ['["hi", "ho"]', '{"turns": ["hi", "ho"]}', '{"messages": ["hi", {"role": "assistant", "content": "ho"}]}'],
)
def test_conversations(tmp_path, line):
    assert read(tmp_path, "a.jsonl", line + "\n", TALK) == {"text": [["hi"]], "label": ["ho"]}


def test_other_json_lines_are_a_table(tmp_path):
    assert read(tmp_path, "a.jsonl", '{"said": "hi", "reply": "ho"}', TALK) == {"said": ["hi"], "reply": ["ho"]}


REFUSED = {
    "a word without a tag": ("a.conll", "Anna\n", TOKENS, "line 1 has a word and no tag: 'Anna'"),
    "another number of columns": ("a.conll", "a b O\nc O\n", TOKENS, "line 2 has 2 columns and the lines before it 3"),
    "not word/TAG": ("a.pos", "the/DT film\n", TOKENS, "line 1 has 'film', which is not word/TAG"),
    "SQuAD without a context": (
        "a.json",
        json.dumps({"data": [{"paragraphs": [{"qas": []}]}]}),
        ANSWERS,
        "article 1, paragraph 1 has no 'context', which SQuAD's format asks for",
    ),
    "one turn": ("a.jsonl", '["hi"]', TALK, "line 1 is no conversation; it has to be a list of at least two turns"),
    "a turn of numbers": (
        "a.jsonl",
        '["hi", 3]',
        TALK,
        "line 1 ends with a turn that is neither a text nor has `content`",
    ),
    "empty": ("a.txt", "\n\n", PLAIN, "is empty; a table with rows is needed"),
}


@pytest.mark.parametrize(("name", "content", "task", "line"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path, name, content, task, line):
    assert refused(tmp_path, name, content, task).removeprefix(f"data.source: {name}").lstrip(": ") == line


def test_a_format_is_one_of_its_task_only(tmp_path):
    line = refused(tmp_path, "a.conll", "a O\n", PLAIN)
    assert line.startswith("data.source: a.conll is none of the formats that are read: .csv, ")
    assert line.endswith(".txt")


def test_parallel_files(tmp_path):
    (tmp_path / "t.en").write_text("".join(f"line {i}\n" for i in range(30)), encoding="utf-8")
    (tmp_path / "t.de").write_text("".join(f"Zeile {i}\n" for i in range(30)), encoding="utf-8")
    spec = DataSpec(source=str(tmp_path / "t.{en,de}"), text="en", label="de")
    splits = data.load(spec, tasks.get("translation"), 0)
    pairs = zip(splits.train["en"], splits.train["de"], strict=True)
    assert all(one.split()[1] == other.split()[1] for one, other in pairs)
    (tmp_path / "t.de").write_text("Zeile\n" * 29, encoding="utf-8")
    with pytest.raises(DataError, match="their lines differ in number: en has 30, de has 29"):
        data.load(spec, tasks.get("translation"), 0)
    (tmp_path / "t.de").unlink()
    with pytest.raises(DataError, match="one of the parallel files"):
        data.load(spec, tasks.get("translation"), 0)


@pytest.mark.parametrize(
    ("task", "cells", "line"),
    [
        ("text-regression", "much", "whose 'label' is no number"),
        ("text-regression", float("inf"), "whose 'label' is no number"),
        ("token-classification", ["O"] * 9, "where the row has another number of tags than of words"),
    ],
)
def test_a_row_that_does_not_fit_is_told_with_its_number(tmp_path, task, cells, line):
    good = ["O", "B-X"] if task == "token-classification" else 1.5
    rows = [{"text": f"word{i} two", "label": good if i != 7 else cells} for i in range(30)]
    if task == "token-classification":
        rows = [{**row, "text": row["text"].split()} for row in rows]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        data.load(DataSpec(source=str(path)), tasks.get(task), 0)
    assert f"a.jsonl has 1 row (row 8) {line}" in str(caught.value)


def test_labels_in_one_text_need_a_separator(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"t{i},{'a;b' if i % 2 else ''}\n" for i in range(30)), encoding="utf-8")
    splits = data.load(DataSpec(source=str(path), separator=";"), tasks.get("text-classification"), 0)
    assert {tuple(cell) for cell in splits.train["label"]} == {(), ("a", "b")}


def test_lists_survive_the_disk(tmp_path):
    rows = [{"text": ["a", f"b{i}"], "label": ["O", "B-X"]} for i in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    splits = data.load(DataSpec(source=str(tmp_path / "a.jsonl")), TOKENS, 0)
    data.write(splits, tmp_path / "kept")
    assert data.read(tmp_path / "kept").fingerprint == splits.fingerprint
