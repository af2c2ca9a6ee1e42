"""Our metrics are scikit-learn's, on random and on degenerate input."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from autoft.tasks.metrics import classification, log_softmax


def expected(scores, labels):
    predicted = scores.argmax(axis=1)
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
