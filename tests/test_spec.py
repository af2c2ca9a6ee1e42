"""The search spec: what is wrong with it is said at once, a line each; what is right is read back as it was."""

from pathlib import Path

import pytest

from autoft import tasks
from autoft.errors import SpecError
from autoft.space import Choice, Range, describe, resolve
from autoft.spec import SearchSection, SearchSpec, load, parse, parse_draft, read_value, write_yaml

SHIPPED = sorted((Path(__file__).parent.parent / "search_spaces").rglob("*.yaml"))
NO_NAME = "can't be the name of a folder; use up to 80 letters, digits, '-', '_', and '.' between them"
GOOD = {"task": "text-classification", "data": "reviews.csv"}


@pytest.mark.parametrize(
    ("extra", "lines"),
    [
        ({"tsk": 1}, ["tsk: unknown key, did you mean task?"]),
        ({"name": 12}, ["name: found 12, which YAML does not take for a text; put it in quotes"]),
        ({"models": {"a": 1}}, ["models: found {'a': 1}; it has to be a list"]),
        ({"search": [1]}, ["search: found [1]; it has to be a mapping, {key: value}"]),
        ({"data": None}, ["data: found None; say where the data are, for example `data: reviews.csv`"]),
        ({"data": " "}, ["data.source: is empty; leave it out or give a value"]),
        ({"models": ["x" * 256]}, ["models.0: holds a name that no file and nothing on the hub can have"]),
        ({"metric": ""}, ["metric: found ''; leave it out or give a value"]),
        (
            {"data": {"source": "a.csv", "limit": 1}, "search": {"trials": 0}, "models": []},
            [
                "data.limit: found 1; input should be greater than or equal to 20",
                "models: found []; value should have at least 1 item after validation, not 0",
                "search.trials: found 0; input should be greater than or equal to 1",
            ],
        ),
        ({"data": {"sorce": "a.csv", "source": "b.csv"}}, ["data.sorce: unknown key, did you mean source?"]),
        ({"space": {"learning_rte": 1e-5}}, ["space.learning_rte: unknown key, did you mean learning_rate?"]),
        (
            {"space": {"batch_size": {"low": 4, "high": 2}}},
            ["space.batch_size: low 4 is not below high 2; for one fixed value write it as it is"],
        ),
        ({"space": {"epochs": []}}, ["space.epochs: an empty list; name at least one value"]),
        ({"space": {"epochs": 1.5}}, ["space.epochs: 1.5 is not a whole number"]),
        ({"space": {"epochs": True}}, ["space.epochs: True is not a number"]),
        ({"space": {"learning_rate": "fast"}}, ["space.learning_rate: 'fast' is not a number"]),
        (
            {"space": {"learning_rate": 0}},
            ["space.learning_rate: 0 is out of bounds: it has to be above 0 and at most 1"],
        ),
        (
            {"space": {"learning_rate": {"low": 1e-5, "high": float("inf")}}},
            ["space.learning_rate.high: inf is out of bounds: it has to be above 0 and at most 1"],
        ),
        ({"space": {"learning_rate": {"high": 1e-3}}}, ["space.learning_rate: a range needs `low`"]),
        ({"space": {"epochs": {"low": 1, "hgh": 3, "high": 2}}}, ["space.epochs.hgh: unknown key, did you mean high?"]),
        (
            {"space": {"weight_decay": {"low": 0, "high": 0.1, "log": True}}},
            ["space.weight_decay: a logarithmic range has to start above 0, not at 0"],
        ),
        (
            {"space": {"epochs": {"low": 1, "high": 3, "log": "yes"}}},
            ["space.epochs.log: 'yes' is neither true nor false"],
        ),
        ({"space": {"epochs": {"low": 1, "high": 3, "step": 0}}}, ["space.epochs.step: 0 is not a number above zero"]),
        (
            {"space": {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True, "step": 1e-5}}},
            ["space.learning_rate: `log` and `step` don't go together; keep one of the two"],
        ),
        ({"space": {"schedule": "linar"}}, ["space.schedule: 'linar' is not one of linear, cosine, constant, wsd"]),
        (
            {"space": {"schedule": {"low": 1, "high": 2}}},
            ["space.schedule: a range needs numbers; list the choices instead"],
        ),
        ({"space": {"epochs": None}}, ["space.epochs: needs a value"]),
        ({"space": ["epochs"]}, ["space: ['epochs'] is not a mapping from a knob to what is searched of it"]),
        (
            {"models": ["a"], "space": {"model": ["b"]}},
            ["space.model: `models` is given too; keep one of the two"],
        ),
        ({"models": ["a", "a"]}, ["models: the same model stands there twice"]),
        (
            {"models": ["asset:bert-tiny"], "per_model": {"asset:bert-tny": {"epochs": 2}}},
            ["per_model.asset:bert-tny: not among the models, did you mean asset:bert-tiny?"],
        ),
        (
            {"per_model": {"m": {"epoch": 2}}},
            ["per_model.m.epoch: unknown key, did you mean epochs?"],
        ),
        ({"name": "../x"}, [f"name: '../x' {NO_NAME}"]),
        ({"name": "a..b"}, [f"name: 'a..b' {NO_NAME}"]),
        ({"name": ""}, [f"name: '' {NO_NAME}"]),
        ({"search": {"budget": "ten"}}, ["search.budget: 'ten' is no duration; write for example 90s, 10m or 1h30m"]),
        ({"search": {"budget": 0}}, ["search.budget: 0 is no duration above zero"]),
        (
            {"search": {"budget": "20s"}},
            [
                "search.budget: 20s is too short: the start of the workers and the scoring of the winner "
                "take half a minute; give at least 40s"
            ],
        ),
        ({"search": {"trials": 0}}, ["search.trials: found 0; input should be greater than or equal to 1"]),
        (
            {"search": {"sampler": "grit"}},
            ["search.sampler: found 'grit'; input should be 'tpe', 'random', 'grid', 'qmc', 'gp' or 'cmaes'"],
        ),
        ({"resources": {"wrkers": 2}}, ["resources.wrkers: unknown key, did you mean workers?"]),
        (
            {"data": {"source": "a.csv", "train": "b.csv"}},
            ["data: give either `source` (one table, split by autoft) or `train` (splits of your own)"],
        ),
        (
            {"data": {"source": "a.csv", "test": "b.csv"}},
            ["data: `validation` and `test` go with `train`, not with `source`"],
        ),
        (
            {"data": {"source": "a.csv", "limit": 3}},
            ["data.limit: found 3; input should be greater than or equal to 20"],
        ),
    ],
)
def test_a_bad_spec_is_refused_with_the_line_that_helps(extra: dict[str, object], lines: list[str]) -> None:
    with pytest.raises(SpecError) as refused:
        parse({**GOOD, **extra})
    assert list(refused.value.problems) == lines


def test_what_is_missing_is_asked_for() -> None:
    with pytest.raises(SpecError) as refused:
        parse({})
    assert refused.value.problems == (
        "task: missing; name one, for example `task: text-classification`; `autoft tasks` lists them",
        "data: missing; say where the data are, for example `data: reviews.csv`",
    )


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SpecError) as refused:
        parse(
            {
                "data": {"sorce": "a"},
                "space": {"learning_rte": 1, "epochs": []},
                "search": {"budget": "ten", "trials": 0},
                "name": "../x",
            }
        )
    paths = {line.partition(":")[0] for line in refused.value.problems}
    assert paths >= {
        "task",
        "data.sorce",
        "space.learning_rte",
        "space.epochs",
        "search.budget",
        "search.trials",
        "name",
    }
    assert all("\n" not in line for line in refused.value.problems)


@pytest.mark.parametrize("text", ["1e-5", "1E-5", "1.0e-5", "+1e-5", "0.00001", ".1e-4"])
def test_a_number_is_a_number_however_it_is_written(text: str, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"task: text-classification\ndata: a.csv\nspace: {{learning_rate: {text}}}\n")
    assert load(file).space["learning_rate"] == Choice((1e-5,))
    assert read_value(text) == pytest.approx(1e-5)


@pytest.mark.parametrize("text", ["1e", "e5", "1e-5x", "0e_"])
def test_text_that_only_looks_like_a_number_stays_text(text: str) -> None:
    assert read_value(text) == text


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "holds no spec; it has to be a mapping with `task` and `data`"),
        ("- a\n- b\n", "holds no spec; it has to be a mapping with `task` and `data`"),
        ("task: [\n", "not YAML"),
        ("task: !!python/object/apply:os.system [true]\n", "not YAML"),
        ("task: 2026-13-45\n", "not YAML"),
        (b"task: \xff\n", "is not utf-8; save it as utf-8"),
        ("a: " + "[" * 3000, "not YAML: it is nested too deep"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(content: str | bytes, line: str, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SpecError) as refused:
        load(file)
    assert len(refused.value.problems) == 1
    assert str(refused.value).startswith(f"{file}: {line}")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"gone\.yaml: there is no such file"):
        load(tmp_path / "gone.yaml")


FULL = {
    "name": "full",
    "task": "text-classification",
    "data": {"train": "a.csv", "validation": "b.csv", "text": "t", "text_pair": "u", "clean": True, "limit": 50},
    "metric": "accuracy",
    "models": ["asset:bert-tiny", "org/model"],
    "space": {
        "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "batch_size": [8, 16],
        "epochs": {"low": 1, "high": 7, "step": 2},
        "freeze_depth": [0, 2, "all"],
        "dropout": [None, 0.1],
        "schedule": "cosine",
    },
    "per_model": {"org/model": {"freeze_depth": {"low": 1, "high": "all"}, "dropout": None}},
    "search": {"trials": 5, "budget": "1h30m", "sampler": "random", "start": [{"epochs": 1}]},
    "resources": {"workers": 2, "gpus_per_trial": 0.5},
    "tracking": {"uri": "sqlite:///x.db", "register_model": False},
}


def test_a_spec_survives_being_written_and_read(tmp_path: Path) -> None:
    spec = parse(FULL)
    assert parse(spec.dump()) == spec
    write_yaml(spec, tmp_path / "other-name.yaml")
    assert load(tmp_path / "other-name.yaml") == spec
    assert spec.search.budget == 5400


def test_the_name_comes_from_the_file_where_none_is_given(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("task: text-classification\ndata: a.csv\n")
    assert load(tmp_path / "mine.yaml").name == "mine"


def test_a_spec_can_not_be_changed() -> None:
    spec = parse(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"  # type: ignore[misc]


def test_a_model_may_have_a_space_of_its_own() -> None:
    spec = parse(FULL)
    assert spec.models is not None
    space = resolve(spec.space, spec.models, spec.per_model, {"asset:bert-tiny": 2, "org/model": 12}, seed=0)
    assert space.dimensions("asset:bert-tiny")["freeze_depth"] == Choice((0, 2))
    assert space.dimensions("org/model")["freeze_depth"] == Range(1, 12)
    assert space.dimensions("asset:bert-tiny")["dropout"] == Choice((None, 0.1))
    assert space.dimensions("org/model")["dropout"] == Choice((None,))
    assert space.dimensions("org/model")["learning_rate"] == space.dimensions("asset:bert-tiny")["learning_rate"]


@pytest.mark.parametrize(
    ("raw", "high"), [((0, 0.3, 0.1), 0.3), ((0, 0.25, 0.1), 0.2), ((0.05, 0.35, 0.1), 0.35), ((0.1, 0.7, 0.2), 0.7)]
)
def test_a_step_ends_where_people_expect_it(raw: tuple[float, float, float], high: float) -> None:
    low, end, step = raw
    dimension = parse({**GOOD, "space": {"weight_decay": {"low": low, "high": end, "step": step}}}).space[
        "weight_decay"
    ]
    assert isinstance(dimension, Range)
    assert dimension.high == pytest.approx(high)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_space_that_is_shipped_is_valid(path: Path) -> None:
    spec = load(path)
    assert isinstance(spec, SearchSpec)
    task = tasks.get(spec.task)
    assert spec.metric is None or spec.metric in task.metrics
    models = spec.models or task.models
    space = resolve(spec.space, models, spec.per_model, dict.fromkeys(models, 6), spec.search.seed)
    for point in spec.search.start or ():
        assert space.params(point) is not None, f"{point} lies outside the space"
    for model in models:
        assert all(describe(dimension) for dimension in space.dimensions(model).values())
    from autoft.assets import names

    for ref in (*models, spec.data.source or ""):
        assert not ref.startswith("asset:") or ref.removeprefix("asset:") in names()


def test_some_spaces_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} >= {"quickstart", "rotten-tomatoes"}


# --- nothing is dropped without a word ---


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("task: a\ndata: b\ntask: c\n", "line 3: 'task' stands there twice; keep one of the two"),
        (
            "space:\n  epochs: 1\n  dropout: 0\n  epochs: 2\n",
            "line 4: 'epochs' stands there twice; keep one of the two",
        ),
        ("a: [{b: 1, 'b': 2}]\n", "line 1: 'b' stands there twice; keep one of the two"),
        ("a: {1: x, 1: y}\n", "line 1: 1 stands there twice; keep one of the two"),
    ],
)
def test_a_key_that_stands_there_twice_is_refused_with_its_line(text: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as refused:
        load(file)
    assert refused.value.problems == (f"{file}: {line}",)


def test_a_key_may_replace_one_that_is_merged_in(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "task: text-classification\ndata: a.csv\n"
        "per_model:\n  a: &a {epochs: 1, dropout: 0}\n  b: {<<: *a, epochs: 2}\n"
    )
    assert load(file).per_model["b"] == {"epochs": Choice((2,)), "dropout": Choice((0.0,))}


def test_a_value_with_a_key_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^'low' stands there twice$"):
        read_value("{low: 1, low: 2}")


@pytest.mark.parametrize(
    ("extra", "lines"),
    [
        (
            {"search": {"scheduler": "none", "eta": 3, "first_rung": 100}},  # 3 is the default, and was written
            [f"search.{key}: has no effect with `scheduler: none`; leave it out" for key in ("eta", "first_rung")],
        ),
        (
            {"data": {"train": "a", "validation": "b", "test": "c", "validation_size": 0.15, "test_size": 0.2}},
            [
                f"data.{part}_size: has no effect where `{part}` is given; leave it out"
                for part in ("validation", "test")
            ],
        ),
    ],
)
def test_what_was_written_and_has_no_effect_is_told(extra: dict[str, object], lines: list[str]) -> None:
    with pytest.raises(SpecError) as refused:
        parse({**GOOD, **extra})
    assert list(refused.value.problems) == lines


@pytest.mark.parametrize(
    "extra",
    [
        {"search": {"scheduler": "none", "trials": 2}},
        {"data": {"train": "a", "validation": "b", "test": "c"}},
        {"data": {"train": "a", "test": "c", "validation_size": 0.3}},
    ],
)
def test_what_nobody_wrote_is_not_complained_of_when_a_search_goes_on(extra: dict[str, object], tmp_path: Path) -> None:
    spec = parse({**GOOD, **extra})
    write_yaml(spec, tmp_path / "spec.yaml")
    assert load(tmp_path / "spec.yaml") == spec


@pytest.mark.parametrize(
    ("uri", "instead"),
    [
        ("http://me:s3cret@host:5000", "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ("https://s3cret@host", "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ("postgresql://me:s3cret@host/db", "~/.pgpass or PGPASSWORD"),
        ("postgresql://me:s3/cret@host/db", "~/.pgpass or PGPASSWORD"),
        ("postgresql+psycopg2://host/db?user=me&password=s3cret", "~/.pgpass or PGPASSWORD"),
    ],
)
def test_a_secret_is_refused_and_not_repeated(uri: str, instead: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse({**GOOD, "tracking": {"uri": uri}})
    (line,) = refused.value.problems
    assert line.startswith("tracking.uri: ") and instead in line
    assert "s3" not in line and "cret" not in line.replace("secret", "")


@pytest.mark.parametrize("uri", ["http://host:5000", "postgresql://me@host/db", "sqlite:////a/b@c/x.db"])
def test_a_uri_without_a_secret_is_kept(uri: str) -> None:
    assert parse({**GOOD, "tracking": {"uri": uri}}).dump()["tracking"]["uri"] == uri


@pytest.mark.parametrize("uri", ["runs", "/dev/null", "ftp://host", "sqlite", "file:///tmp/runs", "host:5000"])
def test_what_is_no_address_of_a_store_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(SpecError) as refused:
        parse({**GOOD, "tracking": {"uri": uri}})
    (line,) = refused.value.problems
    assert line.startswith(f"tracking.uri: {uri!r} is no address of an MLflow store; ")


def test_an_address_of_a_store_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["http://h:5000", "sqlite:///a.db", "postgresql+psycopg2://u@h/db", "databricks", "databricks://profile"]
    for uri in known:
        assert parse({**GOOD, "tracking": {"uri": uri}}).tracking.uri == uri
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for uri in ("file:///tmp/runs", "/tmp/runs"):
        assert parse({**GOOD, "tracking": {"uri": uri}}).tracking.uri == uri


def test_what_is_right_of_a_spec_is_kept() -> None:
    draft = parse_draft({"task": 5, "data": {"source": "a.csv", "limit": 1, "text": "t"}, "search": 7, "name": "n"})
    assert len(draft.problems) == 3
    assert draft.unsaid == {"task"}
    assert draft.spec is not None
    assert (draft.spec.data.source, draft.spec.data.text, draft.spec.data.limit) == ("a.csv", "t", None)
    assert (draft.spec.name, draft.spec.search) == ("n", SearchSection())
    assert parse_draft({}).unsaid == {"task", "data"}
