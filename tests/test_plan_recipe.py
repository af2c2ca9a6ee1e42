"""What a plan says of the recipe before anything is trained, and searches in a world without workers."""

import importlib.util
import math

import pytest
from test_core import RUNGS, World, make_ledger, make_space

from autoft import api
from autoft.errors import InputError
from autoft.records import TrialState
from autoft.space import resolve
from autoft.spec import parse
from autoft.study.core import Core
from autoft.study.ledger import Ledger
from autoft.study.policies import policy
from autoft.study.starting import starting_points


@pytest.fixture
def plan_of(tmp_path, tiny_bert, tiny_data):
    table = tmp_path / "rows.csv"
    tiny_data.to_csv(table, index=False)

    def plan(space, data=None, **search):
        given = {"source": str(table), "clean": True, **(data or {})}
        spec = api.make_spec(
            task="text-classification", data=given, models=[str(tiny_bert)], space=space, search=search, name="demo"
        )
        return api.check(spec, tmp_path / "runs")

    return plan


def lines(plan, *args, **kwargs):
    with pytest.raises(InputError) as refused:
        plan(*args, **kwargs)
    return refused.value.problems


def test_a_plan_names_every_dimension_without_effect_at_once(plan_of):
    found = lines(plan_of, {"momentum": 0.5, "loss": "huber", "huber_delta": 2.0})
    assert [line.split(":")[0] for line in found] == ["space.momentum", "space.loss", "space.huber_delta"]


def test_a_default_dimension_gives_way(plan_of):
    plan = plan_of({"adapter": "lora", "lora_rank": [4, 8]})
    assert "freeze_depth" not in plan.spec.space
    points = starting_points(plan.space, plan.space.models, {model.ref: model.blocks for model in plan.models})
    # The plain recipe freezes and trains weights; here only updates are trained.
    assert points and all(point["lora_rank"] in (4, 8) for point in map(plan.space.params, points))
    # The spec that a search stores means the same once more.
    again = parse(plan.spec.dump())
    assert again.space == plan.spec.space


def test_what_the_model_cannot_do(plan_of, tiny_bert):
    (found,) = lines(plan_of, {"pooling": "mean"})
    assert found == f"space.pooling: {tiny_bert} can't do mean; it can do model's own"


def test_synonyms_need_a_list(plan_of, tmp_path):
    (found,) = lines(plan_of, {"augmentation": ["none", "synonym"]}, {"synonyms": str(tmp_path / "none.csv")})
    assert found.startswith("data.synonyms: there is no file ")
    (tmp_path / "words.csv").write_text("great, grand\n")
    plan = plan_of({"augmentation": ["none", "synonym"]}, {"synonyms": str(tmp_path / "words.csv")})
    assert plan.spec.data.synonyms == str(tmp_path / "words.csv")


def test_a_start_that_contradicts_itself(plan_of):
    space = {"optimizer": ["adamw", "sgd"], "momentum": [0.5, 0.9]}
    (found,) = lines(plan_of, space, start=[{"optimizer": "adamw", "momentum": 0.5}])
    assert found == "search.start[0].momentum: has no effect beside the others; leave it out"
    plan = plan_of(space, start=[{"momentum": 0.5}])
    config = plan.space.config(plan.space.models[0], plan.space.params(plan.start[0]))
    assert (config.optimizer, config.momentum) == ("sgd", 0.5)


def test_a_grid_is_tried_to_its_end_and_has_to_have_one(plan_of):
    (found,) = lines(plan_of, {}, sampler="grid")
    assert found.startswith("space.learning_rate: a grid can't hold all of 1e-05 … 0.001, log; add `points: 5`")
    plan = plan_of(
        {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True, "points": 3}, "freeze_depth": [0, 4]},
        sampler="grid",
    )
    assert plan.spec.search.trials is None
    assert plan.space.size == 3 * 3 * 4 * 2 * 2


def test_cmaes_without_its_package_is_told(plan_of, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "cmaes" else real(name, *a))
    (found,) = lines(plan_of, {}, sampler="cmaes")
    assert found == "search.sampler: cmaes needs a package more; install it with: pip install 'autoft[cmaes]'"


@pytest.mark.parametrize("scheduler", ["halving", "hyperband", "median", "none"])
def test_every_scheduler_but_none_has_rungs(plan_of, scheduler):
    more = {} if scheduler == "none" else {"first_rung": 16}
    assert bool(plan_of({}, scheduler=scheduler, **more).rungs) == (scheduler != "none")


# In a world without workers


def core_of(ledger, space, sampler="random", scheduler="halving", trials=None, **more):
    given = {"seed": 0, "workers": 3, **more}
    return Core(ledger, space, policy(scheduler, RUNGS, 3), sampler=sampler, trials=trials, **given)


def test_a_grid_is_exhausted_each_configuration_once():
    space = make_space(
        learning_rate=[1e-4, 1e-3], epochs=[1, 2], freeze_depth=[0, 1], optimizer=["adamw", "sgd"], momentum=[0.5, 0.9]
    )
    start = [{"model": "mini", "optimizer": "sgd", "momentum": 0.9}, {"model": "tiny", "epochs": 2}]
    ledger = make_ledger()
    World(core_of(ledger, space, "grid", start=start)).run()
    configs = {record.config for record in ledger.records()}
    assert len(configs) == len(ledger) == space.size == 2 * (2 * 2 * 2 * 2) * 3
    assert configs == {space.config(model, params) for model, params in space.grid}


@pytest.mark.parametrize("scheduler", ["halving", "hyperband", "median", "none"])
def test_a_search_under_any_scheduler_ends_with_every_trial_ended_and_some_trained_through(scheduler):
    ledger = make_ledger()
    core = core_of(ledger, make_space(), scheduler=scheduler, trials=40)
    World(core).run()
    assert core.done
    core.settle()
    states = [record.state for record in ledger.records()]
    assert len(states) == 40 and TrialState.OPEN not in states
    assert TrialState.COMPLETE in states
    assert (TrialState.PRUNED in states) == (scheduler != "none")
    if scheduler == "median":
        assert any(record.reason.startswith("not among the 1/2 that went on from ") for record in ledger.records())


@pytest.mark.parametrize("scheduler", ["hyperband", "median"])
def test_a_killed_search_goes_on_where_it_stood(tmp_path, scheduler):
    path = tmp_path / "study.db"
    space = make_space()
    ledger = make_ledger(path)
    with pytest.raises(AssertionError, match="never ended"):
        World(core_of(ledger, space, scheduler=scheduler, trials=24)).run(turns=30)
    before = {record.number: record.samples for record in ledger.records()}
    ended = {record.number for record in ledger.records() if record.state is not TrialState.OPEN}
    ledger.close()
    again = Ledger.open(path)
    core = core_of(again, space, scheduler=scheduler, trials=24)
    world = World(core)
    world.seen.update(before)
    world.run()
    core.settle()
    assert len(again) == 24
    assert all(record.state is not TrialState.OPEN for record in again.records())
    assert not ended & set(world.log)
    again.close()


def test_a_ledger_keeps_a_configuration_without_its_idle_knobs(tmp_path):
    spec = parse({
        "task": "t", "data": "d", "models": ["m"],
        "space": {"adapter": ["lora"], "lora_rank": [4, 8], "learning_rate": {"low": 1e-4, "high": 1e-2}},
    })  # fmt: skip
    space = resolve(spec.space, ("m",), {}, {"m": 2}, seed=0)
    ledger = make_ledger(tmp_path / "study.db")
    params = {"lora_rank": 8, "learning_rate": 1e-3}
    ledger.add(space.config("m", params), params, space.distributions("m", params))
    ledger.close()
    again = Ledger.open(tmp_path / "study.db")
    assert again[0].config == space.config("m", params)
    assert again[0].config.lora_rank == 8
    assert not math.isnan(again[0].config.learning_rate)
    again.close()
