"""The command line: what it says, where it says it, and the code that it leaves with."""

import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tracking_samples import with_finals

from autoft.cli import app as cli
from autoft.cli import options
from autoft.cli.check import finals_line
from autoft.cli.final import final
from autoft.cli.lines import Lines
from autoft.cli.screen import Screen, view
from autoft.cli.sparkline import improvements, sparkline
from autoft.errors import InputError, Interrupted, SearchError, SpecError
from autoft.records import Direction, Report, SearchRecord, Snapshot, TrialConfig, TrialRecord, TrialState
from autoft.report import build
from autoft.spec import Finals
from autoft.words import RUNS

COMMANDS = ("search", "check", "resume", "show", "predict", "export", "ui", "tasks", "assets")
HEAVY = ("torch", "transformers", "pandas", "numpy", "optuna", "ray", "mlflow", "sklearn", "datasets")
TINY, LARGE = "asset:bert-tiny", "asset:minilm-l6"


def run(*arguments: str) -> int:
    """The exit code of `autoft` with these arguments, in this process."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    code = left.value.code
    return int(code) if code is not None else 0


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


# --- help, and what it costs ---


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom autoft.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as left: assert not left.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_examples_that_it_understands(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    said = plain(capsys.readouterr().out)
    assert "Examples:" in said
    examples = re.findall(rf"autoft {command}\b[^\n]*", said)
    known = set(re.findall(r"--[a-z][a-z-]+", said[said.index("Options") :]))
    assert examples
    for example in examples:
        assert set(re.findall(r"--[a-z][a-z-]+", example)) <= known


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    captured = capsys.readouterr()
    assert all(command in captured.out + captured.err for command in COMMANDS)


# --- errors ---


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good table `a.csv` in the working directory: what is said is then of the rest."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"text {i},{i % 2}\n" for i in range(40))
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["tasks", "text-clasification"],
            "error: task: there is no task 'text-clasification', did you mean text-classification?",
        ),
        (["predict", "x", "a text", "--out", "a.txt"], "error: --out a.txt: the ending has to be .csv or .jsonl"),
        (["predict", "x", "a text", "--data", "a.csv"], "error: --data: texts are given as well; keep one of the two"),
        (["check", "gone.yaml"], "error: gone.yaml: there is no such file"),
        (
            ["check", "--task", "text-classification"],
            "error: data: missing; say where the data are, for example `data: reviews.csv`",
        ),
        (["search", "--set", "epochs"], "error: --set epochs: not KEY=VALUE, as in --set space.learning_rate=3e-5"),
        (
            ["check", "--task", "text-classification", "--data", "a.csv", "--budget", "soon"],
            "error: search.budget: 'soon' is no duration; write for example 90s, 10m or 1h30m",
        ),
        (
            ["check", "--task", "text-classification", "--data", "a.csv", "--set", "space.learning_rte=1e-4"],
            "error: space.learning_rte: unknown key, did you mean learning_rate?",
        ),
        (
            ["ui", "nothing", "--runs", "nowhere"],
            "error: there is no search 'nothing' in nowhere; `autoft show --all` lists them",
        ),
        (
            ["ui", "--runs", "nowhere"],
            "error: --runs nowhere: there is no such folder, so there are no searches to show",
        ),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [line]
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["serch"], ["search", "--modle", "x"], ["search", "--trials", "many"]])
def test_an_unknown_word_on_the_command_line_is_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("command", [["show", "nothing"], ["resume", "nothing"], ["predict", "nothing", "a text"]])
def test_a_search_that_is_not_there_is_named(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "nothing" in line


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (InputError("a: wrong", "b: wrong"), 2, ["error: a: wrong", "error: b: wrong"]),
        (SearchError("no trial gave a model"), 1, ["error: no trial gave a model"]),
        (Interrupted("stopped; go on with: autoft resume x"), 130, ["stopped; go on with: autoft resume x"]),
        (KeyboardInterrupt(), 130, ["stopped"]),
    ],
)
def test_every_error_has_its_code(
    error: BaseException,
    code: int,
    lines: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(**_: Any) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    assert run() == code
    assert capsys.readouterr().err.splitlines() == lines


def test_a_bug_is_one_line_and_its_details_are_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: Any) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(cli, "app", fails)
    assert run() == 1
    line, hint = capsys.readouterr().err.splitlines()
    found = re.fullmatch(r"error: unexpected RuntimeError: first line; the details are in (.+)", line)
    assert found is not None
    details = Path(found[1])
    try:
        assert "Traceback" in details.read_text() and "second line" in details.read_text()
    finally:
        details.unlink()
    assert "AUTOFT_DEBUG" in hint
    monkeypatch.setenv("AUTOFT_DEBUG", "1")
    assert run() == 1
    assert "Traceback" in capsys.readouterr().err


def test_no_secret_gets_into_the_details_of_a_bug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database's driver repeats the URI it was given, and a hub's client the header that it sent."""
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789abcdef")
    monkeypatch.setenv("PGPASSWORD", "correct horse")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")

    def fails(**_: Any) -> None:
        try:
            raise OSError("no route to postgresql://me:s3cret@host/db?sslpassword=s3cret")
        except OSError:
            raise RuntimeError("false start: Bearer hf_0123456789abcdef, correct horse, mysql://u:s3cret@h")  # noqa: B904

    monkeypatch.setattr(cli, "app", fails)
    for debug in ("", "1"):
        monkeypatch.setenv("AUTOFT_DEBUG", debug)
        assert run() == 1
        said = capsys.readouterr().err
        if not debug:
            kept = Path(re.findall(r"the details are in (.+)", said)[0])
            assert kept.stat().st_mode & 0o077 == 0, "others may not read it"
            said += kept.read_text()
            kept.unlink()
        for secret in ("s3cret", "hf_0123456789abcdef", "correct horse"):
            assert secret not in said
        assert "false start: Bearer ***, ***, mysql://h" in said


def test_the_hubs_client_is_told_to_send_nothing_of_its_own() -> None:
    program = (
        "from autoft.cli import main\ntry: main(['tasks'])\nexcept SystemExit: pass\n"
        "from huggingface_hub import constants\nassert constants.HF_HUB_DISABLE_TELEMETRY"
    )
    environment = {key: value for key, value in os.environ.items() if "TELEMETRY" not in key and key != "DO_NOT_TRACK"}
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, env=environment, check=True)


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -c 'from autoft.cli import main; main()' tasks --json"
    done = subprocess.run(["bash", "-c", f"{command} | head -c 1"], capture_output=True, text=True, check=True)
    assert done.stdout == "["
    assert "Traceback" not in done.stderr


# --- options ---


def test_only_what_the_user_gave_is_passed_on() -> None:
    assert options.given(None, task="t", budget=None, clean=False) == {"task": "t", "clean": False}


def test_any_entry_of_the_spec_can_be_set() -> None:
    settings = ["space.learning_rate={low: 1e-5, high: 1e-3}", "space.epochs=[1, 2]", "search.eta=4", "data.limit=50"]
    assert options.given(settings, data="a.csv") == {
        "data": "a.csv",
        "limit": 50,
        "space": {"learning_rate": {"low": 1e-5, "high": 1e-3}, "epochs": [1, 2]},
        "search": {"eta": 4},
    }


@pytest.mark.parametrize(
    "settings",
    [["=1"], ["a..b=1"], ["a"], ["space.epochs=1", "space.epochs=2"], ["task.x=1"], ["space=[", "a"], ["data.limt=5"]],
)
def test_a_setting_that_makes_no_sense_is_refused(settings: list[str]) -> None:
    with pytest.raises(SpecError, match="--set"):
        options.given(settings, task="t")


def test_options_reach_the_spec_before_the_file(tmp_path: Path) -> None:
    from autoft import api

    file = tmp_path / "mine.yaml"
    file.write_text("task: text-classification\ndata: {source: a.csv, text: t}\nsearch: {trials: 3, eta: 2}\n")
    given = options.given(["data.limit=50", "search.patience=2", "space.epochs=2"], trials=9, label="y")
    spec = api.make_spec(file, **given)
    assert (spec.name, spec.data.source, spec.data.text, spec.data.label) == ("mine", "a.csv", "t", "y")
    assert (spec.data.limit, spec.search.trials, spec.search.eta, spec.search.patience) == (50, 9, 2, 2)
    assert list(spec.space) == ["epochs"]


def test_check_takes_every_option_of_search(capsys: pytest.CaptureFixture[str]) -> None:
    known = {}
    for command in ("search", "check"):
        assert run(command, "--help") == 0
        said = plain(capsys.readouterr().out)
        known[command] = set(re.findall(r"--[a-z][a-z-]+", said[said.index("Options") :]))
    assert {"--tracking-uri", "--experiment", "--name", "--replace", "--set"} <= known["search"]
    assert known["check"] == known["search"]


@pytest.mark.parametrize(
    ("finals", "said"),
    [
        ({}, "the 2 best trials, again with 2 other seeds; the plain recipe; a soup"),
        ({"finalists": 1, "repeats": 1, "soup": False}, "the best trial, again with 1 other seed; the plain recipe"),
        ({"finalists": 3, "repeats": 0, "plain": False}, "the 3 best trials; a soup"),
        ({"finalists": 1, "repeats": 0, "plain": False, "soup": False}, "none, the best trial wins"),
    ],
)
def test_check_says_what_the_finals_train(finals: dict[str, Any], said: str) -> None:
    assert finals_line(Finals(**finals)) == said


@pytest.mark.parametrize("setting", ["search=5", "space=5", "per_model=5", "tracking=sqlite", "resources=[1]"])
def test_a_section_set_to_a_single_value_is_one_line(
    setting: str, capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    assert run("search", "--task", "text-classification", "--data", "a.csv", "--set", setting) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {setting.partition('=')[0]}: found ")


def test_a_password_is_repeated_by_no_message(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    for uri in (
        "http://me:s3cret@h",
        "postgresql://me:s3cret@h/db",
        "https://s3cret@h",
        "mysql://h/db?password=s3cret",
    ):
        for option in (
            ["--tracking-uri", uri],
            ["--set", f"tracking.uri={uri}"],
            ["--set", f"tracking={uri}"],
            ["--set", f"tracking.uri=[{uri}]"],
            ["--set", f"tracking.uri.x={uri}"],
            ["--set", f"tracking.uri={uri}", "--set", f"tracking.uri={uri}"],
        ):
            assert run("check", "--task", "text-classification", "--data", "a.csv", *option) == 2
            captured = capsys.readouterr()
            assert len(captured.err.splitlines()) == 1
            assert "s3cret" not in captured.err + captured.out, option


@pytest.mark.parametrize("trials", ["0", "-3"])
def test_resume_refuses_fewer_trials_than_one(trials: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("resume", "nothing", "--trials", trials) == 2
    assert "--trials" in plain(capsys.readouterr().err)


# --- lists ---


def test_tasks_and_assets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tasks") == 0
    assert "text-classification" in capsys.readouterr().out
    assert run("tasks", "text-classification", "--json") == 0
    (task,) = json.loads(capsys.readouterr().out)
    assert task["name"] == "text-classification" and task["metrics"]["loss"] == "minimize"
    assert run("assets", "--json") == 0
    assert {asset["name"] for asset in json.loads(capsys.readouterr().out)} >= {"bert-tiny", "tweets"}
    assert run("assets") == 0
    said = capsys.readouterr().out
    assert "asset:tweets" in said and "MIT" in said


def test_an_empty_folder_of_runs_says_how_to_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "--all", "--runs", str(tmp_path)) == 0
    assert "autoft search" in capsys.readouterr().out
    assert run("show", "--json", "--runs", str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out) == []


# --- screens ---


def trial(
    number: int, *values: float, state: TrialState = TrialState.OPEN, reason: str = "", **config: Any
) -> TrialRecord:
    recipe = {"model": LARGE, "learning_rate": 3e-5, "batch_size": 16, "epochs": 2, "freeze_depth": 0, **config}
    reports = tuple(
        Report(100 * 3**i, value, {"accuracy": value}, 0.4, 2.0 * (i + 1), 1e9 + i) for i, value in enumerate(values)
    )
    finished = None if state is TrialState.OPEN else 1e9 + number
    return TrialRecord(number, TrialConfig(**recipe), state, reports, reason, 1e9, finished)


def snapshot(*trials: TrialRecord, running: dict[int, int] | None = None, **more: Any) -> Snapshot:
    values = {"planned": 8, "elapsed": 75.0, "budget": 600.0, "blocks": {LARGE: 6, TINY: 2}, **more}
    horizons = {trial.number: 1000 for trial in trials}
    return Snapshot(
        "demo", "searching", "accuracy", Direction.MAXIMIZE, trials, running or {}, horizons=horizons, **values
    )


def shown(snapshot: Snapshot, width: int = 130, height: int = 40) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True, highlight=False)
    console.print(view(snapshot, width, height))
    return [line.rstrip() for line in console.export_text().splitlines()]


BUSY = snapshot(
    trial(0, 0.70, 0.80, state=TrialState.COMPLETE, reason="horizon"),
    trial(1, 0.60, state=TrialState.PRUNED, reason="not among the best third at 100 samples"),
    trial(2, 0.75, freeze_depth=6),
    trial(3, 0.99, state=TrialState.FAILED, reason="diverged: the loss is not finite"),
    trial(4, 0.72, model=TINY, freeze_depth=2, learning_rate=1.5e-4),
    trial(5),
    running={4: 250, 5: 16},
)


def test_the_screen_shows_what_trains_first_then_the_best_and_the_failed_last() -> None:
    lines = shown(BUSY)
    rows = [line.split() for line in lines if re.match(r"\s*\d+  ", line)]
    assert [int(row[0]) for row in rows] == [4, 5, 0, 2, 1, 3]
    assert rows[0][1:6] == ["bert-tiny", "1.5e-4", "16", "2", "all"]
    assert rows[3][5] == "all" and rows[2][5] == "0"
    assert rows[3][-1] == "paused" and rows[0][-1] == "training"
    assert "pruned: not among the best third at 100 samples" in "\n".join(lines)
    assert "failed: diverged: the loss is not finite" in "\n".join(lines)


def test_the_screen_says_how_far_it_is_and_what_is_best() -> None:
    lines = shown(BUSY)
    assert lines[0] == "demo  searching  1 min 15 s used, 8 min 45 s left"
    assert lines[1] == "3 of 8 trials done, 2 training, 1 pruned, 1 failed"
    assert lines[2] == "best so far: validation accuracy 0.8000 by #0 (minilm-l6, lr 3e-5, freeze 0)"


def test_the_screen_shows_how_the_best_has_risen_and_what_ended_early() -> None:
    lines = shown(BUSY)
    rising = re.fullmatch(r"0\.6000 ([▁▂▃▄▅▆▇█]{40}) 0\.8000  4 improvements", lines[3])
    assert rising and list(rising[1]) == sorted(rising[1]) and rising[1].endswith("█")
    assert [line[10:] for line in lines[4:6]] == [
        "#3 failed at 100 samples: diverged: the loss is not finite",
        "#1 pruned at 100 samples: not among the best third at 100 samples",
    ]
    assert lines[6] == ""
    assert not any("improvements" in line for line in shown(BUSY, height=19)), "a low terminal shows trials instead"
    assert all(len(line) <= 60 for line in shown(BUSY, width=60))


def test_the_best_so_far_rises_with_time_whichever_way_is_better() -> None:
    rising = (trial(0, 0.2, 0.1, 0.4), trial(1, 0.9, state=TrialState.FAILED))
    steps = improvements(rising, Direction.MAXIMIZE)
    assert steps == [(1e9, 0.2), (1e9 + 2, 0.4)]
    assert sparkline(steps, 1e9 + 4, 4, Direction.MAXIMIZE) == "▁███"
    falling = improvements(rising, Direction.MINIMIZE)
    assert falling == [(1e9, 0.2), (1e9 + 1, 0.1)]
    assert sparkline(falling, 1e9 + 8, 8, Direction.MINIMIZE) == "████████"
    assert sparkline([(1e9, 0.5)], 1e9, 3, Direction.MAXIMIZE) == "▁▁▁"
    assert sparkline([], 1e9, 3, Direction.MAXIMIZE) == ""


def test_the_screen_without_bounds_or_trials() -> None:
    assert shown(snapshot(planned=None, budget=None)) == [
        "demo  searching  1 min 15 s used",
        "0 trials done, 0 training",
        "no trial has been evaluated yet",
    ]


def test_the_time_goes_on_between_two_snapshots() -> None:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(view(BUSY, 100, 40, age=10.0))
    assert "1 min 25 s used, 8 min 35 s left" in console.export_text()


@pytest.mark.parametrize("height", [10, 15, 24, 50])
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("count", [0, 1, 14, 200])
def test_the_screen_is_never_higher_than_the_terminal(height: int, width: int, count: int) -> None:
    trials = [trial(i, 0.5 + i / 1000, state=TrialState.PRUNED, reason="long " * 40) for i in range(count)]
    lines = shown(snapshot(*trials), width, height)
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    if count == 200:
        assert re.fullmatch(r"and \d+ more trials", lines[-1])
        assert len(lines) >= height - 3  # and it uses the room that there is


@pytest.mark.parametrize("width", [80, 99, 100, 110, 140])
def test_a_long_reason_gives_way_and_the_numbers_do_not(width: int) -> None:
    reason = "not among the best third at 768 samples " * 3
    many = [trial(i, 0.4849, state=TrialState.PRUNED, reason=reason, learning_rate=8.8e-5) for i in range(12)]
    for line in shown(snapshot(*many), width)[-12:]:
        assert re.match(r" *\d+ +minilm-l6 +8\.8e-5 +16 +2 +0 +\S+ +0\.4849 +pruned: .*…$", line)


def test_a_name_with_brackets_is_not_markup() -> None:
    lines = shown(snapshot(trial(0, 0.5, state=TrialState.FAILED, reason="[bold]odd[/bold] [x", model="org/[red]m")))
    assert "[red]m" in lines[-1] and "[bold]odd[/bold] [x" in lines[-1]


def test_the_live_screen_takes_snapshots_from_any_thread() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=30, color_system=None, _environ={})
    with Screen(console) as screen:
        threads = [threading.Thread(target=lambda: [screen(BUSY) for _ in range(200)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        screen(snapshot(trial(0, 0.91), elapsed=100.0))
    assert "validation accuracy 0.9100 by #0" in out.getvalue()


def test_the_live_screen_leaves_the_terminal_as_it_was_after_an_error() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=30, _environ={})
    with pytest.raises(Interrupted), Screen(console):
        raise Interrupted("stopped")
    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") == 1  # the cursor is back


def spoken(*snapshots: Snapshot) -> list[str]:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=60, highlight=False), clock=lambda: 0.0)
    with lines as observer:
        for each in snapshots:
            observer(each)
    return [line[10:] for line in out.getvalue().splitlines()]  # without the time


def test_without_a_terminal_each_thing_is_said_once_on_one_line() -> None:
    recipe = "minilm-l6, lr 3e-5, batch 16, 2 epochs, freeze"
    assert spoken(BUSY, BUSY, BUSY) == [
        f"#0 complete at 300 of 1,000 samples, validation accuracy 0.8000 (best so far); {recipe} 0; horizon",
        f"#1 pruned at 100 of 1,000 samples, validation accuracy 0.6000; {recipe} 0; "
        "not among the best third at 100 samples",
        f"#3 failed at 100 of 1,000 samples, validation accuracy 0.9900; {recipe} 0; diverged: the loss is not finite",
        f"#2 paused at 100 of 1,000 samples, validation accuracy 0.7500; {recipe} all",
        "demo: searching, 8 min 45 s left",
    ]


def test_a_trial_that_failed_after_all_gives_its_place_to_the_next_best() -> None:
    said = spoken(
        snapshot(trial(0, 0.9)),
        snapshot(trial(0, 0.9), trial(1, 0.6)),
        snapshot(trial(0, 0.9, state=TrialState.FAILED, reason="diverged"), trial(1, 0.6, 0.7)),
    )
    assert [line.split(",")[0] for line in said if "best so far" in line] == [
        "#0 paused at 100 of 1",
        "#1 paused at 300 of 1",
    ]


def test_a_trial_that_failed_is_last_and_never_the_best(tmp_path: Path) -> None:
    from autoft.cli.show import board, listing

    record = SearchRecord("id", "demo", "text-classification", "accuracy", Direction.MAXIMIZE, 1e9)
    trials = (trial(0, 0.99, state=TrialState.FAILED, reason="diverged"), trial(1), trial(2, 0.5))
    console = Console(width=130, file=io.StringIO(), record=True, highlight=False)
    console.print(board(record, trials, None, 130))
    rows = [line.split() for line in console.export_text().splitlines() if re.match(r"\s*\d+  ", line)]
    assert [row[0] for row in rows] == ["2", "1", "0"]
    assert rows[-1][-2:] == ["failed:", "diverged"]
    console.print(listing([(record, trials, None)], tmp_path))
    assert "not finished; validation accuracy 0.5000" in console.export_text()


def test_a_trial_that_goes_on_is_heard_of_at_its_next_pause_and_at_its_end() -> None:
    said = spoken(
        snapshot(trial(0, 0.5), running={0: 150}),
        snapshot(trial(0, 0.5)),
        snapshot(trial(0, 0.5), running={0: 200}),
        snapshot(trial(0, 0.5, 0.6)),
        snapshot(trial(0, 0.5, 0.6, state=TrialState.PRUNED, reason="the search is over")),
    )
    assert [line.split(",")[0] for line in said] == [
        "demo: searching",
        "#0 paused at 100 of 1",
        "#0 paused at 300 of 1",
        "#0 pruned at 300 of 1",
    ]


def finished(**changes: Any) -> dict[str, Any]:
    record = SearchRecord("id", "demo", "text-classification", "accuracy", Direction.MAXIMIZE, 1e9)
    values: dict[str, Any] = {
        "test": 0.8427,
        "interval": (0.8102, 0.8718),
        "test_metrics": {},
        "baselines": {"majority": {"test": 0.683}, "tfidf": {"test": 0.7904}},
        "seconds": 412,
        "model_dir": "runs/demo/model",
        "rows": {"train": 7, "validation": 2, "test": 2},
        "models": {LARGE: {"blocks": 6}},
    }
    return build(record, BUSY.trials, 0, **{**values, **changes})


def final_text(report: dict[str, Any], runs: Path = RUNS, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, highlight=False)
    console.print(final(report, runs, width))
    return console.export_text()


def test_the_last_screen_has_the_score_the_baselines_and_what_to_do() -> None:
    said = final_text(finished())
    assert re.search(r"fine-tuned model +0\.8427 +0\.8102 to 0\.8718", said)
    assert re.search(r"always the commonest label +0\.6830", said)
    assert re.search(r"logistic regression on TF-IDF words +0\.7904", said)
    assert "runs/demo/model" in said
    assert 'autoft predict demo "a text"' in said
    assert "autoft ui demo" in said
    assert "6 in 6 min 52 s: 1 complete, 1 pruned, 2" not in said and "1 complete, 1 pruned, 1 failed" in said


def test_the_last_screen_names_the_folder_of_runs_where_it_is_not_the_default() -> None:
    assert "autoft ui demo --runs 'my runs'" in final_text(finished(), Path("my runs"))


def test_the_last_screen_hides_no_note() -> None:
    assert "note: MLflow does not know of it yet" in final_text(finished(notes=["MLflow does not know of it yet"]))


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_last_screen_fits_the_terminal(width: int) -> None:
    assert all(
        len(line) <= width for line in final_text(finished(model_dir="runs/" + "long" * 40), width=width).splitlines()
    )


def honest() -> dict[str, Any]:
    return with_finals(finished())


def test_the_last_screen_lists_who_stood_for_the_final_with_verdicts_and_warnings() -> None:
    said = final_text(honest(), width=130)
    assert re.search(r"winner: #0 minilm-l6, 3 seeds +0\.6120 ± 0\.0041 +0\.8427 +0\.8102 to 0\.8718", said)
    assert re.search(r"#3 bert-tiny, 3 seeds .* 0\.7288 +0\.6980 to 0\.7580 +0\.1139 \(-0\.0061 to 0\.0112\)", said)
    assert re.search(r"plain recipe minilm-l6, 3 seeds .* 0\.7041", said)
    assert re.search(r"soup of #0 #3 .* 0\.7299", said)
    assert re.search(r"always the commonest label +0\.6830 +- +0\.1597", said)
    plain = " ".join(re.sub(r"[│•]", " ", said).split())
    assert (
        "The winner is ahead of the plain recipe by 0.1386 (95 % interval of the difference 0.0098 to 0.0442)." in plain
    )
    assert "no difference is shown, for the interval holds zero." in plain
    assert "was 0.0080 too high: it had been chosen." in plain
    assert "! 12 test texts (4.0 %) stand in train, too." in plain and "31 texts" not in plain
    assert "winner #0 seed 1: minilm-l6" in plain
    assert "final round 2 min 51 s of training, 22.7 million parameters, 8.21 ms for a text (cpu, 1 thread)" in plain


def test_the_last_screen_says_whether_the_model_is_the_champion() -> None:
    reason = "Not the champion: version 1 (search demo) stays, for this one is not better."
    flow = {"model_name": "demo", "model_version": "2", "champion": False, "champion_reason": reason}
    assert f"demo version 2. {reason}" in final_text({**finished(), "mlflow": flow}, width=140)
    assert "registry" not in final_text(finished())


@pytest.mark.parametrize("missing", ["selection", "comparisons", "examination", "cost", "test_read", "mlflow"])
@pytest.mark.parametrize("empty", [None, {}])
def test_the_last_screen_does_without_any_part_of_the_report(missing: str, empty: Any) -> None:
    assert "winner: #0 minilm-l6" in final_text({**honest(), missing: empty}, width=130)


@pytest.mark.parametrize("width", [50, 60, 80, 100, 121, 122, 160])
def test_the_last_screen_of_a_final_round_fits_the_terminal(width: int) -> None:
    lines = final_text(honest(), width=width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert any("0.8427" in line and "0.8102 to 0.8718" in line for line in lines), (
        "a score and its interval stand together"
    )
    assert ("winner leads by" in "\n".join(lines)) == (width >= 122)


# --- where MLflow is ---


@pytest.mark.parametrize(
    ("report", "spec", "environment", "uri"),
    [
        (None, "http://own.example", None, "http://own.example"),
        (None, "http://own.example", "http://other.example", "http://own.example"),
        (None, None, "http://me:pw@other.example", "http://me:pw@other.example"),
        ("http://own.example", "http://own.example", "http://other.example", "http://own.example"),
        ("postgresql://db/x", "postgresql://me@db/x", None, "postgresql://me@db/x"),
        ("postgresql://db/x", None, "postgresql://me:pw@db/x", "postgresql://me:pw@db/x"),
        ("http://moved.example", None, None, "http://moved.example"),
        (None, None, None, None),
    ],
)
def test_the_pages_are_those_of_the_store_of_the_search(
    report: str | None,
    spec: str | None,
    environment: str | None,
    uri: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from autoft.cli import ui
    from autoft.tracking import default_uri

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if environment:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", environment)
    folder = tmp_path / "demo"
    folder.mkdir()
    tracking = f"tracking: {{uri: '{spec}'}}\n" if spec else ""
    (folder / "spec.yaml").write_text(f"task: text-classification\ndata: a.csv\n{tracking}")
    if report:
        (folder / "report.json").write_text(json.dumps({"mlflow": {"tracking_uri": report, "run_id": None}}))
    assert ui.store_uri(tmp_path, ui.told(tmp_path, "demo")) == (uri or default_uri(tmp_path))


def test_a_search_is_looked_for_in_the_runs_and_nowhere_above_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path / "runs")
    assert run("ui", "../secret/nothing", "--runs", str(tmp_path / "runs")) == 2
    from autoft import api

    assert api.folder_of("../secret", tmp_path / "runs") == Path("../secret")  # as a path of one's own, not inside runs


# --- the champions beside the searches ---


def test_the_searches_are_listed_with_the_champions_of_their_store(
    tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tracking_samples import a_report, a_search, a_trial, tiny_classifier
    from tracking_store import Ledger

    from autoft.cli import show
    from autoft.tracking import Published

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    runs, model = tmp_path / "runs", tiny_classifier(tmp_path / "model")
    (runs / "reviews").mkdir()
    (runs / "reviews" / "spec.yaml").write_text("task: text-classification\ndata: a.csv\n")
    published: list[Published] = []
    for identity, test in (("one", 0.7), ("two", 0.8), ("three", 0.75)):
        record = a_search(identity)
        mirror = store.mirror(Ledger(a_trial(0)), record)
        published.append(mirror.finish(a_report(record, test=test), model, "reviews", "text-classification"))
    report = {**a_report(a_search("three"), test=0.75), "mlflow": vars(published[-1])}
    (runs / "reviews" / "report.json").write_text(json.dumps(report))
    found = [(a_search("three"), (a_trial(0),), report)]
    monkeypatch.setattr(show, "_searches", lambda _: found)

    assert run("show", "--all", "--runs", str(runs)) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if "0.8000" in line]
    assert re.match(r"reviews +2 +reviews +\d{4}-\d\d-\d\d \d\d:\d\d +macro_f1 0\.8000", row)
    assert any("test macro_f1 0.7500" in line for line in lines)
    assert run("show", "--all", "--json", "--runs", str(runs)) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["test"] == 0.75
    assert (told["champion"]["version"], told["champion"]["score"], told["champion"]["previous"]) == ("2", 0.8, "1")


def test_a_store_that_is_away_keeps_nobody_from_the_list_of_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tracking_samples import a_report, a_search, a_trial

    from autoft.cli import show
    from autoft.tracking import free_port

    uri = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "reviews").mkdir()
    report = {**a_report(a_search()), "mlflow": {"tracking_uri": uri, "model_version": "1"}}
    (tmp_path / "reviews" / "report.json").write_text(json.dumps(report))
    (tmp_path / "reviews" / "spec.yaml").write_text("task: text-classification\ndata: a.csv\n")
    monkeypatch.setattr(show, "_searches", lambda _: [(a_search(), (a_trial(0),), report)])
    assert run("show", "--all", "--runs", str(tmp_path)) == 0
    said = capsys.readouterr()
    assert "test macro_f1 0.7312" in said.out
    assert said.err.startswith(f"champions: MLflow at {uri} refuses connections")


# --- the whole way ---

SPACE = ["space.learning_rate=[1e-3, 3e-3]", "space.batch_size=8", "space.epochs=2", "space.freeze_depth=[0, 1]"]


def autoft(*arguments: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from autoft.cli import main; main()", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500, check=False, **more
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path, tiny_data: Any) -> Path:
    """A folder with `runs/demo`, a search that the command line has run to its end."""
    folder = tmp_path_factory.mktemp("cli")
    tiny_data.to_csv(folder / "rows.csv", index=False)
    settings = [part for setting in SPACE for part in ("--set", setting)]
    arguments = ["--task", "text-classification", "--data", "rows.csv", "--model", str(tiny_bert), "--clean"]
    done = autoft(
        "search", *arguments, *settings, "--trials", "3", "--workers", "1", "--name", "demo", "--json", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)  # nothing else stands on standard output
    assert report == json.loads((folder / "runs/demo/report.json").read_text())
    assert re.search(r"^\d\d:\d\d:\d\d  #\d+ (complete|pruned|paused)", done.stderr, flags=re.MULTILINE)
    return folder


@pytest.mark.slow
def test_a_search_can_be_shown_and_asked(searched: Path) -> None:
    shown = autoft("show", "demo", cwd=searched)
    assert shown.returncode == 0 and "winner: " in shown.stdout and "plain recipe" in shown.stdout
    listed = json.loads(autoft("show", "--all", "--json", cwd=searched).stdout)
    assert [(entry["search"], entry["trials"], entry["state"]) for entry in listed] == [("demo", 3, "finished")]
    answered = autoft("predict", "demo", "--json", cwd=searched, input="first text\n\nsecond text\n")
    rows = [json.loads(line) for line in answered.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["first text", "second text"]
    assert all(set(row) == {"text", "label", "score"} for row in rows)


@pytest.mark.slow
def test_a_table_is_labelled_row_by_row(searched: Path) -> None:
    (searched / "new.csv").write_text('body\n"one, two"\nthree\none\n')
    done = autoft("predict", "demo", "--data", "new.csv", "--text", "body", "--out", "out.jsonl", cwd=searched)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (searched / "out.jsonl").read_text().splitlines()]
    assert [row["body"] for row in rows] == ["one, two", "three", "one"]
    wrong = autoft("predict", "demo", "--data", "new.csv", cwd=searched)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: --data: ")


@pytest.fixture
def asked(searched: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory, and the name `demo` for the search."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").symlink_to(searched / "runs")
    return tmp_path


def csv_rows(path: Path) -> list[dict[str, str]]:
    import csv

    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_columns_of_a_table_are_kept_beside_the_answers(asked: Path) -> None:
    (asked / "new.csv").write_text('id,text,label,when\n007,"a, b",mine,2024-01-01\n,c,,\n', encoding="utf-8")
    assert run("predict", "demo", "--data", "new.csv", "--out", "out.csv") == 0
    first, second = csv_rows(asked / "out.csv")
    assert list(first) == ["id", "text", "label", "when", "predicted_label", "score"]
    assert [first[key] for key in ("id", "text", "label", "when")] == ["007", "a, b", "mine", "2024-01-01"]
    assert [second[key] for key in ("id", "text", "label", "when")] == ["", "c", "", ""]
    assert {first["predicted_label"], second["predicted_label"]} <= {"positive", "negative"}
    assert run("predict", "demo", "--data", "out.csv", "--out", "again.csv") == 0
    assert list(csv_rows(asked / "again.csv")[0])[-2:] == ["predicted_predicted_label", "predicted_score"]


@pytest.mark.slow
def test_values_of_any_kind_are_kept(asked: Path) -> None:
    import datetime

    import pandas as pd

    row = {"text": "a", "n": 3, "none": None, "nan": float("nan"), "list": [1, 2], "day": datetime.date(2024, 1, 2)}
    pd.DataFrame([row, {**row, "n": None}], dtype=object).to_parquet(asked / "new.parquet")
    assert run("predict", "demo", "--data", "new.parquet", "--out", "out.jsonl") == 0
    first, second = map(json.loads, (asked / "out.jsonl").read_text().splitlines())
    assert (first["nan"], first["list"], first["day"]) == (None, [1, 2], "2024-01-02")
    assert (first["n"], second["n"]) in {(3, None), (3.0, None)}
    assert run("predict", "demo", "--data", "new.parquet", "--out", "out.csv") == 0
    assert csv_rows(asked / "out.csv")[0]["list"] == "[1, 2]"


@pytest.mark.slow
def test_rows_without_a_text_are_refused_or_left_out(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (asked / "new.csv").write_text("id,text\n1,a\n2, \n3,c\n")
    assert run("predict", "demo", "--data", "new.csv") == 2
    assert capsys.readouterr().err == (
        "error: --data: new.csv has 1 row (row 2) with an empty 'text'; fill them, or pass --clean to leave them out\n"
    )
    assert run("predict", "demo", "--data", "new.csv", "--clean", "--out", "out.csv") == 0
    assert [row["id"] for row in csv_rows(asked / "out.csv")] == ["1", "3"]
    (asked / "new.csv").write_text("id,text\n1,\n2, \n")
    assert run("predict", "demo", "--data", "new.csv", "--clean") == 2
    assert "has no row with a text" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("how", ["--data", "standard input"])
def test_texts_in_another_encoding(
    how: str, asked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(content: str, encoding: str, *options: str) -> int:
        raw = content.encode(encoding)
        if how == "--data":
            (asked / "new.csv").write_bytes("text\n".encode(encoding) + content.encode(encoding.removesuffix("-sig")))
            options = ("--data", "new.csv", *options)
        else:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        return run("predict", "demo", "--json", *options)

    def texts() -> list[str]:
        return [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]

    assert ask("café\nthé", "utf-8-sig") == 0
    assert texts() == ["café", "thé"]
    assert ask("café\nthé", "latin-1") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is not utf-8: byte 0xe9 in line" in line and "--encoding" in line and "unexpected" not in line
    assert ask("café\nthé", "latin-1", "--encoding", "latin-1") == 0
    assert texts() == ["café", "thé"]
    assert ask("café", "latin-1", "--encoding", "hex") == 2
    assert "there is no encoding 'hex'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_line_is_a_text_whatever_it_holds(
    asked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["one\u2028still one", "two\x0cstill two", "three\x85"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\r\n".join(lines).encode())))
    assert run("predict", "demo", "--json") == 0
    said = capsys.readouterr().out
    assert [json.loads(line)["text"] for line in said.rstrip("\n").split("\n")] == lines


@pytest.mark.slow
def test_check_says_that_a_name_is_taken(searched: Path, tiny_bert: Path) -> None:
    arguments = ["check", "--task", "text-classification", "--data", "rows.csv", "--clean", "--model", str(tiny_bert)]
    free = autoft(*arguments, "--name", "other", cwd=searched)
    assert free.returncode == 0 and "ready: run `autoft search`" in free.stdout, free.stderr
    taken = autoft(*arguments, "--name", "demo", "--json", cwd=searched)
    assert taken.returncode == 0, taken.stderr
    assert "runs/demo exists already; go on with it (autoft resume demo)" in json.loads(taken.stdout)["notes"][-1]
    replaced = autoft(*arguments, "--name", "demo", "--replace", cwd=searched)
    assert "--replace deletes it" in replaced.stdout and "ready: run `autoft search`" in replaced.stdout


@pytest.mark.slow
def test_a_search_of_the_same_name_is_not_overwritten(searched: Path, tiny_bert: Path) -> None:
    done = autoft(
        "search", "--task", "text-classification", "--data", "rows.csv", "--name", "demo", "--clean", cwd=searched
    )
    assert done.returncode == 2
    assert "--replace" in done.stderr


@pytest.mark.slow
def test_mlflow_opens_on_the_loopback_and_ends_when_told(searched: Path) -> None:
    import signal
    import urllib.request

    command = [sys.executable, "-c", "from autoft.cli import main; main()", "ui", "demo", "--port", "0"]
    with subprocess.Popen(
        command, cwd=searched, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
    ) as server:
        assert server.stdout is not None
        try:
            line = next(line for line in server.stdout if line.startswith("MLflow: "))
            report = json.loads((searched / "runs/demo/report.json").read_text())
            found = re.fullmatch(r"MLflow: (http://127\.0\.0\.1:\d+)/#/experiments/\d+/runs/(\w+)(\?\w+=\w+)?\n", line)
            assert found is not None
            assert found[2] == report["mlflow"]["run_id"]
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(f"{found[1]}/health", timeout=10) as answer:
                assert answer.status == 200
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
