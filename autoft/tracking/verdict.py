"""The outcome of a search in sentences: for its MLflow page, its tag, and the version of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.records import Direction, SearchRecord, TrialRecord, ranked
from autoft.tracking.projection import entrant_name
from autoft.tracking.tables import cell, number, score_interval
from autoft.words import compact, frozen, short_name

_COMPARED = ("plain", "runner_up", "baseline")


def headline(search: SearchRecord, report: Mapping[str, Any]) -> str:
    """Who has won, with what score, and how sure that is: one sentence."""
    winner = report.get("winner")
    if not winner:
        return "**No winner.** The search ended without a trial that could be scored."
    span = score_interval(winner.get("test_interval"))
    interval = f" (95 % interval {span})" if span else ""
    model = short_name(str(winner.get("params", {}).get("model", "")))
    return (
        f"**The winner is {_who(winner, report)}**{f', {cell(model)},' if model else ''} "
        f"with **{number(winner.get('test'))}** {search.metric} on the test set{interval}."
    )


def final_verdict(search: SearchRecord, report: Mapping[str, Any]) -> str:
    """The winner, its test score with its interval, and how it compares with what else there is."""
    return " ".join([headline(search, report), *reasons(search, report)])


def reasons(search: SearchRecord, report: Mapping[str, Any]) -> list[str]:
    """How the winner compares with what else there is, and how far its score can be trusted, a sentence each."""
    winner = report.get("winner")
    if not winner:
        return []
    sentences = comparisons(report)
    if baselines := _against(search.direction, winner, report):
        sentences.append(baselines)
    if (earlier := (report.get("test_read") or {}).get("earlier")) and isinstance(earlier, int):
        sentences.append(f"**The test set had been read {earlier} times before**, so its scores flatter.")
    entrants = len(report.get("entrants") or ())
    read = f"once for each of {entrants} entrants" if entrants > 1 else "once"
    sentences.append(f"Validation chose it; the test set was read {read}, at the end.")
    return sentences


def plain_verdict(search: SearchRecord, report: Mapping[str, Any]) -> str:
    """The headline and the comparisons without any markup, for a tag."""
    return " ".join([headline(search, report), *comparisons(report)]).replace("**", "").replace("\\|", "|")


def comparisons(report: Mapping[str, Any]) -> list[str]:
    """What the report says of the winner against the plain recipe, the runner-up and the best baseline."""
    compared = report.get("comparisons") or {}
    said = [(compared.get(key) or {}).get("sentence") for key in _COMPARED]
    return [_sentence(str(said_of)) for said_of in said if said_of]


def so_far(search: SearchRecord, trials: Sequence[TrialRecord], blocks: Mapping[str, int]) -> str:
    """The best trial of a search that still runs."""
    order = ranked(trials, search.direction)
    best = order[0].best(search.direction) if order else None
    if best is None:
        return "**No result yet.** The first trials are on their way."
    config = order[0].config
    return (
        f"**Best so far: {number(best.value)} {search.metric}** on validation, trial #{order[0].number}: "
        f"{cell(short_name(config.model))}, learning rate {compact(config.learning_rate)}, "
        f"batch {config.batch_size}, {config.epochs} epoch{'s' if config.epochs > 1 else ''}, "
        f"freeze {frozen(config.as_dict(), blocks.get(config.model))}. The test set has not been read."
    )


def _sentence(text: str) -> str:
    words = " ".join(text.split())
    return f"{words[:1].upper()}{words[1:].removesuffix('.')}."


def _who(winner: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    entrant = str(winner.get("entrant") or "")
    if entrant == "soup":
        soup: Mapping[str, Any] = next((one for one in report.get("entrants") or () if one.get("name") == "soup"), {})
        parts = [entrant_name(str(part).partition("/")[0]) for part in soup.get("ingredients") or ()]
        return f"the soup (averaged weights) of {', '.join(dict.fromkeys(parts))}" if parts else "the soup"
    if entrant == "plain":
        return "the plain recipe"
    return f"trial #{winner.get('trial')}"


def _against(direction: Direction, winner: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    scores: dict[str, float] = {
        name: values["test"]
        for name, values in (report.get("baselines") or {}).items()
        if isinstance(values, Mapping) and isinstance(values.get("test"), int | float)
    }
    test = winner.get("test")
    if not scores or not isinstance(test, int | float):
        return ""
    listed = ", ".join(f"{cell(name)} {number(value)}" for name, value in scores.items())
    best = max(scores, key=lambda name: direction.gain(scores[name]))
    if not direction.better(test, scores[best]):
        return f"Baselines on the same rows: {listed}. **The winner is not better than {cell(best)}.**"
    if ((report.get("comparisons") or {}).get("baseline") or {}).get("sentence"):  # row by row, which is sharper
        return f"Baselines on the same rows: {listed}."
    # The end of the interval that points to worse scores.
    ends = winner.get("test_interval")
    worst = min(ends if ends and score_interval(ends) else (test,), key=direction.gain)
    clear = direction.better(worst, scores[best])
    hedge = "" if clear else f" The interval reaches {cell(best)}, so the lead may be chance."
    return f"Baselines on the same rows: {listed}.{hedge}"
