"""What the report claims, on searches whose truth is known: no claim where nothing is, and a real lead found.

Nothing is trained here: models are made that answer right with a known probability, and err on the same hard rows as
each other, as real ones do. Rates are held against what they should be plus the luck of so many runs, computed from
the binomial distribution, so that a run that fails means that the true rate is off.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, norm

from autoft.records import Direction
from autoft.report import Entrant, Resampling, choose, comparison_with
from autoft.report.comparing import BETTER, WORSE
from autoft.tasks.metrics import from_margins

ROWS = 1000
R8 = np.array([2840, 1596, 253, 190, 206, 251, 108, 41]) / 5485
"""Shares of the classes of Reuters R8, which are as unequal as they get."""

Array = NDArray[Any]


def measure(scores: Array, examples: Any) -> dict[str, float]:
    """A task's, without the ranks of `roc_auc`, which take most of the time."""
    labels, said, classes = (
        np.array([example["labels"] for example in examples]),
        scores.argmax(axis=1),
        scores.shape[1],
    )
    margins = (np.bincount(rows, minlength=classes) for rows in (labels[labels == said], labels, said))
    return {name: float(value) for name, value in from_margins(*margins).items()}


def at_most(runs: int, share: float) -> int:
    """Successes that a true rate of `share` exceeds in one of 1,000 tests."""
    return int(binom.ppf(0.999, runs, share))


def at_least(runs: int, share: float) -> int:
    """Successes that a true rate of `share` falls short of in one of 1,000 tests."""
    return int(binom.ppf(0.001, runs, share))


def right_answers(
    random: np.random.Generator, rows: int, accuracies: list[float], alike: float = 0.8
) -> NDArray[np.bool_]:
    """Shape (models, rows): which rows each model gets right, every row as hard for all to the degree `alike`.

    A normal value for each row that all share, and one of the model's own, decide: the correlation of the errors of two
    models of accuracy 0.9 is then about 0.5 at 0.8, and they agree on 9 rows of 10.
    """
    hard = random.normal(size=rows)
    own = random.normal(size=(len(accuracies), rows))
    ease = math.sqrt(alike) * hard + math.sqrt(1 - alike) * own
    found: NDArray[np.bool_] = ease < norm.ppf(accuracies)[:, None]
    return found


def binary(right: NDArray[np.bool_], labels: NDArray[np.intp]) -> Array:
    """Scores of a classifier of two classes that is right where it says so."""
    return np.eye(2)[np.where(right, labels, 1 - labels)]


def told(random: np.random.Generator, rows: int, shares: Array, accuracy: float) -> tuple[Array, list[dict[str, int]]]:
    """Scores and examples of unequal classes, the rarer the harder."""
    labels = random.choice(len(shares), size=rows, p=shares)
    said = np.where(random.random(rows) < skill(shares, accuracy)[labels], labels, taken_for(random, labels, shares))
    return np.eye(len(shares))[said], [{"labels": int(label)} for label in labels]


def skill(shares: Array, accuracy: float) -> Array:
    """How often a row of each class is right: errors grow as the class gets rarer."""
    return 1 - (1 - accuracy) * np.minimum(3, np.sqrt(1 / len(shares) / shares))


def taken_for(random: np.random.Generator, labels: Array, shares: Array) -> Array:
    """Another class for each row, the common ones more often."""
    found = random.choice(len(shares), size=len(labels), p=shares)
    while (same := found == labels).any():
        found[same] = random.choice(len(shares), size=same.sum(), p=shares)
    return found


def true_macro_f1(shares: Array, accuracy: float) -> float:
    """Of `told`, for ever many rows."""
    table = np.zeros((len(shares), len(shares)))
    for row, right in enumerate(skill(shares, accuracy)):
        others = np.where(np.arange(len(shares)) == row, 0, shares)
        table[row] = shares[row] * (1 - right) * others / others.sum()
        table[row, row] = shares[row] * right
    return float((2 * np.diag(table) / (table.sum(axis=0) + table.sum(axis=1))).mean())


def a_search(run: int, accuracies: list[float], plain: float, metric: str = "accuracy") -> dict[str, dict[str, Any]]:
    """A whole search: trials measured on validation, the best three with two more seeds, the choice, the test.

    Returns:
        The winner's comparisons on the test rows with the plain recipe and with the runner-up.
    """
    random = np.random.default_rng((20_26, run))
    validation = right_answers(random, 500, [*accuracies, plain]).mean(axis=1)
    best = np.argsort(-validation[:-1], kind="stable")[:3]
    fresh = right_answers(random, 500, [accuracies[i] for i in best for _ in range(2)]).mean(axis=1).reshape(3, 2)
    entrants = [Entrant(f"trial-{i}", (validation[i], *fresh[place])) for place, i in enumerate(best)]
    choice = choose([*entrants, Entrant("plain", (validation[-1],))], Direction.MAXIMIZE)
    quality = {f"trial-{i}": accuracies[i] for i in best} | {"plain": plain}

    labels = random.integers(2, size=ROWS)
    right = right_answers(random, ROWS, [quality[name] for name in choice.order])
    scores = {name: binary(answers, labels) for name, answers in zip(choice.order, right, strict=True)}
    examples = [{"labels": int(label)} for label in labels]
    winner, second = choice.order[:2]
    others = {"plain": "plain"} if winner != "plain" else {}
    others |= {"runner_up": second} if second != "plain" else {}
    return {
        key: comparison_with(
            key, measure, metric, Direction.MAXIMIZE, scores=scores[winner], others=scores[name], examples=examples
        )
        for key, name in others.items()
    }


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_where_all_are_equal_better_is_claimed_in_few_searches(metric: str) -> None:
    """Either claim counts, that over the plain recipe and that over the runner-up."""
    runs = 400
    verdicts = [{entry["verdict"] for entry in a_search(run, [0.9] * 12, 0.9, metric).values()} for run in range(runs)]
    claimed = sum(BETTER in found for found in verdicts)
    assert claimed <= 0.05 * runs
    assert claimed + sum(WORSE in found for found in verdicts) > 0  # a test that never speaks would prove nothing


def test_a_claim_made_by_the_value_on_validation_would_be_false_more_often() -> None:
    """What the rates above would catch: the winner's lead on the rows that chose it is mere selection."""
    runs, ahead = 400, 0
    for run in range(runs):
        random = np.random.default_rng(run)
        validation = right_answers(random, ROWS, [0.9] * 13)
        labels = random.integers(2, size=ROWS)
        winner = int(validation[:-1].sum(axis=1).argmax())
        entry = comparison_with(
            "the plain recipe",
            measure,
            "accuracy",
            Direction.MAXIMIZE,
            scores=binary(validation[winner], labels),
            others=binary(validation[-1], labels),
            examples=[{"labels": int(label)} for label in labels],
        )
        ahead += entry["verdict"] == BETTER
    assert ahead > 0.10 * runs


def test_a_lead_of_three_points_is_found() -> None:
    """Of the two comparisons the one with the truly worse plain recipe."""
    runs = 400
    entries = [a_search(run, [0.93] * 12, 0.90)["plain"] for run in range(runs)]
    assert sum(entry["verdict"] == BETTER for entry in entries) >= at_least(runs, 0.85) >= 0.79 * runs
    assert np.mean([entry["difference"] for entry in entries]) == pytest.approx(0.03, abs=0.002)


def test_two_models_err_on_the_same_rows_as_real_ones_do() -> None:
    """The power above is that of realistic agreement, neither of independent models nor of copies."""
    right = right_answers(np.random.default_rng(0), 200_000, [0.90, 0.93])
    assert right.mean(axis=1) == pytest.approx([0.90, 0.93], abs=0.003)
    assert 0.90 < (right[0] == right[1]).mean() < 0.94
    assert 0.4 < np.corrcoef(right)[0, 1] < 0.6


FEW_ERRORS = [(1000, 0.99), (300, 0.99), (100, 0.99), (300, 0.97), (100, 0.97)]
"""Where a plain bootstrap holds the truth in as little as 60 % of the cases, for it knows no error that isn't there."""

slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("rows", "accuracy"), [(1000, 0.9), *(pytest.param(*case, marks=slow) for case in [(1000, 0.75), (300, 0.9)])]
)
def test_the_interval_of_an_accuracy_holds_the_truth(rows: int, accuracy: float) -> None:
    held = coverage(1000, accuracy, lambda random: told(random, rows, np.array([0.5, 0.5]), accuracy), "accuracy")
    assert at_least(1000, 0.95) <= held * 1000 <= at_most(1000, 0.95)
    assert 0.93 <= held <= 0.97


@slow
@pytest.mark.parametrize(("rows", "accuracy"), FEW_ERRORS)
def test_the_interval_of_an_accuracy_near_one_holds_the_truth(rows: int, accuracy: float) -> None:
    """Such counts come in steps, so no interval holds it in just 95 %; this one errs towards more."""
    held = coverage(1000, accuracy, lambda random: told(random, rows, np.array([0.5, 0.5]), accuracy), "accuracy")
    assert held >= 0.93


@pytest.mark.parametrize(
    ("shares", "rows", "accuracy"),
    [
        (np.array([0.8, 0.2]), 500, 0.85),
        (R8, 1000, 0.97),
        *(
            pytest.param(*case, marks=slow)
            for case in [(np.array([0.5, 0.5]), 1000, 0.9), (R8, 2189, 0.97), (R8, 1000, 0.9), (R8, 300, 0.8)]
        ),
    ],
)
def test_the_interval_of_a_macro_f1_holds_the_truth(shares: Array, rows: int, accuracy: float) -> None:
    truth = true_macro_f1(shares, accuracy)
    held = coverage(1000, truth, lambda random: told(random, rows, shares, accuracy), "macro_f1")
    assert 0.93 <= held <= 0.97


def coverage(runs: int, truth: float, make: Callable[[np.random.Generator], tuple[Array, Any]], metric: str) -> float:
    """In which share of the runs the interval holds the truth."""
    held = 0
    for run in range(runs):
        scores, examples = make(np.random.default_rng(run))
        low, high = Resampling(measure, metric, examples, resamples=400, seed=run).interval(scores)
        held += low - 1e-9 <= truth <= high + 1e-9
    return held / runs


def test_the_interval_of_a_difference_holds_the_truth() -> None:
    runs, held = 1000, 0
    for run in range(runs):
        random = np.random.default_rng((7, run))
        labels = random.integers(2, size=500)
        one, two = (binary(right, labels) for right in right_answers(random, 500, [0.92, 0.90]))
        examples = [{"labels": int(label)} for label in labels]
        low, high = Resampling(measure, "accuracy", examples, resamples=400, seed=run).difference(one, two)
        held += low - 1e-9 <= 0.02 <= high + 1e-9
    assert 0.93 * runs <= held <= 0.97 * runs
