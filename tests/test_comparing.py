"""The comparison of two models on the same rows: how a metric is drawn again, the verdict, the words."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autoft import tasks
from autoft.records import Direction
from autoft.report import Resampling, bootstrap_interval, comparison_with, paired_interval
from autoft.report.amounts import amounts
from autoft.report.comparing import BETTER, NOT_SHOWN, WORSE, sentence
from autoft.report.drawing import Decisions, Means, Whole

TASK = tasks.get("text-classification")
MAX, MIN = Direction.MAXIMIZE, Direction.MINIMIZE


def measure(scores: Any, examples: Any) -> dict[str, float]:
    return TASK.measure(scores, examples, {})


def two_models(
    rows: int = 300, classes: int = 3, seed: int = 0
) -> tuple[NDArray[Any], NDArray[Any], list[dict[str, int]]]:
    """Logits of a good model and of a worse one that resembles it, and the examples."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=rows)
    good = random.normal(size=(rows, classes)) + 2.5 * np.eye(classes)[labels]
    return good, good + 0.9 * random.normal(size=(rows, classes)), [{"labels": int(label)} for label in labels]


def kind(metric: str, scores: Any, examples: Any, measured: Any = measure) -> type:
    return type(Resampling(measured, metric, examples)._kind(scores))


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "precision", "recall", "weighted_f1", "mcc"])
def test_metrics_of_decisions_are_drawn_as_counts(metric: str) -> None:
    good, worse, examples = two_models()
    assert kind(metric, good, examples) is Decisions
    drawn = Resampling(measure, metric, examples, resamples=2000)
    one = [lambda s, e: measure(s, e)[metric]]
    assert drawn.difference(good, worse) == pytest.approx(
        paired_interval(one[0], good, worse, examples, resamples=2000), abs=0.006
    )
    # A single score's has a few rows added, which with a hundred rows in each class hardly shows.
    assert drawn.interval(good) == pytest.approx(bootstrap_interval(one[0], good, examples, resamples=2000), abs=0.008)


def test_a_mean_over_rows_needs_no_call_for_each_resample() -> None:
    good, worse, examples = two_models()
    calls = [0]

    def counted(scores: Any, examples: Any) -> dict[str, float]:
        calls[0] += 1
        return measure(scores, examples)

    assert kind("loss", good, examples) is Means
    found = Resampling(counted, "loss", examples).difference(good, worse)
    assert calls[0] < 2 * len(examples) + 100
    assert found == pytest.approx(paired_interval(lambda s, e: measure(s, e)["loss"], good, worse, examples), abs=0.008)


def test_any_other_metric_is_measured_on_each_resample() -> None:
    good, worse, examples = two_models(80)
    assert kind("roc_auc", good, examples) is Whole
    drawn = Resampling(measure, "roc_auc", examples, resamples=100)
    assert drawn.interval(good) == bootstrap_interval(
        lambda s, e: measure(s, e)["roc_auc"], good, examples, resamples=100
    )
    assert drawn.chance(good, worse) <= 0.05 < drawn.chance(good, good)


def test_a_metric_of_the_same_name_may_be_another_one() -> None:
    good, _, examples = two_models(60)

    def own(scores: Any, examples: Any) -> dict[str, float]:
        return {"accuracy": measure(scores, examples)["accuracy"] ** 2}

    assert kind("accuracy", good, examples, own) is Whole


def test_a_metric_that_cant_be_measured_on_one_row_is_measured_on_many() -> None:
    def spread(scores: Any, examples: Any) -> dict[str, float]:
        if len(scores) < 2:
            raise ValueError("needs two rows")
        return {"spread": float(np.std(scores))}

    assert kind("spread", np.arange(30.0), [{"labels": 0.5}] * 30, spread) is Whole


def test_shares_of_rows_without_an_error_leave_some_doubt() -> None:
    def exact(scores: Any, examples: Any) -> dict[str, float]:
        return {
            "exact_match": float(
                np.mean([said == example["labels"] for said, example in zip(scores, examples, strict=True)])
            )
        }

    examples = [{"labels": str(i)} for i in range(100)]
    low, high = Resampling(exact, "exact_match", examples).interval([str(i) for i in range(100)])
    assert 0.95 < low < high == 1
    low, high = Resampling(measure, "accuracy", [{"labels": i % 2} for i in range(100)]).interval(
        np.eye(2)[np.arange(100) % 2]
    )
    assert 0.95 < low < high == 1


def test_scores_that_dont_fit_are_refused() -> None:
    good, worse, examples = two_models(20)
    with pytest.raises(ValueError, match="19 scores don't fit 20 targets"):
        Resampling(measure, "accuracy", examples).difference(good, worse[1:])
    with pytest.raises(ValueError, match="fit"):
        Resampling(measure, "accuracy", []).interval([])
    with pytest.raises(ValueError, match="level"):
        Resampling(measure, "accuracy", examples, level=1.5).interval(good)


def test_four_rows_of_four_are_no_proof() -> None:
    """No resample favours the other, yet a coin falls four times on one side in an eighth of the cases."""
    examples = [{"labels": i % 2} for i in range(100)]
    winner = np.eye(2)[np.arange(100) % 2]
    winner[:10] = winner[:10, ::-1]
    other = winner.copy()
    other[20:24] = other[20:24, ::-1]
    entry = comparison_with(
        "the plain recipe", measure, "accuracy", MAX, scores=winner, others=other, examples=examples
    )
    assert entry["interval"][0] > 0
    assert entry["chance"] == pytest.approx(0.125, abs=0.025)
    assert entry["verdict"] == NOT_SHOWN
    assert "but by chance alone two equally good models would be as far apart in 1" in entry["sentence"]


@pytest.mark.parametrize("metric", ["macro_f1", "loss", "roc_auc"])
def test_the_comparison_is_of_the_winner_whichever_way_the_metric_goes(metric: str) -> None:
    good, worse, examples = two_models(400)

    def entry(one: Any, two: Any) -> dict[str, Any]:
        found = comparison_with(
            "it", measure, metric, TASK.metrics[metric], scores=one, others=two, examples=examples, resamples=200
        )
        assert found["interval"][0] <= found["difference"] <= found["interval"][1]
        return found

    assert entry(good, worse)["verdict"] == BETTER
    assert entry(worse, good)["verdict"] == WORSE
    level = entry(good, good)
    assert (level["difference"], level["interval"], level["verdict"]) == (0.0, [0.0, 0.0], NOT_SHOWN)
    assert level["sentence"] == "no difference from it is shown: the two are level, whichever test rows are drawn"


def test_a_comparison_of_one_row_shows_nothing() -> None:
    entry = comparison_with(
        "it", measure, "accuracy", MAX, scores=np.eye(2)[:1], others=np.eye(2)[1:], examples=[{"labels": 0}]
    )
    assert entry["verdict"] == NOT_SHOWN and entry["difference"] == 1.0


NO = "no difference from it is shown: "


@pytest.mark.parametrize(
    ("metric", "difference", "interval", "verdict", "says"),
    [
        ("accuracy", 0.012, (0.003, 0.021), BETTER, "better than it by 1.2 points, 95 % interval 0.3 to 2.1"),
        ("accuracy", -0.012, (-0.021, -0.003), WORSE, "worse than it by 1.2 points, 95 % interval 0.3 to 2.1"),
        ("accuracy", 0.012, (0.0003, 0.021), BETTER, "better than it by 1.20 points, 95 % interval 0.03 to 2.10"),
        (
            "accuracy",
            0.004,
            (-0.006, 0.013),
            NOT_SHOWN,
            f"{NO}0.4 points ahead, and the interval, -0.6 to 1.3, holds zero",
        ),
        (
            "accuracy",
            -0.01,
            (-0.02, 0.0),
            NOT_SHOWN,
            f"{NO}1.0 point behind, and the interval, -2.0 to 0.0, holds zero",
        ),
        (
            "accuracy",
            0.0,
            (-0.01, 0.01),
            NOT_SHOWN,
            f"{NO}the two are level, and the interval, -1.0 to 1.0, holds zero",
        ),
        ("accuracy", 0.01, (math.nan, math.nan), NOT_SHOWN, f"{NO}1.0 point ahead, how sure is not known"),
        ("accuracy", math.nan, (math.nan, math.nan), NOT_SHOWN, f"{NO}one of the two has no accuracy"),
        (
            "perplexity",
            3.2,
            (1.14, 5.4),
            BETTER,
            "better than it: perplexity lower by 3.20, 95 % interval 1.14 to 5.40",
        ),
        ("perplexity", -31, (-54, -11), WORSE, "worse than it: perplexity higher by 31.0, 95 % interval 11.0 to 54.0"),
        ("bleu", -1.5, (-2.0, -1.0), WORSE, "worse than it: bleu lower by 1.50, 95 % interval 1.00 to 2.00"),
        (
            "rmse",
            0.31,
            (-0.1, 0.5),
            NOT_SHOWN,
            f"{NO}rmse is 0.310 lower, and the interval, -0.100 to 0.500, holds zero",
        ),
    ],
)
def test_the_words_are_read_right(metric: str, difference: float, interval: Any, verdict: str, says: str) -> None:
    direction = MIN if metric in ("perplexity", "rmse") else MAX
    assert sentence("it", metric, direction, difference=difference, interval=interval, verdict=verdict) == says


def test_no_amount_is_rounded_to_zero_and_none_is_negative_zero() -> None:
    assert amounts([0.0123, -0.00004, 0.0], "accuracy") == ["1.230", "-0.004", "0.000"]
    assert amounts([-1e-12, 0.01], "accuracy") == ["0.000000", "1.000000"]
    assert amounts([12.34, 0.5], "rmse") == ["12.3", "0.5"]
    assert amounts([], "rmse") == []
