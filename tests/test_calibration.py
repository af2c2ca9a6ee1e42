"""Temperature, calibration error, and a classifier by its classes."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from autoft.report import by_class, calibrate
from autoft.report.calibration import expected_calibration_error, fit_temperature, reliability

Array = NDArray[Any]


def drawn(rows: int, classes: int, heat: float, seed: int = 0) -> tuple[Array, Array]:
    """Logits that are `heat` times what they should be, and labels drawn from the true chances."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([random.choice(classes, p=row) for row in chances])
    return logits * heat, labels


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("heat", [0.4, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_logits_is_found(classes: int, heat: float) -> None:
    logits, labels = drawn(4000, classes, heat)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(heat, rel=0.1)

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]).mean())

    assert loss(found) <= min(loss(found * step) for step in (0.9, 0.99, 1.01, 1.1))


def test_logits_that_are_too_sure_are_mended_on_rows_they_were_not_fitted_on() -> None:
    said = calibrate(*drawn(2000, 3, 3.0, seed=1), *drawn(2000, 3, 3.0, seed=2))
    assert said["ece_before"] > 0.1 > 0.04 > said["ece_after"]
    assert said["loss_after"] < said["loss_before"]
    assert sum(entry["rows"] for entry in said["bins"]) == sum(entry["rows"] for entry in said["bins_before"]) == 2000
    assert "too sure of itself" in said["sentence"] and "15 bins of equal width" in said["sentence"]


def test_the_error_is_that_of_the_definition() -> None:
    chances = np.array([[0.95, 0.05], [0.92, 0.08], [0.3, 0.7], [0.31, 0.69]])
    bins = reliability(np.log(chances), [0, 1, 1, 1], bins=10)
    assert [entry["rows"] for entry in bins] == [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]
    assert bins[9]["confidence"] == pytest.approx(0.935) and bins[9]["accuracy"] == 0.5
    assert bins[6]["confidence"] == pytest.approx(0.695) and bins[6]["accuracy"] == 1.0
    assert (bins[0]["confidence"], bins[0]["accuracy"], bins[0]["low"], bins[9]["high"]) == (None, None, 0.0, 1.0)
    assert expected_calibration_error(bins) == pytest.approx((0.435 + 0.305) / 2)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    even, sure = reliability(np.zeros((1, 2)), [0], bins=2), reliability(np.array([[0.0, 800.0]]), [1], bins=2)
    assert [entry["rows"] for entry in even] == [1, 0]
    assert [entry["rows"] for entry in sure] == [0, 1]


@pytest.mark.parametrize("rows", [1, 50])
def test_rows_without_a_mistake_leave_the_temperature_alone(rows: int) -> None:
    labels = np.arange(rows) % 2
    logits = np.eye(2)[labels] * 3.0
    assert fit_temperature(logits, labels) == 1.0
    said = calibrate(logits, labels, logits, labels)
    assert said["ece_before"] == said["ece_after"] > 0
    assert "left as it is" in said["sentence"]


def test_the_temperature_is_bounded() -> None:
    labels = np.zeros(40, dtype=int)
    assert fit_temperature(np.tile([0.0, 9.0], (40, 1)), labels) == pytest.approx(10, rel=1e-3)  # always wrong
    assert fit_temperature(np.tile([0.0, 9.0], (1, 1)), [0]) == pytest.approx(10, rel=1e-3)
    nearly = np.tile([0.001, 0.0], (400, 1))  # right but once, and not sure at all
    assert fit_temperature(nearly, [1, *[0] * 399]) == pytest.approx(0.1, rel=1e-3)
    assert fit_temperature(np.full((5, 3), 2.0), [0, 1, 2, 0, 1]) == 1.0  # constant: nothing depends on it
    assert fit_temperature(np.array([[900.0, 0.0], [900.0, 0.0]]), [0, 1]) == pytest.approx(10, rel=1e-3)  # no overflow


@pytest.mark.parametrize(
    ("logits", "labels", "says"),
    [
        (np.zeros((0, 2)), [], "fit"),
        (np.zeros((3, 2)), [0, 1], "fit"),
        (np.zeros((2, 1)), [0, 0], "fit"),
        (np.zeros(2), [0, 1], "fit"),
        (np.array([[math.nan, 0.0]]), [0], "finite"),
    ],
)
def test_what_cant_be_calibrated_is_refused(logits: Array, labels: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fit_temperature(logits, labels)


def test_the_table_by_class_is_scikit_learns() -> None:
    logits, labels = drawn(300, 4, 0.5)
    logits[:, 3] = -9  # never told
    texts = [f"text {i}" for i in range(300)]
    said = by_class(logits, labels, texts, ["a", "b", "c", "d"], temperature=2.0)
    expected = precision_recall_fscore_support(labels, logits.argmax(axis=1), labels=range(4), zero_division=0)
    for i, entry in enumerate(said["classes"]):
        assert entry["label"] == "abcd"[i]
        found = [entry[key] for key in ("precision", "recall", "f1", "support")]
        assert found == pytest.approx([column[i] for column in expected])
    assert said["confusion"] == confusion_matrix(labels, logits.argmax(axis=1), labels=range(4)).tolist()
    chances = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    assert len(said["mistakes"]) == 20
    confidences = [entry["confidence"] for entry in said["mistakes"]]
    wrong = chances.max(axis=1)[logits.argmax(axis=1) != labels]
    assert confidences == pytest.approx(sorted(wrong, reverse=True)[:20])
    for entry in said["mistakes"]:
        row = entry["row"]
        assert entry["text"] == f"text {row}"
        assert (entry["label"], entry["predicted"]) == ("abcd"[labels[row]], "abcd"[logits[row].argmax()])
        assert entry["label"] != entry["predicted"]


def test_a_class_without_a_row_counts_nothing_and_long_texts_are_cut() -> None:
    said = by_class(np.array([[1.0, 0.0, -1.0]]), [1], ["x" * 5000], ["a", "b", "c"])
    assert said["classes"][2] == {"label": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert said["confusion"] == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert len(said["mistakes"][0]["text"]) == 2001
    assert by_class(np.eye(3), [0, 1, 2], ["x"] * 3, ["a", "b", "c"])["mistakes"] == []
    with pytest.raises(ValueError, match="fit"):
        by_class(np.eye(3), [0, 1, 2], ["x"] * 2, ["a", "b", "c"])
