"""Draws the next configuration. A pure function of the history, the seed and the trial's number.

The sampler is made anew for every trial, so it has no state that a crash could lose: the same ledger
gives the same next trial, in the same process or after a restart.
"""

from __future__ import annotations

import copy
import importlib.util
import math
import warnings
from collections.abc import Container, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from autoft.errors import SpecError
from autoft.records import Direction
from autoft.space import Space

# Numbers of the trials before lie below that of the one to come, which is 0 in the study of its draw.
_EARLIER = 2**31
_STARTUP = 8  # trials drawn by chance before a sampler trusts what it has seen
_LEAP = 10_007  # places of a sequence between two attempts at the same trial


def draw(
    space: Space,
    history: Sequence[FrozenTrial],
    direction: Direction,
    *,
    sampler: str,
    seed: int,
    number: int,
    attempt: int = 0,
    two: bool = False,
) -> tuple[str, dict[str, Any]]:
    """The next configuration to try.

    Args:
        space: What is searched.
        history: The trials to learn from; the cost of a draw grows with them. A paused trial comes as
            PRUNED with its values, a trial that has not reported yet as RUNNING.
        direction: Direction of the objective.
        sampler: `tpe`, `random`, `grid`, `qmc`, `gp` or `cmaes`.
        seed: The search's seed.
        number: The number of the trial to come.
        attempt: Another one gives another draw.
        two: The cost is a second objective, and the history has both.

    Returns:
        The model, and Optuna's parameters.
    """
    if sampler == "grid":
        order = np.random.default_rng(seed).permutation(len(space.grid))
        return space.grid[order[(number + attempt) % len(order)]]
    entropy = (seed,) if sampler in ("qmc", "cmaes") else (seed, number, attempt)
    drawing = _sampler(sampler, entropy, space, number + attempt * _LEAP)
    known = history if sampler == "tpe" else ()
    directions = [direction, Direction.MINIMIZE] if two else [direction]
    study = optuna.create_study(
        storage=_Remembering(known), directions=[one.value for one in directions], sampler=drawing
    )
    if sampler == "gp":  # which wants them numbered from 0
        study.add_trials([_finished(trial) for trial in history])
    elif sampler == "cmaes":  # which has to have drawn them itself
        _replay(study, history)
    trial = study.ask()
    model = trial.suggest_categorical("model", space.models) if len(space.models) > 1 else space.models[0]
    distributions, drawn = space.distributions(str(model)), dict(trial.params)
    for name in space.searched(str(model), drawn):
        drawn[name] = _suggest(trial, name, distributions[name])
    return str(model), drawn


def check_cmaes(space: Space, *, two: bool = False) -> None:
    """Refuses what CMA-ES can't work with.

    Args:
        space: What is searched.
        two: There is a second objective.

    Raises:
        SpecError: There is, or its package isn't installed, or the space has no range.
    """
    if two:
        raise SpecError(
            "search.sampler: cmaes knows one objective, and `search.against` is a second one; "
            "take tpe, gp, random, qmc or grid, or leave `against` out"
        )
    if importlib.util.find_spec("cmaes") is None:
        raise SpecError("search.sampler: cmaes needs a package more; install it with: pip install 'autoft[cmaes]'")
    found = (distribution for model in space.models for distribution in space.distributions(model).values())
    if all(isinstance(distribution, CategoricalDistribution) for distribution in found):
        raise SpecError("search.sampler: cmaes searches ranges, and the space has none; take tpe or grid")


def observation(
    number: int,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    *,
    values: dict[int, float],
    best: float | None,
    state: TrialState,
    cost: float | None = None,
) -> FrozenTrial:
    """A trial as a sampler should see it.

    Args:
        number: The trial's number.
        params: Optuna's parameters.
        distributions: Their distributions.
        values: The objective by samples seen.
        best: The best of them; the final value of a complete trial.
        state: COMPLETE, PRUNED, FAIL or RUNNING.
        cost: What its model costs, where that is a second objective.
    """
    if cost is not None:
        return _of_two(number, params, distributions, best=best, state=state, cost=cost)
    if state is TrialState.RUNNING and values:
        state = TrialState.PRUNED  # paused or half-way: what it has shown so far counts
    value = best if state is TrialState.COMPLETE else None
    trial = optuna.trial.create_trial(
        state=state, params=params, distributions=distributions, intermediate_values=values, value=value
    )
    trial.number = number - _EARLIER
    return trial


def _of_two(
    number: int,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    *,
    best: float | None,
    state: TrialState,
    cost: float,
) -> FrozenTrial:
    """A trial with two objectives.

    Optuna has no intermediate values for these, so the best that a trial has shown so far is its value, wherever it was
    paused. One that was trained further has had more chances; among trials of one model it comes before them by itself.
    """
    values = None
    if best is not None and state is not TrialState.FAIL:
        # Models differ by factors: on a plain scale the largest one would make all others look alike.
        state, values = TrialState.COMPLETE, [best, math.log(cost)]
    trial = optuna.trial.create_trial(state=state, params=params, distributions=distributions, values=values)
    trial.number = number - _EARLIER
    return trial


class _Remembering(InMemoryStorage):
    """A study of its own for every draw, to which the trials before are shown.

    Adding them with `study.add_trials` would copy each of them deeply, which took four fifths of a draw.
    """

    def __init__(self, history: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._history = history

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        own = super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        seen = [trial for trial in self._history if states is None or trial.state in states]
        return (copy.deepcopy(seen) if deepcopy else seen) + own


def _sampler(name: str, entropy: tuple[int, ...], space: Space, place: int) -> BaseSampler:
    own = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    chance = RandomSampler(seed=int(np.random.SeedSequence((*entropy, place)).generate_state(1)[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match name:
            case "random":
                return RandomSampler(seed=own)
            case "qmc":
                return _Sobol(space, place, seed=own, independent_sampler=chance)
            case "gp":
                return GPSampler(
                    seed=own,
                    n_startup_trials=_STARTUP,
                    independent_sampler=chance,
                    warn_independent_sampling=False,
                )
            case "cmaes":
                return CmaEsSampler(
                    seed=own,
                    n_startup_trials=_STARTUP,
                    independent_sampler=chance,
                    warn_independent_sampling=False,
                    consider_pruned_trials=True,
                )
        # Searches of a fine-tune are short: after 8 random trials TPE does better than chance. Without
        # `group`, parameters that only one model has, or only some values of another, would be drawn independently.
        return TPESampler(
            seed=own,
            n_startup_trials=_STARTUP,
            multivariate=True,
            group=True,
            constant_liar=True,
        )


class _Sobol(QMCSampler):
    """A Sobol sequence over the whole space, at a place that it is told and doesn't have to remember."""

    def __init__(self, space: Space, place: int, **options: Any) -> None:
        super().__init__(scramble=True, warn_independent_sampling=False, **options)
        self._whole, self._place = space, place

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters of all models; a trial takes those that it needs."""
        found: dict[str, BaseDistribution] = {}
        for model in self._whole.models:
            found |= self._whole.distributions(model)
        return found

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._place


def _finished(trial: FrozenTrial) -> FrozenTrial:
    """A pruned or paused trial as a complete one with its last value: all that a Gaussian process looks at."""
    if trial.state is not TrialState.PRUNED or not trial.intermediate_values:
        return trial
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE,
        params=trial.params,
        distributions=trial.distributions,
        value=trial.intermediate_values[max(trial.intermediate_values)],
    )


def _replay(study: optuna.Study, history: Sequence[FrozenTrial]) -> None:
    """Leads a sampler with a memory of its own through the history, as if it had drawn each trial of it."""
    for known in history:
        study.enqueue_trial(known.params)
        trial = study.ask()
        for name, distribution in known.distributions.items():
            _suggest(trial, name, distribution)
        for step, value in known.intermediate_values.items():
            trial.report(value, step)
        if known.state.is_finished():
            study.tell(trial, known.value, state=known.state)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case optuna.distributions.CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case optuna.distributions.IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case optuna.distributions.FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
        case _:
            raise TypeError(f"{name}: no way to draw from {distribution!r}")
