"""Draws the next configuration. A pure function of the history, the seed and the trial's number.

The sampler is made anew for every trial, so it has no state that a crash could lose: the same ledger
gives the same next trial, in the same process or after a restart.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Container, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from autoft.records import Direction
from autoft.space import Space

# Numbers of the trials before lie below that of the one to come, which is 0 in the study of its draw.
_EARLIER = 2**31


def draw(
    space: Space,
    history: Sequence[FrozenTrial],
    direction: Direction,
    *,
    sampler: str,
    seed: int,
    number: int,
    attempt: int = 0,
) -> tuple[str, dict[str, Any]]:
    """The next configuration to try.

    Args:
        space: What is searched.
        history: The trials to learn from; the cost of a draw grows with them. A paused trial comes as
            PRUNED with its values, a trial that has not reported yet as RUNNING.
        direction: Direction of the objective.
        sampler: `tpe` or `random`.
        seed: The search's seed.
        number: The number of the trial to come.
        attempt: Another one gives another draw.

    Returns:
        The model, and Optuna's parameters.
    """
    known = () if sampler == "random" else history  # chance learns nothing
    study = optuna.create_study(
        storage=_Remembering(known), direction=direction.value, sampler=_sampler(sampler, (seed, number, attempt))
    )
    trial = study.ask()
    model = trial.suggest_categorical("model", space.models) if len(space.models) > 1 else space.models[0]
    for name, distribution in space.distributions(str(model)).items():
        if name != "model":
            _suggest(trial, name, distribution)
    return str(model), dict(trial.params)


def observation(
    number: int,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    *,
    values: dict[int, float],
    best: float | None,
    state: TrialState,
) -> FrozenTrial:
    """A trial as a sampler should see it.

    Args:
        number: The trial's number.
        params: Optuna's parameters.
        distributions: Their distributions.
        values: The objective by samples seen.
        best: The final value of a complete trial.
        state: COMPLETE, PRUNED, FAIL or RUNNING.
    """
    if state is TrialState.RUNNING and values:
        state = TrialState.PRUNED  # paused or half-way: what it has shown so far counts
    value = best if state is TrialState.COMPLETE else None
    trial = optuna.trial.create_trial(
        state=state, params=params, distributions=distributions, intermediate_values=values, value=value
    )
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


def _sampler(name: str, entropy: tuple[int, ...]) -> BaseSampler:
    own = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    if name == "random":
        return RandomSampler(seed=own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Searches of a fine-tune are short: after 8 random trials TPE does better than chance. Without
        # `group`, parameters that only one model has would be drawn independently.
        return TPESampler(
            seed=own,
            n_startup_trials=8,
            multivariate=True,
            group=True,
            constant_liar=True,
        )


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> None:
    match distribution:
        case optuna.distributions.CategoricalDistribution():
            trial.suggest_categorical(name, distribution.choices)
        case optuna.distributions.IntDistribution():
            trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
        case optuna.distributions.FloatDistribution():
            trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
        case _:
            raise TypeError(f"{name}: no way to draw from {distribution!r}")
