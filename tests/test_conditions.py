"""Knobs that depend on others: drawn, counted and stored only where they have a part in the recipe."""

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from autoft.errors import SpecError
from autoft.knobs import TASK_KNOBS
from autoft.records import CONDITIONS, Direction
from autoft.space import KNOBS, Choice, Space, check_grid, resolve
from autoft.spec import parse
from autoft.spec.dimensions import parse_dimensions
from autoft.spec.effects import effective, without_effect
from autoft.study.sampling import draw, observation

WIDE = {
    "learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
    "adapter": ["none", "lora"],
    "freeze_depth": {"low": 0, "high": "all"},
    "lora_rank": [4, 8, 16],
    "lora_dropout": {"low": 0.0, "high": 0.2},
    "optimizer": ["adamw", "sgd"],
    "momentum": {"low": 0.5, "high": 0.99},
    "loss": ["cross-entropy", "focal"],
    "focal_gamma": {"low": 0.5, "high": 5},
    "label_smoothing": [0.0, 0.1],
}


def make(space, per_model=None, models=("m",)) -> Space:
    spec = parse({"task": "t", "data": "d", "models": list(models), "space": space, "per_model": per_model or {}})
    return resolve(spec.space, models, spec.per_model, dict.fromkeys(models, 4), seed=0)


def search(space, sampler, trials, worth, seed=1):
    """Configurations drawn one after another, each with what it is worth."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    history, found = [], []
    for number in range(trials):
        model, params = draw(space, history, Direction.MAXIMIZE, sampler=sampler, seed=seed, number=number)
        config = space.config(model, params)
        value = worth(config)
        distributions = space.distributions(model, params)
        assert distributions.keys() == params.keys()
        state = optuna.trial.TrialState.COMPLETE
        history.append(observation(number, params, distributions, values={10: value}, best=value, state=state))
        found.append((config, params, value))
    return found


def worth(config):
    right = 1.0 if config.adapter == "lora" else 0.0
    return (
        right - abs(math.log10(config.learning_rate) + 3) - (config.momentum - 0.9 if config.optimizer == "sgd" else 0)
    )


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "cmaes"])
def test_a_knob_is_drawn_only_where_it_has_a_part(sampler):
    space = make(WIDE, {"b": {"lora_rank": [2, 64]}}, ("a", "b"))
    found = search(space, sampler, 24, worth)
    branches = set()
    for config, params, _ in found:
        knobs = {name.split(" of ")[0] for name in params} - {"model"}
        assert ("freeze_depth" in knobs) == (config.adapter == "none")
        assert ("lora_rank" in knobs) == ("lora_dropout" in knobs) == (config.adapter == "lora")
        assert ("momentum" in knobs) == (config.optimizer == "sgd")
        assert ("focal_gamma" in knobs) == (config.loss == "focal") != ("label_smoothing" in knobs)
        assert knobs == set(config.as_dict()) & set(WIDE)
        branches.add((config.adapter, config.optimizer, config.loss))
    assert len(branches) >= 4


def test_whatever_is_drawn_is_a_point_of_the_space():
    space = make(WIDE)
    for config, params, _ in search(space, "random", 60, worth):
        point = {knob: value for knob, value in config.as_dict().items() if knob != "seed"}
        assert space.params(point) == pytest.approx(params)
        assert space.config("m", params) == config


def test_a_point_that_names_a_dependent_knob_means_its_parent():
    space = make(WIDE)
    assert space.params({"momentum": 0.6})["optimizer"] == "sgd"
    assert space.params({"lora_rank": 16})["adapter"] == "lora"
    assert "freeze_depth" not in space.params({"lora_rank": 16})
    assert space.params({"momentum": 0.6, "optimizer": "adamw"}) is None
    assert space.params({"lora_rank": 16, "freeze_depth": 1}) is None
    assert make({"adapter": "lora"}).params({"freeze_depth": 0}) is None


def test_the_size_counts_a_branch_once():
    space = make({
        "adapter": ["none", "lora"], "freeze_depth": {"low": 0, "high": "all"}, "lora_rank": [4, 8],
        "optimizer": ["adamw", "sgd"], "momentum": [0.5, 0.9], "batch_size": [8, 16],
    })  # fmt: skip
    assert space.size == (5 + 2) * (1 + 2) * 2
    assert len(space.grid) == space.size
    assert len({space.config(model, params) for model, params in space.grid}) == space.size
    assert make({"adapter": ["none"], "lora_rank": [4, 8], "lora_dropout": {"low": 0, "high": 0.5}}).size == 1


def test_a_range_with_points_is_a_list_at_even_distances():
    problems: list[str] = []
    found = parse_dimensions(
        "space",
        {
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True, "points": 5},
            "weight_decay": {"low": 0.0, "high": 0.3, "points": 4},
            "epochs": {"low": 1, "high": 4, "points": 9},
        },
        problems,
    )
    assert problems == []
    assert found["learning_rate"].values == pytest.approx((1e-5, 3.16228e-5, 1e-4, 3.16228e-4, 1e-3))
    assert found["weight_decay"] == Choice((0.0, 0.1, 0.2, 0.3))
    assert found["epochs"] == Choice((1, 2, 3, 4))


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"low": 0, "high": 1, "points": 1}, ".points: 1 is not a whole number from 2 to 1000"),
        ({"low": 0, "high": 0.5, "points": True}, ".points: True is not a whole number from 2 to 1000"),
        (
            {"low": 0, "high": 0.5, "points": 3, "step": 0.1},
            ": `points` and `step` don't go together; keep one of the two",
        ),
        (
            {"low": 0.5, "high": 0.1, "points": 3},
            ": low 0.5 is not below high 0.1; for one fixed value write it as it is",
        ),
    ],
)
def test_points_that_make_no_sense(raw, line):
    problems: list[str] = []
    assert parse_dimensions("space", {"dropout": raw}, problems) == {}
    assert problems == [f"space.dropout{line}"]


def test_all_blocks_have_no_points():
    problems: list[str] = []
    parse_dimensions("space", {"freeze_depth": {"low": 0, "high": "all", "points": 3}}, problems)
    assert problems == ["space.freeze_depth: `points` needs a number for `high`, not 'all'"]


# Samplers


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "qmc", "gp", "cmaes"])
def test_the_same_history_gives_the_same_draw(sampler):
    points = {"learning_rate": {**WIDE["learning_rate"], "points": 30}} if sampler == "grid" else {}
    space = make({**WIDE, **points, "lora_dropout": [0.0, 0.1], "momentum": [0.5, 0.9], "focal_gamma": [1.0, 2.0]})
    one, two = (search(space, sampler, 14, worth) for _ in range(2))
    assert one == two
    assert search(space, sampler, 14, worth, seed=2) != one
    assert len({config for config, _, _ in one}) == 14


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_a_sampler_learns(sampler):
    space = make({"learning_rate": WIDE["learning_rate"], "dropout": {"low": 0, "high": 0.5}})

    def value(config):
        return -abs(math.log10(config.learning_rate) + 3) - config.dropout

    def late(name):
        runs = [[worth for *_, worth in search(space, name, 24, value, seed)] for seed in range(2)]
        return sum(sum(run[16:]) for run in runs)

    assert late(sampler) > late("random")


def test_a_gaussian_process_learns_from_paused_trials_too():
    space = make({"learning_rate": WIDE["learning_rate"]})
    history = []
    for number in range(12):
        model, params = draw(space, [], Direction.MAXIMIZE, sampler="random", seed=0, number=number)
        value = -abs(math.log10(params["learning_rate"]) + 3)
        state, distributions = optuna.trial.TrialState.RUNNING, space.distributions(model, params)
        history.append(observation(number, params, distributions, values={10: value}, best=None, state=state))
    rates = [
        draw(space, history, Direction.MAXIMIZE, sampler="gp", seed=seed, number=12)[1]["learning_rate"]
        for seed in range(4)
    ]
    assert all(abs(math.log10(rate) + 3) < 0.5 for rate in rates)


def test_a_sobol_sequence_fills_the_space_evenly():
    space = make({"learning_rate": WIDE["learning_rate"], "optimizer": ["adamw", "adam", "sgd", "adafactor"]})
    found = [config for config, _, _ in search(space, "qmc", 64, worth)]
    for eighth in range(8):
        low, high = 10 ** (-5 + 3 * eighth / 8), 10 ** (-5 + 3 * (eighth + 1) / 8)
        assert sum(low <= config.learning_rate < high for config in found) == 8
    assert {name: sum(config.optimizer == name for config in found) for name in KNOBS["optimizer"].choices} == {
        "adamw": 16, "adam": 16, "sgd": 16, "adafactor": 16,
    }  # fmt: skip


def test_a_grid_that_can_never_end_is_refused():
    space = make({"learning_rate": WIDE["learning_rate"], "epochs": {"low": 1, "high": 4}})
    with pytest.raises(SpecError) as refused:
        check_grid(space)
    assert refused.value.problems == (
        "space.learning_rate: a grid can't hold all of 1e-05 … 0.01, log; "
        "add `points: 5` (or `step`), or list the values",
    )
    check_grid(make({"learning_rate": [1e-4, 1e-3]}))
    many = {"low": 0, "high": 0.5, "points": 500}
    with pytest.raises(SpecError, match="a grid of 250,000 configurations is more than can be tried"):
        check_grid(make({"dropout": many, "label_smoothing": many}))


def test_cmaes_needs_a_range():
    from autoft.study.sampling import check_cmaes

    check_cmaes(make({"learning_rate": WIDE["learning_rate"]}))
    with pytest.raises(SpecError, match="cmaes searches ranges, and the space has none"):
        check_cmaes(make({"learning_rate": [1e-4, 1e-3]}))


# What can have no effect


def effects(space, default=None, per_model=None, knobs=TASK_KNOBS, losses=("cross-entropy", "focal")):
    spec = parse({"task": "t", "data": "d", "space": space, "per_model": per_model or {}})
    problems: list[str] = []
    parsed = parse_dimensions("space", default or {}, problems)
    assert problems == []
    return without_effect(spec, parsed, task="t", knobs=knobs, losses=losses), list(effective(parsed, spec))


NEEDS = "space.{0}: has no effect without `{1}`; add that to the space, or leave `{0}` out"


@pytest.mark.parametrize(
    ("space", "line"),
    [
        ({"momentum": 0.5}, NEEDS.format("momentum", "optimizer: sgd")),
        ({"adapter": "lora", "freeze_depth": 2}, NEEDS.format("freeze_depth", "adapter: none")),
        (
            {"loss": "focal", "label_smoothing": 0.1},
            NEEDS.format("label_smoothing", "loss: null or cross-entropy or weighted"),
        ),
        ({"loss": ["focal", "huber"]}, "space.loss: t has no loss 'huber'; it has cross-entropy, focal"),
        (
            {"loss": [None, "cross-entropy"]},
            "space.loss: null and 'cross-entropy' are the same one; keep one of the two",
        ),
    ],
)
def test_a_dimension_without_effect_is_refused_with_the_line_that_helps(space, line):
    assert effects(space)[0] == [line]


def test_a_knob_that_the_task_does_not_obey_is_refused():
    assert effects({"pooling": "mean"}, knobs=())[0] == ["space.pooling: has no effect with t; leave it out"]


def test_a_condition_may_be_met_for_one_model_only():
    assert effects({"momentum": 0.5}, per_model={"m": {"optimizer": "sgd"}})[0] == []
    found, _ = effects({"optimizer": ["sgd", "adam"]}, per_model={"m": {"optimizer": "adam", "momentum": 0.5}})
    assert [line.split(":")[0] for line in found] == ["per_model.m.momentum"]


def test_a_default_that_the_users_space_leaves_without_effect_is_dropped():
    default = {"freeze_depth": [0, 1], "learning_rate": 1e-3}
    assert effects({"adapter": "lora"}, default) == ([], ["learning_rate"])
    assert effects({"adapter": ["none", "lora"]}, default) == ([], ["freeze_depth", "learning_rate"])


def test_every_condition_names_knobs_and_values_that_exist():
    for child, (parent, values) in CONDITIONS.items():
        assert child in KNOBS
        assert all(KNOBS[parent].problem(value) is None for value in values)
        assert KNOBS[parent].kind is str and parent not in CONDITIONS
    assert isinstance(make(WIDE).distributions("m")["adapter"], CategoricalDistribution)
