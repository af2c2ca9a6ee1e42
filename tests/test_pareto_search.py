"""Two objectives for real: what models cost, which are probed away, and a whole search of two of them."""

import json

import pytest
from test_probe import SPACE, question, scored
from tiny import sentences

import autoft
from autoft.errors import InputError, ModelError
from autoft.folder import STUDY
from autoft.records import Direction
from autoft.study.ledger import Ledger
from autoft.training import model_cost, probe
from autoft.training.models import inspect


def test_parameters_are_counted_as_torch_counts_them(tiny_bert, tiny_models):
    from transformers import AutoModelForSequenceClassification

    infos = [inspect(str(tiny_bert)), inspect(str(tiny_models["albert"]))]
    found = model_cost.model_costs("parameters", question(), infos, sentences(20), {})
    for info in infos:
        model = AutoModelForSequenceClassification.from_pretrained(info.path, num_labels=2)
        assert found[info.ref] == sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())


def test_a_latency_is_measured_for_one_text_and_only_once(tiny_bert, monkeypatch):
    asked = []

    def seen(task, model, tokenizer, rows, **options):
        asked.append((len(rows), options["batch_size"], model.training))

    monkeypatch.setattr("autoft.training.evaluation.scores", seen)
    info = inspect(str(tiny_bert))
    assert model_cost.model_costs("latency", question(), [info], sentences(20), {info.ref: 3.5}) == {info.ref: 3.5}
    assert asked == []
    model_cost.latency(question(), info, sentences(20))
    assert len(asked) == model_cost.WARM_UP + model_cost.MOST
    assert set(asked) == {(1, 1, False)}


def test_a_latency_is_the_median_in_milliseconds_with_two_digits(tiny_bert, monkeypatch):
    clock = iter([value for i in range(1000) for value in (i, i + (0.5 if i % 10 == 0 else 0.0123456))])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert model_cost.latency(question(), inspect(str(tiny_bert)), sentences(20)) == 12.0


def test_the_text_that_is_answered_is_of_median_length():
    rows = sentences(101)
    lengths = rows.astype(str).agg(" ".join, axis=1).str.len()
    (one,) = model_cost.typical(rows, 0).astype(str).agg(" ".join, axis=1)
    assert len(one) == lengths.median()


def test_a_model_that_cannot_be_measured_says_so_in_a_line(tiny_bert, tmp_path):
    import shutil

    broken = shutil.copytree(tiny_bert, tmp_path / "broken")
    info = inspect(str(broken))
    (broken / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(ModelError, match=r"^model .*broken: its parameters can't be measured: .+$") as caught:
        model_cost.model_costs("parameters", question(), [info], sentences(20), {})
    assert len(str(caught.value).splitlines()) == 1


def test_only_a_model_that_costs_no_more_drops_another():
    best, other = scored("a/best", 20), scored("b/other", 90)
    assert probe._rival(other, [best], {}) is best
    assert probe._rival(other, [best], {"a/best": 5.0, "b/other": 1.0}) is None
    assert probe._rival(other, [best], {"a/best": 1.0, "b/other": 1.0}) is best
    middle = scored("c/middle", 30)
    assert probe._rival(other, [best, middle], {"a/best": 5.0, "c/middle": 1.0, "b/other": 2.0}) is middle


def test_a_hopeless_model_is_kept_where_it_is_the_smaller_one(tiny_bert, tiny_models, monkeypatch):
    rows = sentences(300)
    infos = [inspect(str(tiny_bert)), inspect(str(tiny_models["albert"]))]
    monkeypatch.setattr(probe, "_dominated", lambda question, best, other, examples: f"behind {best.probe.model}")
    best, behind = (one.probe.model for one in probe.probe_models(question(), infos, rows[:200], rows[200:]))
    for costs, dropped in (({best: 2.0, behind: 1.0}, ""), ({best: 1.0, behind: 2.0}, f"behind {best}")):
        found = probe.probe_models(question(), infos, rows[:200], rows[200:], costs=costs)
        assert [one.probe.dropped for one in found] == ["", dropped]


def test_one_model_has_nothing_to_be_weighed_against(tiny_bert, tiny_data, tmp_path):
    tiny_data.to_csv(tmp_path / "rows.csv", index=False)
    given = {"task": "text-classification", "data": str(tmp_path / "rows.csv"), "clean": True, "against": "parameters"}
    with pytest.raises(InputError) as caught:
        autoft.check(**given, models=[str(tiny_bert)], sampler="cmaes", runs=tmp_path / "runs")
    assert str(caught.value).splitlines() == [
        "search.against: it is the models that differ in it, and there is one model only; "
        "name more models, or leave it out",
        "search.sampler: cmaes knows one objective, and `search.against` is a second one; "
        "take tpe, gp, random, qmc or grid, or leave `against` out",
    ]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of ten trials over two real models, to its end."""
    return autoft.search(
        name="front",
        task="text-classification",
        data="asset:tweets",
        limit=600,
        models=["asset:bert-tiny", "asset:minilm-l6"],
        metric="accuracy",
        space={**SPACE, "epochs": 1, "max_length": 32, "dropout": 0.0},
        trials=10,
        workers=2,
        against="parameters",
        within=1.0,
        runs=tmp_path_factory.mktemp("pareto") / "runs",
    )


@pytest.mark.slow
def test_both_models_stand_on_the_front_of_a_real_search(searched):
    told = searched.report["pareto"]
    by_number = {trial.number: trial for trial in searched.trials}
    points = {point["trial"]: point for point in told["points"]}
    assert told["axes"] == ["accuracy", "parameters"]
    assert [by_number[number].config.model for number in told["front"]] == ["asset:bert-tiny", "asset:minilm-l6"]
    small, large = (points[number] for number in told["front"])
    assert 4e6 < small["cost"] < 5e6 and 2e7 < large["cost"] < 2.5e7
    assert small["value"] < large["value"]
    for number, point in points.items():
        assert point["value"] == by_number[number].best(Direction.MAXIMIZE).value
    best = {by_number[number].config.model: points[number]["value"] for number in told["front"]}
    assert all(point["value"] <= best[by_number[number].config.model] for number, point in points.items())
    assert all(str(by_number[number].state) == "complete" for number in told["front"])


@pytest.mark.slow
def test_the_cheapest_within_reach_is_handed_over(searched):
    cheapest = searched.report["pareto"]["front"][0]
    assert searched.report["winner"]["trial"] == cheapest
    config = json.loads((searched.model_dir / "config.json").read_text())
    assert config["num_hidden_layers"] == 2


@pytest.mark.slow
def test_mlflow_shows_the_front_and_what_every_trial_costs(searched):
    from mlflow import MlflowClient

    told = searched.report
    client = MlflowClient(told["mlflow"]["tracking_uri"])
    experiment = client.get_experiment_by_name("autoft").experiment_id
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{told['mlflow']['run_id']}'")
    trials = [run.data for run in children if "autoft.trial" in run.data.tags]  # the others are the finals' trainings
    by_trial = {int(data.tags["autoft.trial"]): data for data in trials}
    assert len(by_trial) == len(trials) == len(searched.trials)
    tagged = {number for number, data in by_trial.items() if data.tags.get("autoft.front") == "true"}
    assert tagged == set(told["pareto"]["front"])
    costs = {point["trial"]: point["cost"] for point in told["pareto"]["points"]}
    assert {n: data.metrics["parameters"] for n, data in by_trial.items() if n in costs} == costs


@pytest.mark.slow
def test_going_on_measures_nothing_again(searched, monkeypatch):
    monkeypatch.setattr("autoft.training.model_cost.parameters", None)  # calling it would raise
    ledger = Ledger.open(searched.folder / STUDY)
    before = dict(ledger.costs)
    ledger.close()
    more = autoft.resume(searched.name, runs=searched.folder.parent, trials=11)
    assert len(more.trials) == 11
    assert [t.config for t in more.trials[:10]] == [t.config for t in searched.trials]
    ledger = Ledger.open(searched.folder / STUDY)
    assert ledger.costs == before
    ledger.close()
    points = {point["trial"]: point for point in more.report["pareto"]["points"]}
    assert all(points[p["trial"]] == p for p in searched.report["pareto"]["points"])
