"""Which knobs the score depends on, and how little that may rest on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import Direction, TrialRecord, TrialState
from autoft.report.labels import amount, listed, percent
from autoft.report.pictures.picture import Axis, Bars, Picture
from autoft.report.pictures.varied import Varied, value_of, varied

FEWEST = 8  # trials below which an importance says nothing
_HINT = 30  # trials below which it says little

Values = Mapping[int, float]  # the objective of each trial, by its number


def importances(report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]) -> Picture | None:
    """How much of the difference between trials each knob accounts for, by two methods."""
    direction = Direction(report["direction"])
    values, rests_on = comparable(trials, rungs, direction)
    chosen = [trial for trial in trials if trial.number in values]
    knobs = varied([trial.config for trial in chosen])
    # Optuna weighs the knobs that all trials have; one with a part in some recipes only can't be compared.
    everywhere = [knob for knob in knobs if all(value_of(trial.config, knob.knob)[1] for trial in chosen)]
    if len(values) < FEWEST or len(everywhere) < 2 or len(set(values.values())) < 2:
        return None
    fanova, ped = weigh(chosen, values, everywhere, direction)
    order = sorted(everywhere, key=lambda knob: fanova[knob.knob] + ped[knob.knob])
    first, second = (max(found, key=lambda name: found[name]) for found in (fanova, ped))
    names = {knob.knob: knob.name for knob in everywhere}
    said = (
        f"Both methods put {names[first]} first ({percent(fanova[first])} and {percent(ped[first])})."
        if first == second
        else f"The two methods disagree: {names[first]} comes first in one, {names[second]} in the other."
    )
    if len(values) < _HINT:
        said += " With so few trials it is a hint and no more."
    if conditional := [knob.name for knob in knobs if knob not in everywhere]:
        said += f" Not weighed, for they are no part of every recipe: {listed(conditional)}."
    return Picture(
        "importances",
        "Importances of the knobs",
        f"{said} {rests_on}",
        Axis("share of the differences in score", bounds=(0, 1)),
        Axis(ticks=tuple((float(i), knob.name) for i, knob in enumerate(order))),
        bars=(
            Bars("PED-ANOVA (what tells good trials from the others)", tuple(ped[k.knob] for k in order), hatched=True),
            Bars("fANOVA (what moves the score at all)", tuple(fanova[k.knob] for k in order)),
        ),
        height=130 + 46 * len(order),
    )


def comparable(
    trials: Sequence[TrialRecord], rungs: Sequence[int], direction: Direction
) -> tuple[dict[int, float], str]:
    """Values of as many trials as were trained equally far, and a sentence that says what they are.

    A pruned trial's score is that of a short training; beside final scores it would be the pruning that is weighed.
    Where enough trials were completed they are taken, else what all trials had at the first rung.
    """
    complete = {
        trial.number: best.value
        for trial in trials
        if trial.state is TrialState.COMPLETE and (best := trial.best(direction))
    }
    at_first: dict[int, float] = {}
    if rungs:
        reported = ((trial.number, entry) for trial in trials for entry in trial.reports)
        at_first = {number: entry.value for number, entry in reported if entry.samples == rungs[0]}
    if len(complete) >= FEWEST or len(complete) >= len(at_first):
        return complete, (
            f"It rests on the {len(complete)} of {amount(len(trials), 'trial')} that were completed; what pruning "
            "stopped is not in it, so a knob that pruned trials share looks weaker than it is."
        )
    return at_first, (
        f"It rests on {len(at_first)} of {amount(len(trials), 'trial')} as they stood at the first rung, after "
        f"{rungs[0]:,} samples: only {len(complete)} were completed, too few to be weighed. What counts early may not "
        "count in the end."
    )


def weigh(
    trials: Sequence[TrialRecord], values: Values, knobs: Sequence[Varied], direction: Direction
) -> tuple[dict[str, float], dict[str, float]]:
    """Optuna's importances of knobs, by functional ANOVA and by PED-ANOVA; each sums to 1."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    distributions = {knob.knob: knob.distribution() for knob in knobs}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a person needn't hear that a study was created
    try:
        study = optuna.create_study(direction=direction.value, storage=optuna.storages.InMemoryStorage())
    finally:
        optuna.logging.set_verbosity(verbosity)
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={knob.knob: value_of(trial.config, knob.knob)[0] for knob in knobs},
                distributions=distributions,
                value=values[trial.number],
            )
            for trial in trials
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        fanova = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
        # The best quarter, as in the other picture: the best tenth of so few trials is one or two.
        ped = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=0.25))
    return {name: float(fanova[name]) for name in distributions}, {name: float(ped[name]) for name in distributions}
