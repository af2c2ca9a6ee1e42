"""The final round in MLflow: which entrant each of its trainings was for, and which run the winner is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from autoft.records import TrialConfig, TrialRecord
from autoft.tracking.projection import Key, final_key, trial_key

PLAIN = "plain"


def entrants_of(
    finals: Sequence[TrialRecord], trials: Sequence[TrialRecord], report: Mapping[str, Any]
) -> tuple[str, ...]:
    """The entrant that each training of the final round was for: `trial-7`, or `plain` for the plain recipe.

    A repeat has the configuration of its finalist with another seed. Where a finalist is itself the plain recipe, the
    one with the finalist's own seed is the plain recipe's.

    Args:
        finals: The trainings.
        trials: The trials of the search.
        report: The final report; where it names entrants, no other trial is one.
    """
    named = {entrant.get("trial") for entrant in report.get("entrants") or () if entrant.get("kind") == "finalist"}
    contenders = [trial for trial in trials if not named or trial.number in named]
    return tuple(_entrant(record, contenders) for record in finals)


def winner_key(
    winner: Mapping[str, Any], record: TrialRecord, finals: Sequence[TrialRecord], entrants: Sequence[str]
) -> Key:
    """The run of the training whose weights are handed over; of a soup, the trial that it began with.

    Args:
        winner: As the report has it.
        record: Its trial.
        finals: The trainings of the final round.
        entrants: The entrant of each of them.
    """
    name, seed = winner.get("entrant"), winner.get("seed")
    for final, entrant in reversed([*zip(finals, entrants, strict=True)]):  # one that was cut short was trained anew
        if entrant == name and final.config.seed == seed and final.reports:
            return final_key(final)
    return trial_key(record)


def _entrant(record: TrialRecord, trials: Sequence[TrialRecord]) -> str:
    recipe = _seedless(record.config)
    same = [trial for trial in trials if _seedless(trial.config) == recipe]
    repeated = [trial for trial in same if trial.config.seed != record.config.seed]
    return f"trial-{repeated[0].number}" if repeated else PLAIN


def _seedless(config: TrialConfig) -> TrialConfig:
    return replace(config, seed=0)
