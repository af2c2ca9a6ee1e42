"""The public names, and how keywords become a spec."""

import subprocess
import sys

import pytest

import autoft
from autoft.errors import AutoftError, InputError, Interrupted, SearchError, SpecError


def test_the_public_names_are_sorted_and_there():
    assert list(autoft.__all__) == sorted(autoft.__all__)
    for name in autoft.__all__:
        assert getattr(autoft, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        autoft.serach  # noqa: B018


def test_a_function_is_not_hidden_by_a_module_of_its_name():
    program = "import autoft, autoft.session, autoft.study.core; assert callable(autoft.search), autoft.search"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_keywords_find_their_section():
    spec = autoft.make_spec(
        task="text-classification", data="x.csv", text="review", label="stars", budget="10m", workers=2,
        tracking_uri="http://mlflow.example", search={"eta": 4}, space={"epochs": 2}, models="org/model",
    )  # fmt: skip
    assert (spec.data.source, spec.data.text, spec.data.label) == ("x.csv", "review", "stars")
    assert (spec.search.budget, spec.search.eta) == (600.0, 4)
    assert (spec.resources.workers, spec.tracking.uri, spec.models) == (2, "http://mlflow.example", ("org/model",))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("reviews.csv", "reviews"),
        ("out/of.town/talks.{en,de}", "talks"),
        ("asset:tweets", "tweets"),
        ({"source": "org/set"}, "set"),
        ({"train": "a.csv", "test": "b.csv"}, "search"),
        ("../..", "search"),
        (".csv", "search"),
        ("x" * 99 + ".csv", "search"),
        ("my reviews.csv", "search"),
    ],
)
def test_a_search_without_a_name_is_called_after_its_data(data, name, tmp_path):
    assert autoft.make_spec(task="text-classification", data=data).name == name
    assert autoft.make_spec(task="text-classification", data=data, name="mine").name == "mine"
    path = tmp_path / "file.yaml"
    path.write_text("task: text-classification\n")
    assert autoft.make_spec(path, data=data).name == "file"


def test_a_keyword_goes_before_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "task: text-classification\ndata: {source: a.csv, text: review}\nmodels: [a/b]\n"
        "search: {trials: 3, seed: 7}\nper_model: {a/b: {epochs: 1, batch_size: 8}}\n"
    )
    spec = autoft.make_spec(path, data="b.csv", trials=5, per_model={"a/b": {"epochs": 2}})
    assert spec.name == "mine"
    assert (spec.data.source, spec.data.text) == ("b.csv", "review")
    assert (spec.search.trials, spec.search.seed) == (5, 7)
    assert spec.dump()["per_model"] == {"a/b": {"epochs": 2, "batch_size": 8}}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"task": "t", "data": "x", "budgt": "1m"}, "budgt: unknown option, did you mean budget?"),
        ({"task": "t"}, "data: missing; say where the data are, for example `data: reviews.csv`"),
        ({"task": "t", "data": {"text": "a"}}, "data: give either `source`"),
    ],
)
def test_wrong_keywords_are_told(options, line):
    with pytest.raises(SpecError) as error:
        autoft.make_spec(**options)
    assert str(error.value).startswith(line)


def test_what_is_not_there_can_not_be_opened(tmp_path):
    for call in (autoft.load, autoft.resume):
        with pytest.raises(InputError, match="there is no search"):
            call("nobody", runs=tmp_path)


@pytest.mark.parametrize(
    ("error", "code"), [(AutoftError("a"), 1), (SearchError("a"), 1), (SpecError("a", "b"), 2), (Interrupted("a"), 130)]
)
def test_errors_have_their_exit_code_and_survive_pickling(error, code):
    import pickle

    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, again.exit_code) == (type(error), error.args, code)


@pytest.mark.parametrize("section", ["search", "space", "per_model", "tracking", "resources"])
def test_a_section_that_is_no_mapping_is_told(section):
    with pytest.raises(SpecError, match=f"{section}: found 5, which is no mapping"):
        autoft.make_spec(task="text-classification", data="x.csv", **{section: 5})


def test_a_password_never_gets_into_a_spec():
    with pytest.raises(SpecError) as error:
        autoft.make_spec(task="text-classification", data="x.csv", tracking_uri="http://alice:s3cret@mlflow.example")
    assert "MLFLOW_TRACKING_PASSWORD" in str(error.value)
    assert "s3cret" not in str(error.value)


JUNK = [5, -1, 1.5, True, None, "x", "", [], ["x"], [5], [[1]], {}, {"a": 1}, {5: 1}, {"a": {"b": 1}}, float("nan")]
SECTIONS = {
    "": ("name", "task", "data", "metric", "models", "space", "per_model", "search", "resources", "tracking"),
    "data": ("source", "train", "validation", "text", "label", "validation_size", "limit", "clean", "encoding"),
    "search": ("trials", "budget", "sampler", "scheduler", "eta", "first_rung", "patience", "seed", "start"),
    "resources": ("workers", "cpus_per_trial", "gpus_per_trial", "address"),
    "tracking": ("uri", "experiment", "register_model"),
    "space": ("model", "learning_rate", "epochs", "schedule", "dropout", "freeze_depth"),
    "per_model": ("a/b",),
}


def problems(*arguments, **options):
    """What is wrong with a spec; an error of any other kind is not caught."""
    try:
        autoft.make_spec(*arguments, **options)
    except SpecError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("section", SECTIONS)
def test_whatever_stands_in_a_spec_it_is_read_or_told(section, tmp_path):
    import yaml

    path = tmp_path / "s.yaml"
    for key in SECTIONS[section]:
        for value in JUNK:
            raw = {"task": "text-classification", "data": {"source": "a.csv"}, "per_model": {"a/b": {"epochs": 2}}}
            if section:
                raw[section] = {**raw.get(section, {}), key: value}
            else:
                raw[key] = value
            path.write_text(yaml.safe_dump(raw))
            more = {"trials": 3, "space": {"epochs": 1}, "per_model": {"a/b": {"epochs": 1}}, "text": "t"}
            for options in ({}, more):
                assert all(line and "\n" not in line for line in problems(path, **options)), (key, value)


def test_a_key_that_stands_there_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("task: text-classification\ndata: a.csv\nspace: {epochs: 1}\nspace: {epochs: 2}\n")
    with pytest.raises(SpecError) as error:
        autoft.make_spec(path)
    assert error.value.problems == (f"{path}: line 4: 'space' stands there twice; keep one of the two",)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"search": {"scheduler": "none", "eta": 4}}, "search.eta: has no effect with `scheduler: none`"),
        (
            {"data": {"train": "a", "test": "b", "test_size": 0.3}},
            "data.test_size: has no effect where `test` is given",
        ),
    ],
)
def test_what_can_have_no_effect_is_told(options, line):
    with pytest.raises(SpecError) as error:
        autoft.make_spec(**{"task": "text-classification", "data": "x.csv", **options})
    assert str(error.value).startswith(line)


def test_a_trial_that_failed_never_leads():
    from autoft.records import Direction, Report, TrialConfig, TrialRecord, TrialState, in_order, ranked

    config = TrialConfig("m", 1e-4, 8, 1, 0)
    report = lambda value: (Report(10, value, {}, 0.1, 1.0, 0.0),)  # noqa: E731
    trials = [
        TrialRecord(0, config, TrialState.FAILED, report(0.99), "diverged"),
        TrialRecord(1, config, TrialState.PRUNED, report(0.5)),
        TrialRecord(2, config, TrialState.COMPLETE, report(0.7)),
        TrialRecord(3, config, TrialState.OPEN),
    ]
    assert [trial.number for trial in ranked(trials, Direction.MAXIMIZE)] == [2, 1]
    assert [trial.number for trial in in_order(trials, Direction.MAXIMIZE)] == [2, 1, 3, 0]
