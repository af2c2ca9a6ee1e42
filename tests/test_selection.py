"""Who wins on validation, and how far the search's own value flatters."""

import math

import numpy as np
import pytest

from autoft.records import Direction
from autoft.report import Entrant, choose, optimism

MAX, MIN = Direction.MAXIMIZE, Direction.MINIMIZE


def test_with_as_many_seeds_the_mean_decides_not_the_luckiest() -> None:
    lucky, steady = Entrant("lucky", (0.95, 0.85, 0.85)), Entrant("steady", (0.90, 0.90, 0.91))
    choice = choose([lucky, steady], MAX)
    assert choice.order == ("steady", "lucky")
    assert choice.spread == pytest.approx(math.sqrt((0.1**2 * 2 / 3 + 0.01**2 * 2 / 3) / 4))
    assert choice.scores["steady"] == pytest.approx(0.90333 - choice.spread / math.sqrt(3), abs=1e-5)


def test_one_value_alone_has_to_be_ahead_by_more() -> None:
    finalist = Entrant("trial-1", (0.90, 0.91, 0.92))  # spread 0.01: its error is 0.0058, that of one value 0.01
    assert choose([Entrant("soup", (0.913,)), finalist], MAX).order[0] == "trial-1"
    assert choose([Entrant("soup", (0.916,)), finalist], MAX).order[0] == "soup"


def test_a_loss_is_ranked_the_other_way() -> None:
    choice = choose([Entrant("a", (0.30, 0.32)), Entrant("b", (0.40, 0.38))], MIN)
    assert choice.order == ("a", "b")
    assert choice.scores["a"] > 0.31  # the error counts against it
    assert choice.rule.startswith("The lowest mean on validation over the seeds, plus its standard error, wins")


def test_a_tie_goes_to_the_cheaper_and_then_to_the_first() -> None:
    entrants = [Entrant("a", (0.1 + 0.2,), 5), Entrant("b", (0.3,), 1), Entrant("c", (0.3,), 5)]
    assert choose(entrants, MAX).order == ("b", "a", "c")
    assert choose(entrants[::-1], MAX).order == ("b", "c", "a")


def test_without_a_second_seed_the_values_are_ranked_and_the_rule_says_so() -> None:
    choice = choose([Entrant("plain", (0.8,)), Entrant("trial-3", (0.9,))], MAX)
    assert choice.order == ("trial-3", "plain")
    assert (choice.spread, choice.scores["plain"]) == (None, 0.8)
    assert "nothing was trained with a second seed" in choice.rule


def test_one_entrant_wins_alone() -> None:
    choice = choose([Entrant("plain", (0.8, 0.9))], MAX)
    assert choice.order == ("plain",) and "nothing to choose between" in choice.rule


def test_what_cant_be_chosen_is_refused() -> None:
    with pytest.raises(ValueError, match="name of its own"):
        choose([], MAX)
    with pytest.raises(ValueError, match="name of its own"):
        choose([Entrant("a", (1.0,)), Entrant("a", (2.0,))], MAX)
    for values in ((), (0.9, math.nan), (math.inf,)):
        with pytest.raises(ValueError, match="trial-7 can't be chosen"):
            Entrant("trial-7", values)


def test_a_spread_is_that_of_the_sample() -> None:
    assert Entrant("a", (1.0, 3.0)).spread == pytest.approx(math.sqrt(2))
    assert Entrant("a", (1.0,)).spread is None


def test_the_rule_finds_the_best_more_often_than_the_search_or_the_best_single_value() -> None:
    """Twenty configurations as far apart as seeds are; the best three trained twice more, a plain recipe once."""
    runs, found = 1500, dict.fromkeys(("rule", "search", "single"), 0)
    random = np.random.default_rng(0)
    for _ in range(runs):
        quality = random.normal(size=20)
        searched = quality + random.normal(size=20)
        best = np.argsort(-searched)[:3]
        values = [(searched[i], *(quality[i] + random.normal(size=2))) for i in best]
        truth = {f"trial-{i}": quality[i] for i in best} | {"plain": 1.0}
        entrants = [Entrant(f"trial-{i}", seen) for i, seen in zip(best, values, strict=True)]
        entrants.append(Entrant("plain", (1.0 + random.normal(),)))
        top = max(truth, key=lambda name: truth[name])
        found["rule"] += choose(entrants, MAX).order[0] == top
        found["search"] += f"trial-{best[0]}" == top
        found["single"] += max(entrants, key=lambda entrant: max(entrant.values)).name == top
    assert found["rule"] > found["single"] + 0.01 * runs
    assert found["rule"] > found["search"] + 0.08 * runs


def test_optimism_is_what_the_search_saw_more_than_fresh_seeds() -> None:
    value, says = optimism(0.915, [0.905, 0.909], "accuracy", MAX)
    assert value == pytest.approx(0.008)
    assert says == (
        "On validation the search had measured accuracy 0.9150 for the winner; trained again with 2 other seeds it has "
        "0.9070 on average: the search's value flatters it by 0.8 points."
    )
    value, says = optimism(20.0, [21.0], "perplexity", MIN)
    assert value == pytest.approx(1.0)
    assert says.endswith(
        "trained again with another seed it has 21.0000: the search's value flatters it by 1.00 of perplexity."
    )
    value, says = optimism(0.90, [0.91], "accuracy", MAX)
    assert value == pytest.approx(-0.01) and says.endswith("does not flatter it.")
    assert optimism(0.90, [], "accuracy", MAX)[0] is None
    assert optimism(None, [0.9], "accuracy", MAX)[0] is None


def test_optimism_finds_what_choosing_adds() -> None:
    """The best of 30 equal configurations looks two spreads better than it is."""
    random = np.random.default_rng(1)
    found = [optimism(random.normal(size=30).max(), random.normal(size=2).tolist(), "gain", MAX)[0] for _ in range(600)]
    assert np.mean([value for value in found if value is not None]) == pytest.approx(2.04, abs=0.15)
