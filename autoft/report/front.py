"""The Pareto front of a search with two objectives: in `report.json`, and as the rows of a small table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoft.pareto import front
from autoft.records import SearchRecord, TrialRecord, ranked
from autoft.report.labels import score
from autoft.words import short_name

COSTS: Mapping[str, str] = {"parameters": "parameters", "latency": "ms per text"}
"""What a cost is counted in, by the name of the objective."""


def pareto(
    search: SearchRecord,
    against: str | None,
    trials: Sequence[TrialRecord],
    costs: Mapping[str, float],
    within: float | None = None,
) -> dict[str, Any]:
    """The entry `pareto` of the report.

    Args:
        search: The search.
        against: Name of the second objective.
        trials: All trials.
        costs: What each model costs.
        within: How much less than the best the trial that is handed over may score.

    Returns:
        Under `pareto`: `axes`, the names of the objectives; `points`, for each trial that may win its number, its
        `value` on validation and its `cost`; `front`, numbers of the trials that none is better than at no
        higher cost, the cheapest first; and `within`. Empty where there is one objective.
    """
    if not against or not costs:
        return {}
    direction = search.direction
    points = [(trial, trial.best(direction)) for trial in ranked(trials, direction)]
    return {
        "pareto": {
            "axes": [search.metric, against],
            "points": [
                {"trial": trial.number, "value": best.value, "cost": costs[trial.config.model]}
                for trial, best in points
                if best is not None
            ],
            "front": [trial.number for trial in front(trials, direction, costs)],
            "within": within,
        }
    }


def front_table(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the front, the cheapest first; no rows where the search had one objective."""
    known = report.get("pareto")
    if not known:
        return [], []
    metric, against = known["axes"]
    points = {point["trial"]: point for point in known["points"]}
    models = {entry["trial"]: short_name(entry["params"]["model"]) for entry in report["leaderboard"]}
    rows = [
        [
            f"#{number}" + (" (the winner)" if number == report["winner"]["trial"] else ""),
            models[number],
            cost(points[number]["cost"], against),
            score(points[number]["value"]),
        ]
        for number in known["front"]
    ]
    return ["trial", "model", COSTS.get(against, against), f"validation {metric}"], rows


def choice(report: Mapping[str, Any]) -> str:
    """Why the trial with the best score isn't the one that is handed over, in a sentence; empty where it is."""
    known, winner = report.get("pareto") or {}, report["winner"]["trial"]
    best = known["front"][-1] if known.get("front") else winner
    if winner == best or known.get("within") is None:
        return ""
    return (
        f"Trial {winner} is handed over rather than trial {best}, which scores best: it costs less, and scores lower "
        f"by no more than {known['within']:g}, as `search.within` asks for."
    )


def cost(value: float, against: str) -> str:
    """What a model costs, as people write it: `22.7 M`, `3.1`."""
    if against != "parameters":
        return f"{value:.3g}"
    return f"{value / 1e6:,.1f} M" if value >= 1e5 else f"{value:,.0f}"
