"""The knobs: what the best trials have in common, and which knobs the score depends on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import Direction, TrialRecord, TrialState, ranked
from autoft.report.labels import amount, listed, percent, score, winner_number
from autoft.report.pictures.picture import Axis, Bars, Label, Line, Marker, Picture, Stroke, Tone
from autoft.report.pictures.varied import Varied, value_of, varied

FEWEST = 8  # trials below which an importance says nothing
_HINT = 30  # trials below which it says little
_AXES = 8  # knobs that fit beside each other
_UNUSED = -0.12  # where a trial passes a knob that has no part in its recipe
_NARROW = 0.5  # of all places: what the best trials share
_APART = 0.035  # between trials with the same name, so that their lines can be told apart

Values = Mapping[int, float]  # the objective of each trial, by its number


def parallel_coordinates(
    report: Mapping[str, Any], trials: Sequence[TrialRecord], rungs: Sequence[int]
) -> Picture | None:
    """A line for each trial through its value of every knob, to its score on the right."""
    direction, metric = Direction(report["direction"]), report["metric"]
    able = ranked(trials, direction)
    knobs = varied([trial.config for trial in able])
    if len(able) < 2 or not knobs:
        return None
    left_out = knobs[_AXES:]
    knobs = knobs[:_AXES]
    scores = {trial.number: at.value for trial in able if (at := trial.best(direction))}
    low, high = min(scores.values()), max(scores.values())
    best = able[: max(1, round(len(able) / 4))]
    winner = winner_number(report)
    chosen = [trial for trial in able if trial.number == winner]
    rest = [trial for trial in able if trial not in best and trial not in chosen]

    def route(trial: TrialRecord) -> list[tuple[float, float] | None]:
        apart = ((able.index(trial) / max(1, len(able) - 1)) - 0.5) * 2 * _APART
        points: list[tuple[float, float] | None] = []
        for x, knob in enumerate(knobs):
            value, there = value_of(trial.config, knob.knob)
            y = knob.place(value) if there else _UNUSED
            points.append((x, y if there and knob.numeric and len(knob.values) > 5 else y + apart))
        share = (scores[trial.number] - low) / (high - low) if high > low else 0.5
        return [*points, (len(knobs), share)]

    groups = (
        (f"the other {amount(len(rest), 'trial')}", rest, Stroke.SOLID, Tone.FAINT, 1.0),
        (f"the best quarter ({amount(len(best), 'trial')})", best, Stroke.DASHED, Tone.SECOND, 1.8),
        ("the winner", chosen, Stroke.SOLID, Tone.FIRST, 3.0),
    )
    lines = [Line("", ((x, -0.02), (x, 1.02)), tone=Tone.OTHER, width=0.8) for x in range(len(knobs) + 1)]
    for name, group, stroke, tone, width in groups:
        points = [point for trial in group for point in (*route(trial), None)]
        texts = tuple(text for trial in group for text in (*_route_said(trial, knobs, scores, metric), ""))
        if group:
            lines.append(Line(name, tuple(points), stroke, Marker.CIRCLE, tone, width, size=4, texts=texts))
    labels = [Label(x, y, text, "right") for x, knob in enumerate(knobs) for y, text in knob.ticks()]
    skipped = any(not value_of(trial.config, knob.knob)[1] for trial in able for knob in knobs)
    labels += [Label(len(knobs), share, score(at), "right") for share, at in ((0, low), (1, high)) if high > low]
    ticks = (*((float(x), _two_lines(knob.name)) for x, knob in enumerate(knobs)), (float(len(knobs)), "score"))
    caption = _shared(best, knobs, len(able))
    if skipped:
        caption += " A line passes below a knob that has no part in its trial."
    if left_out:
        caption += f" Not shown: {listed([knob.name for knob in left_out])}."
    return Picture(
        "parallel-coordinates",
        "What the best have in common",
        caption,
        Axis(f"knobs, and validation {metric} on the right", ticks=ticks, bounds=(-0.1, len(knobs) + 0.55)),
        Axis(hidden=True, bounds=(_UNUSED - 0.06 if skipped else -0.08, 1.08)),
        tuple(lines),
        labels=tuple(labels),
        height=430,
    )


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


def _shared(best: Sequence[TrialRecord], knobs: Sequence[Varied], total: int) -> str:
    """What the best trials have in common that not every trial has, the narrowest first."""
    found = []
    for knob in knobs:
        values = [value_of(trial.config, knob.knob) for trial in best]
        own = [value for value, there in values if there]
        if len(own) < len(best):
            continue
        places = [knob.place(value) for value in own]
        width = max(places) - min(places)
        if knob.numeric and len(knob.values) > 2 and width <= _NARROW:
            low, high = knob.say(min(own)), knob.say(max(own))
            found.append((width, f"{knob.name} {low}" if low == high else f"{knob.name} {low} to {high}"))
        elif len(set(own)) == 1:
            found.append((0.0, f"{knob.name} {knob.say(own[0])}"))
    counts = f"The best quarter ({len(best)} of {amount(total, 'trial')})"
    if len(best) < 2:
        return f"{counts} is too small to have anything in common: see it as one example."
    if not found:
        return f"{counts} lies all over every knob: none of them decides alone."
    shared = [text for _, text in sorted(found, key=lambda one: one[0])[:3]]
    return f"{counts} has in common: {listed(shared)}."


def _route_said(trial: TrialRecord, knobs: Sequence[Varied], scores: Values, metric: str) -> list[str]:
    said = f"trial {trial.number} ({trial.state}): {metric} {score(scores[trial.number])}"
    texts = []
    for knob in knobs:
        value, there = value_of(trial.config, knob.knob)
        texts.append(f"{said}; {knob.name} {knob.say(value) if there else 'has no part'}")
    return [*texts, said]


def _two_lines(name: str) -> str:
    first, _, rest = name.partition(" ")
    return f"{first}\n{rest}" if rest else first
