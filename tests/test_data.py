"""The user's data: what is read, what is refused and in which words, and how it is split."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

from autoft import data, tasks
from autoft.data import splitting
from autoft.data.splits import Column
from autoft.errors import DataError
from autoft.spec import DataSpec

TASK = tasks.get("text-classification")
PARTS = ("train", "validation", "test")
CLEAN = "set data.clean: true or pass --clean to drop them"


def table(n: int = 40, start: int = 0) -> pd.DataFrame:
    """`n` rows, three in four positive, with texts that try the formats' quoting."""
    texts = [f'review {i}, "so-called"\nünïcode\tand a tab' for i in range(start, start + n)]
    return pd.DataFrame({"text": texts, "label": ["negative" if i % 4 == 0 else "positive" for i in range(n)]})


def load(source: Path | str, seed: int = 0, **options: Any) -> data.Splits:
    return data.load(DataSpec(source=str(source), **options), TASK, seed)


def load_parts(seed: int = 0, **options: Any) -> data.Splits:
    return data.load(DataSpec(**{k: str(v) if isinstance(v, Path) else v for k, v in options.items()}), TASK, seed)


def problems(source: Path | str, **options: Any) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        load(source, **options)
    return caught.value.problems


def save(rows: pd.DataFrame, path: Path) -> Path:
    if path.suffix in (".csv", ".tsv"):
        rows.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    elif path.suffix in (".jsonl", ".json"):
        rows.to_json(path, orient="records", lines=path.suffix == ".jsonl", force_ascii=False)
    elif path.suffix == ".parquet":
        rows.to_parquet(path)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(pa.Table.from_pandas(rows), str(path))
    elif path.suffix == ".arrow":  # the streaming format
        content = pa.Table.from_pandas(rows)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, content.schema) as writer:
            writer.write_table(content)
    else:
        datasets.Dataset.from_pandas(rows).save_to_disk(str(path))
    return path


FORMATS = ("a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.feather", "a.arrow", "folder")
LABELS = {
    "words": ["no", "yes"],
    "integers": [0, 1],
    "booleans": [False, True],
    "whole floats": [1.0, 2.0],
    "NA is a word": ["NA", "None"],
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_every_format_gives_the_same_rows(labels: list[Any], tmp_path: Path) -> None:
    rows = table()
    rows["label"] = [labels[i % 2] for i in range(len(rows))]
    rows["extra"] = 1.5
    splits = [load(save(rows, tmp_path / name)) for name in FORMATS]
    assert len({s.fingerprint for s in splits}) == 1
    for other in splits[1:]:
        pd.testing.assert_frame_equal(splits[0].train, other.train)
    assert list(splits[0].train.columns) == ["text", "label"]
    assert set(splits[0].train["text"]) <= set(rows["text"])
    expected = {"false", "true"} if labels[0] is False else set(labels)
    assert set(splits[0].train["label"]) == expected
    assert all(type(label) in (int, str) for label in splits[0].train["label"])


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    table().to_csv(path, index=False, encoding="utf-8-sig")
    assert load(path).fingerprint == load(save(table(), tmp_path / "b.csv")).fingerprint


def test_another_encoding_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    table().to_csv(path, index=False, encoding="latin-1")
    assert load(path, encoding="latin-1").fingerprint == load(save(table(), tmp_path / "b.csv")).fingerprint


def test_a_text_may_be_longer_than_a_mebibyte_and_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    rows = table()
    rows.loc[3, "text"] = "long " * 300_000
    (tmp_path / "a.csv").write_bytes(rows.to_csv(index=False, lineterminator="\r\n").encode())
    assert load(tmp_path / "a.csv").fingerprint == load(save(rows, tmp_path / "b.parquet")).fingerprint


def test_a_tsv_without_quoting_is_read_as_it_is(tmp_path: Path) -> None:
    lines = ["text\tlabel"] + [f'"Open quote {i}\t{"a" if i % 2 else "b"}' for i in range(30)]
    (tmp_path / "a.tsv").write_text("\n".join(lines), encoding="utf-8")
    assert load(tmp_path / "a.tsv").train["text"].str.startswith('"Open quote').all()


def test_numbers_as_labels_keep_their_leading_zeros(tmp_path: Path) -> None:
    rows = table().assign(label=[["007", "12"][i % 2] for i in range(40)])
    assert set(load(save(rows, tmp_path / "a.csv")).train["label"]) == {"007", "12"}


def test_the_names_of_classes_are_used(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    rows = {"text": [f"t{i}" for i in range(40)], "label": [i % 2 for i in range(40)]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "d"))
    assert set(load(tmp_path / "d").train["label"]) == {"bad", "good"}


# --- bad inputs ---------------------------------------------------------------------------------------------

HEAD = b"text,label\n"
GOOD = b"".join(b"t%d,%s\n" % (i, b"ab"[i % 2 : i % 2 + 1]) for i in range(30))

BAD: dict[str, tuple[str, bytes, dict[str, Any], list[str]]] = {
    "empty file": ("a.csv", b"", {}, ["data.source: a.csv is empty; a table with rows is needed"]),
    "empty parquet": ("a.parquet", b"", {}, ["data.source: a.parquet is empty; a table with rows is needed"]),
    "header only": ("a.csv", HEAD, {}, ["data.source: a.csv has a header and no rows; a table with rows is needed"]),
    "unknown format": (
        "a.xlsx",
        b"x",
        {},
        [
            "data.source: a.xlsx is none of the formats that are read: "
            ".csv, .tsv, .jsonl, .ndjson, .json, .parquet, .arrow, .feather, .ipc"
        ],
    ),
    "no parquet": ("a.parquet", b"PAR1 or not", {}, ["data.source: a.parquet: is no Parquet file, or a damaged one: "]),
    "no arrow": ("a.arrow", b"not arrow", {}, ["data.source: a.arrow: is no Arrow file, or a damaged one: "]),
    "wrong column, close": (
        "a.csv",
        HEAD + GOOD,
        {"text": "txt"},
        ["data.text: a.csv has no column 'txt', did you mean text? Its columns are text, label"],
    ),
    "wrong columns, far": (
        "a.csv",
        HEAD + GOOD,
        {"text": "review", "label": "zzz"},
        [
            "data.text: a.csv has no column 'review'; known are text, label",
            "data.label: a.csv has no column 'zzz'; known are text, label",
        ],
    ),
    "one column for two": (
        "a.csv",
        HEAD + GOOD,
        {"label": "text"},
        ["data.text: column 'text' is named for two things; each needs its own"],
    ),
    "encoding": (
        "a.csv",
        HEAD + GOOD + b"caf\xe9,a\n",
        {},
        [
            "data.source: a.csv: is not utf-8: byte 0xe9 in line 32; "
            "give its own encoding with --encoding (data.encoding), such as latin-1 or cp1252"
        ],
    ),
    "unknown encoding": (
        "a.csv",
        HEAD + GOOD,
        {"encoding": "utf9"},
        ["data.source: a.csv: there is no encoding 'utf9'; such are utf-8 and latin-1"],
    ),
    "semicolons and commas": (
        "a.csv",
        b"text;label\n" + b"one, two;a\n" * 20,
        {},
        ["data.source: a.csv: is separated by ';'; save it with commas, or with tabs as .tsv"],
    ),
    "a NUL byte": (
        "a.csv",
        HEAD + GOOD + b"a\0b,a\n",
        {},
        ["data.source: a.csv: holds a NUL byte in line 32: it is no text, or --encoding (data.encoding) is utf-16"],
    ),
    "a spreadsheet": (
        "a.csv",
        b"PK\x03\x04 and so on",
        {},
        [
            "data.source: a.csv: is a zip or Excel file, whatever its name says; "
            "a table in one of the formats that are read is needed"
        ],
    ),
    "a bottomless list": ("a.json", b"[" * 100_000, {}, ["data.source: a.json: is not JSON: it is nested too deep"]),
    "a bottomless row": (
        "a.jsonl",
        b'{"a":' * 100_000,
        {},
        ["data.source: a.jsonl: line 1 is not JSON: it is nested too deep"],
    ),
    "a space in a heading": (
        "a.csv",
        b"text, label\n" + GOOD,
        {},
        ["data.label: a.csv has no column 'label', did you mean ' label'? Its columns are text, ' label'"],
    ),
    "comma in a text": (
        "a.csv",
        HEAD + b"good, really good,a\n" + GOOD,
        {},
        ["data.source: a.csv: line 2 has 3 fields and the header 2; quote texts that hold a comma"],
    ),
    "field missing": (
        "a.csv",
        HEAD + GOOD + b"lonely\n",
        {},
        ["data.source: a.csv: line 32 has 1 fields and the header 2; quote texts that hold a comma"],
    ),
    "open quote": (
        "a.csv",
        HEAD + GOOD + b'"never closed,a\nx,b\n',
        {},
        [
            "data.source: a.csv: malformed at line 32: "
            "a quotation mark opens there and never closes; double those inside a text"
        ],
    ),
    "semicolons": (
        "a.csv",
        GOOD.replace(b",", b";"),
        {},
        ["data.source: a.csv: is separated by ';'; save it with commas, or with tabs as .tsv"],
    ),
    "twin columns": (
        "a.csv",
        b"text,text\na,b\n",
        {},
        ["data.source: a.csv: has two columns called 'text'; rename one of them"],
    ),
    "broken jsonl": (
        "a.jsonl",
        b'{"text": "a", "label": 1}\n{"text"\n',
        {},
        ["data.source: a.jsonl: line 2 is not JSON: "],
    ),
    "jsonl of lists": (
        "a.jsonl",
        b"[1, 2]\n",
        {},
        ["data.source: a.jsonl: line 1 is no JSON object; each line has to be one, with the columns as keys"],
    ),
    "json of numbers": (
        "a.json",
        b"[1, 2]",
        {},
        ["data.source: a.json: is no list of JSON objects; each row has to be one, with the columns as keys"],
    ),
    "labels are lists": (
        "a.json",
        json.dumps([{"text": f"t{i}", "label": {"a": i}} for i in range(30)]).encode(),
        {},
        ["data.label: column 'label' holds lists, bytes or the like; it has to hold words or numbers"],
    ),
    "empty cells and repeated rows": (
        "a.csv",
        HEAD + b" ,a\n,b\nhi,\nt0,a\n" + GOOD + b"t2,a\n",
        {},
        [
            f"data.text: a.csv has 2 rows (rows 1, 2) with an empty 'text'; {CLEAN}",
            f"data.label: a.csv has 1 row (row 3) with an empty 'label'; {CLEAN}",
            f"data.source: a.csv has 2 rows (rows 5, 35) that repeat an earlier one; {CLEAN}",
        ],
    ),
    "many empty texts": (
        "a.csv",
        HEAD + b",a\n" * 9 + GOOD,
        {},
        [f"data.text: a.csv has 9 rows (rows 1, 2, 3, 4, 5, …) with an empty 'text'; {CLEAN}"],
    ),
    "small class": (
        "a.csv",
        HEAD + GOOD + b"x1,c\nx2,c\nx3,d\n",
        {},
        [
            "data.label: classes with fewer than 3 rows, too few to be split: 'd' (1), 'c' (2); "
            "add rows of them or take them out"
        ],
    ),
    "few rows, and some of them empty": (
        "a.csv",
        HEAD + GOOD[: GOOD.index(b"t17")] + b",a\n",
        {},
        [
            f"data.text: a.csv has 1 row (row 18) with an empty 'text'; {CLEAN}",
            "data.source: 17 usable rows in all are too few; at least 20 are needed",
        ],
    ),
    "one class": (
        "a.csv",
        HEAD + GOOD.replace(b",b", b",a"),
        {},
        ["data.label: column 'label' holds one class only ('a'); classification needs at least two"],
    ),
}


@pytest.mark.parametrize(("name", "content", "options", "lines"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_line_by_line(
    name: str, content: bytes, options: dict[str, Any], lines: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    found = problems(tmp_path / name, **options)
    assert len(found) == len(lines)
    for line, expected in zip(found, lines, strict=True):
        # What ends in a colon goes on in the words of the library that could not read the file.
        assert line.startswith(expected) if expected.endswith(": ") else line == expected
        assert "\n" not in line


def test_a_missing_file_is_told_from_its_neighbours(tmp_path: Path) -> None:
    save(table(), tmp_path / "reviews.csv")
    missing = tmp_path / "reviws.csv"
    assert problems(missing) == (f"data.source: there is no file {missing}, did you mean reviews.csv?",)
    lost = tmp_path / "no" / "a.csv"
    assert problems(lost) == (f"data.source: there is no file {lost}, nor the folder {lost.parent}; check the path",)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    assert "was not saved by datasets" in problems(tmp_path)[0]


def test_an_address_is_no_file() -> None:
    assert problems("https://me:s3cret@host/rows.csv") == (
        "data.source: https://host/rows.csv is an address; download the table, and give the file",
    )


def test_a_name_that_no_file_can_have() -> None:
    for ref in ("", " ", "x" * 300, "a/" + "x" * 300 + ".csv", "a\0b"):
        with pytest.raises(ValueError, match=r"is empty|no file and nothing on the hub can have"):
            DataSpec(source=ref)
    with pytest.raises(DataError, match=r"^--data: 'xxx.*… can't be a file: File name too long$"):
        data.read_texts("x" * 300 + ".csv", ["text"])


def test_an_unreachable_hub_is_one_line() -> None:
    # A process of its own, because the hub's client reads its settings once, when it is imported.
    code = (
        "from autoft import data, tasks; from autoft.spec import DataSpec\n"
        "from autoft.errors import DataError\n"
        "try: data.load(DataSpec(source='someone/reviews'), tasks.get('text-classification'), 0)\n"
        "except DataError as error: print(error)"
    )
    env = {"HF_HUB_OFFLINE": "1", "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout == (
        "data.source: someone/reviews is no file here, and the hub can't be reached; "
        "give a file or asset:NAME, or check the network\n"
    )


class Hub(BaseHTTPRequestHandler):
    """Has nothing, or lets nobody in; it counts how often it is asked."""

    asked = 0

    def do_GET(self) -> None:
        if self.path.startswith("/api/datasets/"):  # else its client asks what runs it, once a day
            type(self).asked += 1
        status, code = (403, "GatedRepo") if "gated" in self.path else (404, "RepoNotFound")
        self.send_response(503 if "busy" in self.path else status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    from huggingface_hub import constants

    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    Hub.asked = 0
    yield Hub
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("ref", "line"),
    [
        ("someone/reviews", "is neither a file here nor a data set on the hub that can be read; check its spelling"),
        ("someone/gated", "is a data set whose owner asks for your consent; accept the terms on its page"),
        ("busy", "is no file here, and the hub can't be reached; give a file"),
    ],
)
def test_a_hub_that_refuses_is_asked_once_and_never_seen(
    ref: str, line: str, hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = problems(ref)
    assert found.startswith(f"data.source: {ref} {line}")
    assert hub.asked == 1
    assert capfd.readouterr() == ("", "")


def test_what_looks_like_a_path_is_not_looked_for_on_the_hub(
    hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    save(table(), tmp_path / "data" / "reviews.csv")
    for ref in ("reviews.txt", "reviews.xlsx", "org/reviews.csv.gz", "data/revews", "./reviews", "~/reviews"):
        (line,) = problems(ref)
        assert line.startswith("data.source: there is no file ")
    assert problems("data/reviews") == ("data.source: there is no file data/reviews, did you mean reviews.csv?",)
    assert hub.asked == 0


def test_a_table_whose_ending_was_left_out_is_named(
    hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(table(), tmp_path / "reviews.csv")
    assert problems("reviews")[0].endswith("that can be read, did you mean reviews.csv?")


def test_nobody_waits_for_a_hub_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    from huggingface_hub import constants

    def wait(seconds: float) -> None:
        raise AssertionError(f"the hub's client would wait {seconds} s and try again")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", wait)
    assert problems("someone/reviews")[0].startswith("data.source: someone/reviews is no file here, and the hub can't")
    assert capfd.readouterr() == ("", "")


def test_an_unknown_asset_has_a_nearest_name() -> None:
    assert problems("asset:tweet") == ("asset:tweet: there is no such data set, did you mean tweets?",)


def test_the_problems_of_all_given_tables_come_together(tmp_path: Path) -> None:
    train = save(table(), tmp_path / "train.csv")
    (tmp_path / "test.csv").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load_parts(train=train, validation=tmp_path / "none.csv", test=tmp_path / "test.csv", label="lable")
    lines = caught.value.problems
    assert len(lines) == 3
    assert lines[0].startswith("data.validation: there is no file")
    assert lines[1].startswith("data.test: test.csv is empty")
    assert lines[2].startswith("data.label: train.csv has no column 'lable', did you mean label?")


# --- splitting ----------------------------------------------------------------------------------------------


def keys(splits: data.Splits) -> list[set[str]]:
    return [set(getattr(splits, part)["text"]) for part in PARTS]


def test_splits_are_disjoint_complete_and_in_the_tables_order(tmp_path: Path) -> None:
    rows = table(200)
    splits = load(save(rows, tmp_path / "a.csv"))
    train, validation, test = keys(splits)
    assert [len(train), len(validation), len(test)] == [140, 30, 30]
    assert train | validation | test == set(rows["text"])
    order = {text: i for i, text in enumerate(rows["text"])}
    for part in PARTS:
        places = [order[text] for text in getattr(splits, part)["text"]]
        assert places == sorted(places)
        assert list(getattr(splits, part).index) == list(range(len(places)))


def test_every_split_has_the_classes_in_the_same_shares(tmp_path: Path) -> None:
    splits = load(save(table(400), tmp_path / "a.csv"))
    for part in PARTS:
        assert (getattr(splits, part)["label"] == "negative").mean() == pytest.approx(0.25, abs=0.01)


def test_the_seed_decides_the_split(tmp_path: Path) -> None:
    path = save(table(), tmp_path / "a.csv")
    assert load(path, seed=1).fingerprint == load(path, seed=1).fingerprint
    assert load(path, seed=1).fingerprint != load(path, seed=2).fingerprint


def test_three_rows_of_a_class_are_enough(tmp_path: Path) -> None:
    rows = table(100)
    rows.loc[[1, 2, 3], "label"] = "rare"
    for seed in range(5):
        assert "rare" in set(load(save(rows, tmp_path / "a.csv"), seed=seed).train["label"])


def test_shares_that_starve_a_class_are_refused(tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": [f"t{i}" for i in range(21)], "label": [i % 7 for i in range(21)]})
    lines = problems(save(rows, tmp_path / "a.csv"), test_size=0.6, validation_size=0.2)
    assert lines[0].startswith("data.source: data.test_size 0.6 and data.validation_size 0.2 leave some class too few")


def test_without_classes_the_split_is_plain() -> None:
    rows = pd.DataFrame({"text": [f"t{i}" for i in range(50)], "label": [i / 7 for i in range(50)]})
    parts = splitting.split({"train": rows}, DataSpec(source="a.csv", test_size=0.2, validation_size=0.1), None, 0)
    assert [len(parts[part]) for part in PARTS] == [35, 5, 10]


def test_a_limit_draws_rows_in_the_shares_of_the_classes(tmp_path: Path) -> None:
    path = save(table(400), tmp_path / "a.csv")
    splits = load(path, limit=80)
    rows = pd.concat([splits.train, splits.validation, splits.test])
    assert len(rows) == 80
    assert (rows["label"] == "negative").sum() == 20
    assert splits.fingerprint == load(path, limit=80).fingerprint
    assert keys(splits) != keys(load(path, limit=80, seed=3))
    assert load(path, limit=1000).fingerprint == load(path).fingerprint


def test_a_limit_holds_for_all_given_splits_together(tmp_path: Path) -> None:
    paths = {
        part: save(table(n, start), tmp_path / f"{part}.csv")
        for part, n, start in zip(PARTS, (200, 50, 50), (0, 200, 250), strict=True)
    }
    splits = load_parts(**paths, limit=30)
    assert [len(getattr(splits, part)) for part in PARTS] == [20, 5, 5]


@pytest.mark.parametrize("sizes", [(10, 15, 15), (1, 1, 900), (30, 1, 9)])
@pytest.mark.parametrize("limit", [20, 39])
def test_a_limit_never_asks_for_rows_that_are_not_there(sizes: tuple[int, ...], limit: int) -> None:
    parts = {part: table(n) for part, n in zip(PARTS, sizes, strict=True)}
    drawn = splitting.draw(parts, limit, "label", 0)
    assert all(0 < len(drawn[part]) <= len(parts[part]) for part in PARTS)
    assert sum(map(len, drawn.values())) <= limit + 1


def test_a_limit_that_loses_a_class_says_how_much_it_takes(tmp_path: Path) -> None:
    rows = table(400)
    rows.loc[range(1, 5), "label"] = "rare"
    path = save(rows, tmp_path / "a.csv")
    lines = problems(path, limit=40)
    assert lines == (lines[0],)
    assert lines[0].startswith("data.label: classes with fewer than 3 rows, too few to be split: 'rare' (")
    assert lines[0].endswith("raise data.limit to about 300")
    assert set(load(path, limit=300).train["label"]) == {"positive", "negative", "rare"}


# --- cleaning -----------------------------------------------------------------------------------------------


def test_clean_drops_and_tells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(HEAD + b" ,a\nhi,\nt0,a\n" + GOOD)
    (tmp_path / "b.csv").write_bytes(HEAD + GOOD)
    splits = load(tmp_path / "a.csv", clean=True)
    assert splits.fingerprint == load(tmp_path / "b.csv").fingerprint
    assert splits.notes == (
        "data.text: a.csv has 1 row (row 1) with an empty 'text'; dropped",
        "data.label: a.csv has 1 row (row 2) with an empty 'label'; dropped",
        "data.source: a.csv has 1 row (row 4) that repeat an earlier one; dropped",
    )


def test_a_row_in_two_given_splits_is_refused_or_dropped_from_training(tmp_path: Path) -> None:
    rows = table(60)
    paths = {
        "train": save(rows[:50], tmp_path / "train.csv"),
        "validation": save(rows[48:54], tmp_path / "validation.csv"),
        "test": save(rows[52:], tmp_path / "test.csv"),
    }
    with pytest.raises(DataError) as caught:
        load_parts(**paths)
    assert caught.value.problems == (
        f"data.train: train.csv has 2 rows (rows 49, 50) that stand in validation too; {CLEAN}",
        f"data.validation: validation.csv has 2 rows (rows 5, 6) that stand in test too; {CLEAN}",
    )
    splits = load_parts(**paths, clean=True)
    assert [len(getattr(splits, part)) for part in PARTS] == [48, 4, 8]
    train, validation, test = keys(splits)
    assert not train & validation and not train & test and not validation & test


# --- given splits -------------------------------------------------------------------------------------------


def test_given_splits_stay_and_missing_ones_are_taken_from_train(tmp_path: Path) -> None:
    train, test = table(100), table(30, start=100)
    splits = load_parts(train=save(train, tmp_path / "a.jsonl"), test=save(test, tmp_path / "b.parquet"))
    assert list(splits.test["text"]) == list(test["text"])
    assert [len(splits.train), len(splits.validation)] == [85, 15]
    assert not set(splits.train["text"]) & set(splits.validation["text"])


def test_numbers_in_csv_and_in_json_are_the_same_labels(tmp_path: Path) -> None:
    rows = table(60).assign(label=[i % 2 for i in range(60)])
    splits = load_parts(train=save(rows[:50], tmp_path / "a.csv"), test=save(rows[50:], tmp_path / "b.jsonl"))
    assert set(splits.train["label"]) == set(splits.test["label"]) == {0, 1}


def test_the_splits_of_a_saved_folder_are_used_and_an_unlabelled_test_is_not(tmp_path: Path) -> None:
    rows = table(100).assign(label=[i % 2 for i in range(100)])
    hidden = table(20, start=200).assign(label=-1)
    folder = datasets.DatasetDict(
        train=datasets.Dataset.from_pandas(rows[:80], preserve_index=False),
        validation=datasets.Dataset.from_pandas(rows[80:], preserve_index=False),
        test=datasets.Dataset.from_pandas(hidden, preserve_index=False),
    )
    folder.save_to_disk(str(tmp_path / "d"))
    splits = load(tmp_path / "d")
    assert list(splits.test["text"]) == list(rows["text"][80:])
    assert [len(splits.train), len(splits.validation)] == [68, 12]
    assert set(splits.train["text"]) | set(splits.validation["text"]) == set(rows["text"][:80])
    assert splits.notes == (
        f"{tmp_path / 'd'} (test) has no labels; the rows of validation are the test instead, and validation is "
        f"taken from the training rows",
    )


def test_a_label_that_training_never_sees_is_refused(tmp_path: Path) -> None:
    test = table(20, start=60).assign(label="other")
    with pytest.raises(DataError, match=r"data\.test: label 'other' never occurs in training"):
        load_parts(train=save(table(60), tmp_path / "a.csv"), test=save(test, tmp_path / "b.csv"))


# --- the disk -----------------------------------------------------------------------------------------------


def test_splits_survive_the_disk(tmp_path: Path) -> None:
    rows = table(60).assign(label=[i % 2 for i in range(60)])
    splits = load(save(rows, tmp_path / "a.csv"))
    data.write(load(tmp_path / "a.csv", seed=5), tmp_path / "kept")
    data.write(splits, tmp_path / "kept")  # replaces the ones before
    back = data.read(tmp_path / "kept")
    assert back.fingerprint == splits.fingerprint
    for part in PARTS:
        pd.testing.assert_frame_equal(getattr(back, part), getattr(splits, part))
        pd.testing.assert_frame_equal(data.read_part(tmp_path / "kept", part), getattr(splits, part))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "kept"]


def test_splits_that_were_tampered_with_are_refused(tmp_path: Path) -> None:
    splits = load(save(table(), tmp_path / "a.csv"))
    data.write(splits, tmp_path / "kept")
    splits.test.to_parquet(tmp_path / "kept" / "validation.parquet")
    with pytest.raises(DataError, match="not those that the search began with"):
        data.read(tmp_path / "kept")
    (tmp_path / "kept" / "validation.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"validation\.parquet: can't be read"):
        data.read(tmp_path / "kept")
    (tmp_path / "kept" / "validation.parquet").unlink()
    with pytest.raises(DataError, match=r"validation\.parquet: can't be read"):
        data.read_part(tmp_path / "kept", "validation")


def test_the_fingerprint_is_the_same_in_another_process(tmp_path: Path) -> None:
    path = save(table(), tmp_path / "a.csv")
    code = (
        "import sys; from autoft import data, tasks; from autoft.spec import DataSpec\n"
        "print(data.load(DataSpec(source=sys.argv[1]), tasks.get('text-classification'), 0).fingerprint)"
    )
    env = {"PYTHONHASHSEED": "7", "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == load(path).fingerprint


@pytest.mark.parametrize("name", FORMATS[:-1])
def test_texts_to_predict_need_no_label(name: str, tmp_path: Path) -> None:
    rows = table(5)[["text"]]
    assert list(data.read_texts(save(rows, tmp_path / name), [Column("text")])["text"]) == list(rows["text"])


def test_texts_to_predict_are_checked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,b\nhello,1\n ,2\n", encoding="utf-8")
    for columns, expected in (
        (
            ["text"],
            "--data: a.csv has 1 row (row 2) with an empty 'text'; fill them, or pass --clean to leave them out",
        ),
        (["txt"], "--data: a.csv has no column 'txt', did you mean text? Its columns are text, b"),
    ):
        with pytest.raises(DataError) as caught:
            data.read_texts(tmp_path / "a.csv", [Column(name) for name in columns])
        assert caught.value.problems == (expected,)
    with pytest.raises(DataError, match="--data: there is no file"):
        data.read_texts(tmp_path / "none.csv", [Column("text")])


def test_texts_to_predict_keep_their_neighbours_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": 5, "b": [1]}\n{"text": " "}\n{"id": 3, "text": "x"}\n')
    rows = data.read_texts(tmp_path / "a.jsonl", [Column("text")], clean=True)
    assert rows.to_dict("records") == [{"id": 1, "text": "5", "b": [1]}, {"id": 3, "text": "x", "b": None}]


SPLIT = ["train"] * 24 + ["val"] * 8 + [" Test"] * 8


def test_a_column_may_say_which_part_a_row_belongs_to(tmp_path: Path) -> None:
    rows = table().assign(fold=SPLIT)
    splits = load(save(rows, tmp_path / "a.csv"), split="fold")
    for part, here in (("train", rows[:24]), ("validation", rows[24:32]), ("test", rows[32:])):
        assert list(getattr(splits, part)["text"]) == list(here["text"])
    assert list(splits.train.columns) == ["text", "label"]
    assert splits.notes == ()
    partly = load(save(rows.assign(fold=["train"] * 32 + ["test"] * 8), tmp_path / "b.jsonl"), split="fold")
    assert list(partly.test["text"]) == list(rows["text"][32:])
    assert len(partly.validation) > 0


def test_a_column_of_parts_that_nobody_asked_for_is_noted(tmp_path: Path) -> None:
    (note,) = load(save(table().assign(fold=SPLIT), tmp_path / "a.csv")).notes
    assert note.startswith("column 'fold' says train, validation or test for each row, and is not used")
    assert "--split fold" in note
    for other in (["train"] * 40, ["train"] * 39 + ["?"], range(40)):
        assert load(save(table().assign(fold=other), tmp_path / "b.csv")).notes == ()


def test_a_column_of_parts_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    path = save(table().assign(fold=["train"] * 30 + ["tset"] * 8 + [None, "test"]), tmp_path / "a.csv")
    assert problems(path, split="fold") == (
        "data.split: a.csv has 8 rows (rows 31, 32, 33, 34, 35, …) whose 'fold' is 'tset'; "
        "it has to be train, validation (or dev, val, valid) or test",
        "data.split: a.csv has 1 row (row 39) whose 'fold' is empty; "
        "it has to be train, validation (or dev, val, valid) or test",
    )
    assert problems(path, split="flod") == (
        "data.split: a.csv has no column 'flod', did you mean fold? Its columns are text, label, fold",
    )
    assert "is named for two things" in problems(path, split="label")[0]
    without = save(table().assign(fold="test"), tmp_path / "b.csv")
    assert problems(without, split="fold") == ("data.split: b.csv has no row whose 'fold' is train",)
    with pytest.raises(ValueError, match="`split` goes with `source`"):
        DataSpec(train="a.csv", split="fold")


def test_rows_of_a_column_of_parts_keep_their_numbers(tmp_path: Path) -> None:
    rows = table().assign(fold=SPLIT)
    rows.loc[35, "text"] = ""
    assert problems(save(rows, tmp_path / "a.csv"), split="fold") == (
        f"data.text: a.csv has 1 row (row 36) with an empty 'text'; {CLEAN}",
    )


def test_labels_that_are_probably_a_slip_are_noted(tmp_path: Path) -> None:
    labels = ["yes", "Yes", "no", "no ", "none", "NaN"] * 8
    path = save(pd.DataFrame({"text": map(str, range(48)), "label": labels}), tmp_path / "a.csv")
    assert load(path).notes == (
        "8 rows have the label 'NaN', which counts as a class; if it means that there is none, "
        "empty those cells and pass --clean",
        "labels that differ only in case or in spaces are classes of their own: 'Yes', 'yes'; 'no', 'no '",
    )
    assert load(save(table(), tmp_path / "b.csv")).notes == ()


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_numbers_too_long_for_any_column_are_names(name: str, tmp_path: Path) -> None:
    rows = [{"text": f"t {i}", "label": 10**30 + i % 2} for i in range(40)]
    if name == "a.csv":
        pd.DataFrame(rows, dtype=object).to_csv(tmp_path / name, index=False)
    else:
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    splits = load(tmp_path / name)
    assert set(splits.train["label"]) == {str(10**30), str(10**30 + 1)}
    data.write(splits, tmp_path / "kept")  # Arrow has nothing that would hold them as numbers
    assert data.read(tmp_path / "kept").fingerprint == splits.fingerprint


def test_half_a_surrogate_pair_does_not_stop_a_search(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"\ud800 {i}", "label": i % 2}) for i in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    splits = load(tmp_path / "a.jsonl")
    assert splits.train["text"].str.startswith("\ufffd ").all()
    data.write(splits, tmp_path / "kept")
    assert data.read(tmp_path / "kept").fingerprint == splits.fingerprint


def test_pairs_of_texts_keep_both(tmp_path: Path) -> None:
    rows = table().assign(other=[f"second {i}" for i in range(40)])
    splits = load(save(rows, tmp_path / "a.csv"), text_pair="other")
    assert list(splits.train.columns) == ["text", "other", "label"]
