"""Words for people: the same on screen, in the report and in MLflow."""

from pathlib import Path

import pytest

from autoft.words import compact, freeze, parse_duration, public_uri, resume_command, short_name, shown, visible


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("asset:minilm-l6", "minilm-l6"),
        ("asset:org/x", "x"),
        ("org/model", "model"),
        ("plain", "plain"),
        ("/some/folder/", "folder"),
        ("C:\\models\\mine", "mine"),
        ("/", "/"),
    ],
)
def test_a_model_is_called_by_its_last_name(ref: str, name: str) -> None:
    assert short_name(ref) == name


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3.2e-4, "3.2e-4"),
        (1e-5, "1e-5"),
        (9.99e-4, "1e-3"),
        (1e-3, "1e-3"),
        (0.01, "0.01"),
        (0.5, "0.5"),
        (0.0, "0"),
        (16, "16"),
        (None, "own"),
    ],
)
def test_a_hyperparameter_is_short(value: float | None, said: str) -> None:
    assert compact(value) == said


def test_freeze_depth_says_all_only_where_it_is_known_to_be_all() -> None:
    assert (freeze(6, 6), freeze(5, 6), freeze(6, None), freeze(0, 6)) == ("all", "5", "6", "0")


def test_a_command_to_go_on_can_be_copied() -> None:
    assert resume_command(Path("runs/demo")) == "autoft resume demo"
    assert resume_command(Path("my runs/demo")) == "autoft resume demo --runs 'my runs'"


@pytest.mark.parametrize("value", [True, [5], None, {}, "", "soon", 0, -1, float("inf"), float("nan")])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("http://me:pass@host:5000/x", "http://host:5000/x"),
        ("https://token@host", "https://host"),
        ("postgresql://me:p@ss@db/mlflow?sslmode=require", "postgresql://db/mlflow?sslmode=require"),
        ("postgresql://me:pa/ss@db/mlflow", "postgresql://db/mlflow"),
        ("postgresql://me:12/34@db/mlflow", "postgresql://db/mlflow"),
        ("postgresql://db/mlflow?user=me&password=abc&x=1", "postgresql://db/mlflow?user=me&password=***&x=1"),
        ("sqlite:////a/b@c/mlflow.db", "sqlite:////a/b@c/mlflow.db"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("cannot reach 'http://u:p@h/api' twice", "cannot reach 'http://h/api' twice"),
    ],
)
def test_a_uri_is_shown_without_its_secrets(text: str, public: str) -> None:
    assert public_uri(text) == public


def test_a_value_is_shown_short_and_without_its_password():
    huge = "x"
    for _ in range(12):
        huge = [huge] * 9  # 9**12 times, were it written out
    assert len(shown(huge)) <= 120
    assert shown("http://me:s3cret@host/" + "x" * 500).startswith("'http://host/xxx")
    assert shown(["a", {"b": "mysql://me:s3cret@h"}]) == "['a', {'b': 'mysql://h'}]"


def test_control_characters_are_written_out():
    assert visible("\x1b[31mred\x07 \u202etxt\tand\nmore") == "\\x1b[31mred\\x07 \\u202etxt\tand\nmore"
