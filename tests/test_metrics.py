"""Our metrics are those of scikit-learn and SciPy, on random and on degenerate input."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from autoft.tasks.metrics import classification, log_softmax, multi_label, roc_auc
from autoft.tasks.metrics_regression import regression


def expected(scores, labels):
    predicted, labels = scores.argmax(axis=1), np.asarray(labels)
    chances = np.exp(log_softmax(scores))
    able = [c for c in range(scores.shape[1]) if 0 < (labels == c).sum() < len(labels)]
    areas = [reference.roc_auc_score(labels == c, chances[:, c]) for c in able]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, _ = reference.precision_recall_fscore_support(
            labels, predicted, average="macro", zero_division=0
        )
        return {
            "macro_f1": f1,
            "accuracy": reference.accuracy_score(labels, predicted),
            "precision": precision,
            "recall": recall,
            "weighted_f1": reference.f1_score(labels, predicted, average="weighted", zero_division=0),
            "roc_auc": np.mean(areas) if areas else 0.5,
            "mcc": reference.matthews_corrcoef(labels, predicted),
            "loss": reference.log_loss(labels, np.exp(log_softmax(scores)), labels=range(scores.shape[1])),
        }


@pytest.mark.parametrize("classes", [2, 3, 29])
@pytest.mark.parametrize("rows", [1, 7, 500])
def test_random_scores(classes, rows):
    random = np.random.default_rng(classes * rows)
    scores, labels = random.normal(size=(rows, classes)), random.integers(classes, size=rows)
    assert classification(scores, labels) == pytest.approx(expected(scores, labels), abs=1e-12)


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [([0, 0, 0], [0, 0, 0]), ([1, 1, 1], [0, 0, 0]), ([0, 0, 0], [0, 1, 2]), ([0, 1, 2], [0, 0, 0])],
    ids=["one class, right", "one class, wrong", "constant prediction", "constant truth"],
)
def test_degenerate_input(predicted, labels):
    scores = np.eye(3)[predicted] * 4.0
    assert classification(scores, np.array(labels)) == pytest.approx(expected(scores, labels), abs=1e-12)


def test_large_logits_do_not_overflow():
    assert classification(np.array([[1e4, -1e4]]), np.array([1]))["loss"] == pytest.approx(2e4)


@pytest.mark.parametrize(("rows", "labels"), [(0, 0), (3, 2)])
def test_lengths_that_do_not_fit_are_refused(rows, labels):
    with pytest.raises(ValueError, match="don't fit"):
        classification(np.zeros((rows, 2)), np.zeros(labels, dtype=int))


def expected_of_several(scores, labels):
    predicted, areas = scores > 0, []
    for column in range(labels.shape[1]):
        if 0 < labels[:, column].sum() < len(labels):
            areas.append(reference.roc_auc_score(labels[:, column], scores[:, column]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, _ = reference.precision_recall_fscore_support(
            labels, predicted, average="macro", zero_division=0
        )
        chances = 1 / (1 + np.exp(-scores))
        return {
            "macro_f1": f1,
            "accuracy": reference.accuracy_score(labels, predicted),
            "precision": precision,
            "recall": recall,
            "weighted_f1": reference.f1_score(labels, predicted, average="weighted", zero_division=0),
            "mcc": reference.matthews_corrcoef(labels.ravel(), predicted.ravel()),
            "roc_auc": np.mean(areas) if areas else 0.5,
            "loss": reference.log_loss(labels.ravel(), chances.ravel(), labels=[0, 1]),
        }


@pytest.mark.parametrize("labels", [2, 3, 12])
@pytest.mark.parametrize("rows", [1, 7, 300])
def test_any_number_of_labels(rows, labels):
    random = np.random.default_rng(rows * labels)
    scores, wanted = random.normal(size=(rows, labels)), random.integers(2, size=(rows, labels)).astype(float)
    assert multi_label(scores, wanted) == pytest.approx(expected_of_several(scores, wanted), abs=1e-12)


@pytest.mark.parametrize("predicted", [-1.0, 1.0], ids=["none predicted", "all predicted"])
@pytest.mark.parametrize("wanted", [0.0, 1.0], ids=["none wanted", "all wanted"])
def test_degenerate_input_of_several_labels(predicted, wanted):
    scores, labels = np.full((4, 3), predicted), np.full((4, 3), wanted)
    assert multi_label(scores, labels) == pytest.approx(expected_of_several(scores, labels), abs=1e-12)


def test_ties_count_half_in_the_area_under_the_curve():
    assert roc_auc(np.zeros((4, 1)), np.array([[True], [False], [True], [False]])) == 0.5


@pytest.mark.parametrize("rows", [2, 7, 500])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_regression_is_scipys_and_scikit_learns(rows, scale):
    random = np.random.default_rng(rows)
    labels = random.normal(size=rows).round(1) * scale  # rounded, so that there are ties
    scores = labels + random.normal(size=rows) * scale
    found = regression(scores, labels)
    wanted = {
        "pearson": stats.pearsonr(scores, labels).statistic,
        "spearman": stats.spearmanr(scores, labels).statistic,
        "rmse": reference.root_mean_squared_error(labels, scores),
        "mae": reference.mean_absolute_error(labels, scores),
        "r2": reference.r2_score(labels, scores),
        "loss": reference.mean_squared_error(labels, scores),
    }
    assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([0.1, 0.1, 0.1], [1, 2, 3]), ([1, 2, 3], [0.5, 0.5, 0.5]), ([0.5] * 3, [0.5] * 3), ([2.0], [1.0])],
    ids=["constant prediction", "constant truth", "both", "one row"],
)
def test_regression_of_degenerate_input(scores, labels):
    scores, labels = np.array(scores, dtype=float), np.array(labels, dtype=float)
    found = regression(scores, labels)
    assert (found["pearson"], found["spearman"]) == (0.0, 0.0)
    if len(labels) > 1:
        assert found["r2"] == pytest.approx(reference.r2_score(labels, scores))
    assert np.isfinite(list(found.values())).all()


def test_a_constant_whose_mean_is_rounded_is_still_a_constant():
    assert regression(np.array([1.0, 2.0, 3.0]), np.full(3, 0.1))["r2"] == 0.0
