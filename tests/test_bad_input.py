"""Everything that a user may get wrong: a clear line each, exit 2, and nothing written."""

import errno
import itertools
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from autoft.cli import app as cli


@pytest.fixture
def here(tmp_path, monkeypatch, tiny_bert, tiny_data):
    """A folder with a good table and a good model, as the working directory."""
    monkeypatch.chdir(tmp_path)
    tiny_data.drop_duplicates().to_csv("good.csv", index=False)
    shutil.copytree(tiny_bert, "model")
    return tmp_path


def search(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        cli.main(["search", "--task", "text-classification", "--model", "model", *arguments])
    captured = capsys.readouterr()
    return left.value.code, captured.err


def rows(*lines, name="bad.csv", head="text,label", encoding="utf-8"):
    def write():
        Path(name).write_text("\n".join((head, *lines)) + "\n", encoding=encoding)

    return write


def good(count=40):
    return [f"text number {i},{'yes' if i % 2 else 'no'}" for i in range(count)]


def only_bin():
    shutil.copytree("model", "bin")
    Path("bin/model.safetensors").rename("bin/pytorch_model.bin")


def nothing():
    pass


BAD = ["--data", "bad.csv"]
GOOD = ["--data", "good.csv"]

CASES = {
    "missing file": (nothing, ["--data", "godo.csv"], ["godo.csv", "good.csv"]),
    "empty file": (Path("bad.csv").touch, BAD, ["bad.csv", "empty"]),
    "header only": (rows(), BAD, ["bad.csv", "no rows"]),
    "wrong column": (nothing, [*GOOD, "--text", "txt"], ["data.text", "'txt'", "did you mean text?"]),
    "one class only": (rows(*[f"text {i},yes" for i in range(40)]), BAD, ["one class only", "'yes'"]),
    "empty texts": (rows(*good(), ",yes", "  ,no"), BAD, ["empty", "41", "42", "--clean"]),
    "missing labels": (rows(*good(), "a text,"), BAD, ["label", "41", "--clean"]),
    "repeated rows": (rows(*good(), *good(2)), BAD, ["repeat", "41", "42", "--clean"]),
    "unreadable encoding": (
        rows(*good(), "caf\u00e9,yes", encoding="latin-1"), BAD, ["bad.csv", "utf-8", "encoding"]
    ),
    "too few rows": (rows(*good(6)), BAD, ["6", "rows"]),
    "label that training never saw": (
        rows(*good(), "one more,perhaps", name="test.csv"),
        [*GOOD, "--set", "data={train: good.csv, test: test.csv}"][2:],
        ["data.test", "'perhaps'"],
    ),
    "unknown key": (nothing, [*GOOD, "--set", "space.learning_rte=1e-4"], ["space.learning_rte", "learning_rate?"]),
    "unknown metric": (nothing, [*GOOD, "--metric", "acuracy"], ["metric", "did you mean accuracy?"]),
    "unknown task": (nothing, [*GOOD, "--task", "text-clasification"], ["task", "did you mean text-classification?"]),
    "unknown model": (nothing, [*GOOD, "--model", "asset:minilm"], ["asset:minilm", "minilm-l6"]),
    "no model in the folder": (Path("none").mkdir, [*GOOD, "--model", "./none"], ["none", "config.json"]),
    "a checkpoint of .bin only": (only_bin, [*GOOD, "--model", "./bin"], ["bin", "safetensors"]),
    "low above high": (
        nothing, [*GOOD, "--set", "space.learning_rate={low: 1e-3, high: 1e-5}"], ["space.learning_rate", "not below"]
    ),
    "too deep": (nothing, [*GOOD, "--set", "space.freeze_depth=[9]"], ["space.freeze_depth", "blocks"]),
    "more workers than cores": (nothing, [*GOOD, "--workers", "4096"], ["resources.workers", "4096", "cores"]),
    "no duration": (nothing, [*GOOD, "--budget", "soon"], ["budget", "'soon'", "10m"]),
    "a name that leaves its folder": (nothing, [*GOOD, "--name", "../up"], ["name", "'../up'"]),
    "a pickle of a spec": (
        lambda: Path("spec.yaml").write_text("task: !!python/object/apply:os.system ['touch pwned']\n"),
        ["spec.yaml"],
        ["spec.yaml", "not YAML"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "arguments", "fragments"), CASES.values(), ids=CASES)
def test_one_clear_line(here, capsys, make, arguments, fragments):
    make()
    code, said = search(capsys, *arguments)
    lines = said.strip().splitlines()
    assert code == 2, said
    assert all(line.startswith("error: ") for line in lines)
    assert all(fragment in said for fragment in fragments), said
    assert "Traceback" not in said
    assert not (here / "runs").exists(), "nothing half-written"
    assert not (here / "pwned").exists()


def test_a_full_disk_is_noticed_before_anything_is_written(here, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    code, said = search(capsys, *GOOD)
    assert code == 2
    assert "the disk has 0.0 GiB free" in said
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        ("good.csv", "--runs good.csv: {here}/good.csv is a file; name a folder"),
        ("good.csv/runs", "--runs good.csv/runs: {here}/good.csv is a file; name a folder"),
        ("/dev/null", "--runs /dev/null: /dev/null is no folder; name a folder"),
        ("n" * 300, f"--runs {'n' * 300}: can't be used: File name too long"),
        ("locked", "--runs locked: you may not write to {here}/locked; name another folder"),
    ],
    ids=["a file", "below a file", "a device", "a long name", "a locked folder"],
)
def test_runs_that_can_hold_no_search(runs, line, here, capsys, monkeypatch):
    (here / "locked").mkdir()
    may = os.access  # root may write anywhere
    locked = lambda path, how: Path(path).name == "locked" and how & os.W_OK  # noqa: E731
    monkeypatch.setattr(os, "access", lambda path, how: not locked(path, how) and may(path, how))
    code, said = search(capsys, *GOOD, "--runs", runs)
    assert (code, said) == (2, f"error: {line.format(here=here)}\n")
    with pytest.raises(SystemExit) as left:
        cli.main(["check", "--task", "text-classification", "--model", "model", *GOOD, "--runs", runs])
    assert (left.value.code, capsys.readouterr().err) == (2, f"error: {line.format(here=here)}\n")


@pytest.mark.parametrize("step", ["tempfile.mkdtemp", "autoft.folder.write_yaml"])
def test_a_disk_that_is_full_is_one_line_and_nothing_is_kept(step, here, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(step, full)
    code, said = search(capsys, *GOOD)
    assert code == 2
    assert "No space left on device" in said and len(said.splitlines()) == 1
    assert not list((here / "runs").iterdir())


@pytest.mark.parametrize("command", [["show"], ["show", "x"], ["resume", "x"], ["predict", "x", "a text"], ["ui"]])
def test_runs_that_are_a_file_hold_nothing(command, here, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([*command, "--runs", "good.csv"])
    captured = capsys.readouterr()
    assert left.value.code == 2 and len(captured.err.splitlines()) == 1 and captured.out == ""


def test_several_problems_are_said_at_once(here, capsys):
    code, said = search(capsys, *GOOD, "--metric", "acuracy", "--text", "txt", "--workers", "4096")
    assert code == 2
    assert len(said.strip().splitlines()) == 3


# What may be wrong, and what its line says.
FAULTS = {
    "space": (["--set", "space.learning_rte=1"], "space.learning_rte: unknown key"),
    "a range": (["--set", "space.epochs={low: 3, high: 1}"], "space.epochs: "),
    "model": (["--model", "./none"], "/none has no config.json"),
    "hub model": (["--model", "org/none"], "model org/none: "),
    "asset": (["--model", "asset:minilm"], "asset:minilm: "),
    "data": (["--data", "gone.csv"], "data.source: there is no file gone.csv"),
    "data on the hub": (["--data", "org/reviews"], "data.source: org/reviews "),
    "column": (["--text", "txt"], "data.text: "),
    "limit": (["--limit", "1"], "data.limit: "),
    "task": (["--task", "text-clasification"], "task: "),
    "metric": (["--metric", "acuracy"], "metric: "),
    "budget": (["--budget", "soon"], "search.budget: "),
    "trials": (["--trials", "0"], "search.trials: "),
    "workers": (["--workers", "4096"], "resources.workers: "),
    "cores": (["--set", "resources.cpus_per_trial=some"], "resources.cpus_per_trial: "),
    "runs": (["--runs", "good.csv"], "--runs good.csv: "),
    "name": (["--name", "a b"], "name: "),
    "uri": (["--tracking-uri", "http://me:pw@host"], "tracking.uri: "),
    "section": (["--set", "search=5"], "search: "),
    "own space": (["--set", "per_model={other: {epochs: 2}}"], "per_model.other: "),
}
# One can't be seen where the other is: there are no columns without a table, and no metrics without a task.
BLIND = [
    {"data", "column"}, {"data on the hub", "column"}, {"data", "data on the hub"}, {"task", "metric"},
    {"task", "column"}, {"workers", "cores"}, {"section", "budget"}, {"section", "trials"},
]  # fmt: skip


def test_no_problem_hides_another(here, capsys, monkeypatch):
    """Every pair of faults, and all of them at once: each has its line."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    (here / "none").mkdir()

    def check(*names):
        arguments = ["--task", "text-classification", "--data", "good.csv", "--model", "model"]
        for name in names:
            arguments += FAULTS[name][0]
        with pytest.raises(SystemExit) as left:
            cli.main(["check", *arguments])
        lines = capsys.readouterr().err.splitlines()
        assert left.value.code == 2
        return lines

    for pair in itertools.combinations(FAULTS, 2):
        if set(pair) in BLIND:
            continue
        lines = check(*pair)
        assert len(lines) == 2, (pair, lines)
        for name in pair:
            assert any(FAULTS[name][1] in line for line in lines), (pair, lines)
    most = [name for name in FAULTS if name not in {"data on the hub", "column", "metric", "cores", "budget", "trials"}]
    assert len(check(*most)) == len(most)


def test_a_model_under_two_names_is_one(here, capsys):
    code, said = search(capsys, *GOOD, "--model", "./model/")
    assert (code, said) == (2, f"error: models: {here / 'model'} stands there twice\n")


def test_a_point_to_start_from_may_name_its_model_as_the_user_does(here, capsys):
    for start, code in (("[{model: ./model, epochs: 2}]", 0), ("[{model: [1]}]", 2)):
        arguments = ["--task", "text-classification", "--model", "model", *GOOD, "--set", f"search.start={start}"]
        with pytest.raises(SystemExit) as left:
            cli.main(["check", *arguments])
        assert (left.value.code or 0) == code
    assert "search.start[0].model: [1] is not among the models" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "resume", "predict"])
def test_a_name_that_no_folder_can_have_is_one_line(command, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([command, "n" * 300, *(["a text"] if command == "predict" else [])])
    (line,) = capsys.readouterr().err.splitlines()
    assert left.value.code == 2 and "no search and no folder can have such a name" in line


def test_what_a_file_holds_does_not_steer_the_terminal(here, capsys):
    rows(*good(), head="\x1b[2Jtext,label\x1b]0;owned\x07")()
    code, said = search(capsys, *BAD)
    assert code == 2 and "\x1b" not in said and "\x07" not in said
    assert r"\x1b[2Jtext" in said


def test_notes_on_the_rows_are_shown_by_check(here, capsys):
    Path("twice.csv").write_text("text,label\n" + "\n".join([*good(), *good(2)]) + "\n")
    with pytest.raises(SystemExit) as left:
        cli.main(["check", "--task", "text-classification", "--model", "model", "--data", "twice.csv", "--clean"])
    assert not left.value.code
    assert "2 rows (rows 41, 42) that repeat" in " ".join(capsys.readouterr().out.split())


def test_a_search_of_that_name_is_left_alone(here, capsys):
    (here / "runs" / "good").mkdir(parents=True)
    (here / "runs" / "good" / "mine.txt").write_text("precious")
    code, said = search(capsys, *GOOD)
    assert code == 2
    assert "--replace" in said
    assert (here / "runs" / "good" / "mine.txt").read_text() == "precious"
    assert [path.name for path in (here / "runs").iterdir()] == ["good"]
