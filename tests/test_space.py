"""The search space: whatever Optuna draws from it can be trained, and lies where the user said."""

import math
import pickle
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autoft.errors import SpecError
from autoft.records import TrialConfig
from autoft.space import KNOBS, PLAIN_RECIPE, Choice, Range, Space, describe, resolve
from autoft.spec import parse

TINY, LARGE = "asset:bert-tiny", "asset:minilm-l6"
BLOCKS = {TINY: 2, LARGE: 6}


def make(
    space: dict[str, Any], per_model: dict[str, Any] | None = None, models: tuple[str, ...] = (TINY, LARGE)
) -> Space:
    spec = parse({"task": "t", "data": "d", "models": list(models), "space": space, "per_model": per_model or {}})
    return resolve(spec.space, models, spec.per_model, {model: BLOCKS[model] for model in models}, seed=7)


def draws(space: Space, count: int, sampler: optuna.samplers.BaseSampler) -> list[tuple[TrialConfig, dict[str, Any]]]:
    """Configurations as a study draws them: the model first, then what is searched for it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler)
    found = []
    for _ in range(count):
        trial = study.ask()
        model = trial.suggest_categorical("model", space.models) if len(space.models) > 1 else space.models[0]
        for name, distribution in space.distributions(model).items():
            if isinstance(distribution, CategoricalDistribution):
                trial.suggest_categorical(name, distribution.choices)
            elif isinstance(distribution, IntDistribution):
                trial.suggest_int(
                    name, distribution.low, distribution.high, log=distribution.log, step=distribution.step
                )
            else:
                assert isinstance(distribution, FloatDistribution)
                trial.suggest_float(
                    name, distribution.low, distribution.high, log=distribution.log, step=distribution.step
                )
        config = space.config(model, trial.params)
        study.tell(trial, math.log(config.learning_rate) ** 2)
        found.append((config, dict(trial.params)))
    return found


WIDE = {
    "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "batch_size": [8, 16, 32],
    "epochs": {"low": 1, "high": 5, "step": 2},
    "freeze_depth": {"low": 0, "high": "all"},
    "weight_decay": {"low": 0.0, "high": 0.3, "step": 0.1},
    "dropout": [None, 0.0, 0.2],
    "schedule": ["linear", "cosine"],
}


@pytest.mark.parametrize("sampler", [optuna.samplers.RandomSampler(seed=0), optuna.samplers.TPESampler(seed=0)])
def test_whatever_is_drawn_can_be_trained_and_lies_in_the_space(sampler: optuna.samplers.BaseSampler) -> None:
    own = {LARGE: {"learning_rate": {"low": 1e-5, "high": 3e-4, "log": True}}}
    found = [config for config, _ in draws(make(WIDE, own), 120, sampler)]
    assert {config.model for config in found} == {TINY, LARGE}
    for config in found:
        assert 1e-5 <= config.learning_rate <= (3e-4 if config.model == LARGE else 1e-3)
        assert config.batch_size in (8, 16, 32)
        assert config.epochs in (1, 3, 5)
        assert 0 <= config.freeze_depth <= BLOCKS[config.model]
        assert any(math.isclose(config.weight_decay, value, abs_tol=1e-9) for value in (0, 0.1, 0.2, 0.3))
        assert config.dropout in (None, 0.0, 0.2)
        assert config.schedule in ("linear", "cosine")
        assert config.seed == 7
        assert all(
            type(value) is knob.kind or (value is None and knob.optional)
            for value, knob in ((getattr(config, name), KNOBS[name]) for name in KNOBS)
        )
        assert pickle.loads(pickle.dumps(config)) == config


def test_the_ends_of_a_range_are_drawn_too() -> None:
    found = [config for config, _ in draws(make(WIDE), 200, optuna.samplers.RandomSampler(seed=1))]
    assert {config.epochs for config in found} == {1, 3, 5}
    assert {config.freeze_depth for config in found if config.model == TINY} == {0, 1, 2}
    assert {config.freeze_depth for config in found if config.model == LARGE} == set(range(7))
    assert {round(config.weight_decay, 6) for config in found} == {0.0, 0.1, 0.2, 0.3}


def test_a_logarithmic_range_gives_every_factor_its_share() -> None:
    found = [config for config, _ in draws(make(WIDE), 400, optuna.samplers.RandomSampler(seed=2))]
    below = sum(config.learning_rate < 1e-4 for config in found)
    assert 150 < below < 250  # on a linear scale it would be about 36 of 400


def test_all_is_each_models_own_number_of_blocks() -> None:
    found = draws(make({"freeze_depth": "all"}), 30, optuna.samplers.RandomSampler(seed=3))
    assert {(config.model, config.freeze_depth) for config, _ in found} == {(TINY, 2), (LARGE, 6)}
    assert make({"freeze_depth": [0, 1, "all"]}).dimensions(TINY)["freeze_depth"] == Choice((0, 1, 2))
    assert make({"freeze_depth": [0, 2, "all"]}).dimensions(TINY)["freeze_depth"] == Choice((0, 2))


def test_depths_that_a_model_does_not_have_are_left_out() -> None:
    space = make({"freeze_depth": [0, 4]})
    assert space.dimensions(TINY)["freeze_depth"] == Choice((0,))
    assert space.dimensions(LARGE)["freeze_depth"] == Choice((0, 4))
    assert make({"freeze_depth": {"low": 2, "high": "all"}}).dimensions(TINY)["freeze_depth"] == Choice((2,))


def test_a_depth_that_is_too_deep_is_the_users_mistake() -> None:
    with pytest.raises(SpecError) as refused:
        make({"freeze_depth": 5})
    assert refused.value.problems == (f"space.freeze_depth: 5 is too deep for {TINY}, which has 2 blocks",)


def test_models_share_a_parameter_where_they_share_a_dimension() -> None:
    own = {LARGE: {"learning_rate": {"low": 1e-5, "high": 3e-4, "log": True}}}
    space = make(WIDE, own)
    tiny, large = space.distributions(TINY), space.distributions(LARGE)
    assert f"learning_rate of {TINY}" in tiny
    assert f"learning_rate of {LARGE}" in large
    assert f"freeze_depth of {TINY}" in tiny  # 0 … 2 and 0 … 6 are not the same dimension
    shared = set(tiny) & set(large)
    assert shared == {"model", "batch_size", "epochs", "weight_decay", "dropout", "schedule"}
    assert all(tiny[name] == large[name] for name in shared)


def test_one_model_and_fixed_values_are_no_parameters() -> None:
    space = make({"learning_rate": 1e-4, "batch_size": [8, 16]}, models=(TINY,))
    assert set(space.distributions(TINY)) == {"batch_size"}
    config = space.config(TINY, {"batch_size": 8})
    assert (config.learning_rate, config.batch_size) == (1e-4, 8)
    # A knob that nobody named has its default.
    assert (config.epochs, config.schedule, config.dropout) == (3, "linear", None)


@pytest.mark.parametrize("seed", range(3))
def test_a_point_of_the_space_is_the_parameters_that_give_it(seed: int) -> None:
    space = make(WIDE, {LARGE: {"epochs": [2, 4]}})
    for config, params in draws(space, 30, optuna.samplers.RandomSampler(seed=seed)):
        point = {key: value for key, value in config.as_dict().items() if key != "seed"}
        found = space.params(point)
        assert found is not None
        assert found == pytest.approx(params) if "dropout" not in params else set(found) == set(params)
        assert space.config(config.model, found) == config


def test_a_point_outside_the_space_has_no_parameters() -> None:
    space = make(WIDE)
    assert space.params({"model": "other"}) is None
    assert space.params({"model": TINY, "learning_rate": 0.1}) is None
    assert space.params({"model": TINY, "epochs": 2}) is None  # between two steps
    assert space.params({"model": TINY, "freeze_depth": 3}) is None
    assert space.params({"model": LARGE, "freeze_depth": 3}) is not None
    assert space.params({"model": TINY, "schedule": "constant"}) is None


def test_knobs_that_a_point_leaves_out_take_the_default_or_the_nearest_end() -> None:
    space = make({"learning_rate": {"low": 1e-4, "high": 1e-3, "log": True}, "epochs": {"low": 1, "high": 2}})
    found = space.params({"model": LARGE})
    assert found == {"model": LARGE, "learning_rate": 1e-4, "epochs": 2}


def test_the_plain_recipe_is_in_a_wide_space() -> None:
    space = make(WIDE)
    params = space.params({"model": LARGE, **PLAIN_RECIPE})
    assert params is not None
    config = space.config(LARGE, params)
    assert (config.learning_rate, config.batch_size, config.epochs, config.freeze_depth) == (2e-5, 16, 3, 0)


def test_the_size_counts_configurations() -> None:
    assert make({"batch_size": [8, 16], "epochs": {"low": 1, "high": 3}}, models=(TINY,)).size == 6
    assert make({"weight_decay": {"low": 0, "high": 0.3, "step": 0.1}}, models=(TINY,)).size == 4
    # freeze depth 0 … 2 for one model, 0 … 6 for the other
    assert make({"freeze_depth": {"low": 0, "high": "all"}}).size == 3 + 7
    assert make(WIDE).size == math.inf


def test_the_largest_of_what_is_allowed() -> None:
    space = make(WIDE, {LARGE: {"epochs": 9, "batch_size": 4}})
    assert (space.max_epochs, space.max_batch_size) == (9, 32)


def test_a_space_needs_a_model() -> None:
    with pytest.raises(ValueError, match="at least one model"):
        Space({}, seed=0)


@pytest.mark.parametrize(
    ("dimension", "said"),
    [
        (Range(1e-5, 1e-3, log=True), "1e-05 … 0.001, log"),
        (Range(1, 5, step=2), "1 … 5, step 2"),
        (Choice((None, 0.1)), "model's own, 0.1"),
        (Choice(("linear",)), "linear"),
    ],
)
def test_a_dimension_is_described_as_a_person_writes_it(dimension: Range | Choice, said: str) -> None:
    assert describe(dimension) == said
