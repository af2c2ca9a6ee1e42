"""The training losses: against torch's own, and against their formulas."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from autoft.records import TrialConfig
from autoft.tasks import losses
from autoft.tasks.text_classification import TextClassification


def config_of(**knobs):
    return TrialConfig("m", 1e-3, 8, 1, 0, **knobs)


@pytest.fixture
def logits():
    return torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).float()


@pytest.fixture
def labels():
    return torch.tensor([0, 1, 2, 3, 0, 0, 1, 0, 2, 0, 0, 1])


def test_by_default_it_is_torchs_cross_entropy(logits, labels):
    wanted = functional.cross_entropy(logits, labels)
    for name in (None, "cross-entropy"):
        assert torch.equal(losses.of_classes(logits, labels, config_of(loss=name)), wanted)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_is_torchs(logits, labels, smoothing):
    found = losses.of_classes(logits, labels, config_of(label_smoothing=smoothing))
    assert torch.equal(found, functional.cross_entropy(logits, labels, label_smoothing=smoothing))
    # Which spreads the share over all classes.
    log = torch.log_softmax(logits, 1)
    right = log[torch.arange(12), labels]
    assert found.item() == pytest.approx(-((1 - smoothing) * right + smoothing * log.mean(1)).mean().item(), abs=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_the_focal_loss_is_its_formula(logits, labels, gamma):
    p = torch.softmax(logits, 1)[torch.arange(12), labels]
    wanted = -((1 - p) ** gamma * p.log()).mean()
    found = losses.of_classes(logits, labels, config_of(loss="focal", focal_gamma=gamma))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_of_what_is_certain_has_a_gradient(gamma):
    logits = torch.tensor([[100.0, -100.0], [-100.0, 100.0]], requires_grad=True)
    losses.of_classes(logits, torch.tensor([0, 0]), config_of(loss="focal", focal_gamma=gamma)).backward()
    assert torch.isfinite(logits.grad).all()


def test_the_weighted_loss_lets_all_classes_count_alike(logits, labels):
    counts = torch.bincount(labels)
    weights = losses.balanced(counts.tolist())
    np.testing.assert_allclose(
        weights, compute_class_weight("balanced", classes=np.arange(4), y=labels.numpy()), rtol=1e-6
    )
    found = losses.of_classes(logits, labels, config_of(loss="weighted"), counts.tolist())
    each = functional.cross_entropy(logits, labels, reduction="none")
    by_class = torch.stack([each[labels == label].mean() for label in range(4)])
    assert found.item() == pytest.approx(by_class.mean().item(), abs=1e-6)


def test_a_class_without_rows_has_no_weight():
    assert losses.balanced([10, 0, 30]).tolist() == pytest.approx([2.0, 0.0, 2 / 3])


def test_labels_that_are_ignored_change_nothing(logits, labels):
    padded = torch.cat([labels, torch.full((5,), -100)])
    longer = torch.cat([logits, torch.randn(5, 4)])
    for knobs in ({}, {"label_smoothing": 0.2}, {"loss": "focal"}, {"loss": "weighted"}):
        config = config_of(**knobs)
        found = losses.of_classes(longer, padded, config, [5, 4, 2, 1])
        assert found.item() == pytest.approx(losses.of_classes(logits, labels, config, [5, 4, 2, 1]).item(), abs=1e-6)


@pytest.mark.parametrize("name", [None, "weighted", "focal"])
def test_without_a_target_the_loss_is_zero_and_has_a_gradient(name):
    logits = torch.randn(2, 3, 4, requires_grad=True)
    loss = losses.of_classes(logits, torch.full((2, 3), -100), config_of(loss=name), [1, 1, 1, 1])
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


def test_sets_of_labels():
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    wanted = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    plain = functional.binary_cross_entropy_with_logits(logits, wanted)
    assert torch.equal(losses.of_label_sets(logits, wanted, config_of()), plain)
    p = torch.where(wanted > 0, torch.sigmoid(logits), 1 - torch.sigmoid(logits))
    focal = losses.of_label_sets(logits, wanted, config_of(loss="focal", focal_gamma=3.0))
    torch.testing.assert_close(focal, -((1 - p) ** 3 * p.log()).mean())
    ratio = [4.0, 1.0, 0.5]
    weighted = losses.of_label_sets(logits, wanted, config_of(loss="weighted"), ratio)
    each = -p.log() * torch.where(wanted > 0, torch.tensor(ratio), torch.tensor(1.0))
    torch.testing.assert_close(weighted, each.mean())
    smooth = losses.of_label_sets(logits, wanted, config_of(label_smoothing=0.2))
    torch.testing.assert_close(smooth, functional.binary_cross_entropy_with_logits(logits, wanted * 0.8 + 0.1))


def test_numbers():
    predictions, labels = torch.tensor([0.0, 1.0, 5.0]), torch.tensor([0.5, 1.0, 1.0])
    assert losses.of_numbers(predictions, labels, config_of()).item() == pytest.approx((0.25 + 16) / 3)
    assert losses.of_numbers(predictions, labels, config_of(loss="mse")).item() == pytest.approx((0.25 + 16) / 3)
    huber = losses.of_numbers(predictions, labels, config_of(loss="huber", huber_delta=2.0))
    assert huber.item() == pytest.approx((0.125 + 2.0 * (4.0 - 1.0)) / 3)
    with pytest.raises(ValueError, match="shape"):
        losses.of_numbers(predictions[:, None], labels, config_of())


@pytest.mark.parametrize(
    ("loss", "line"),
    [
        (
            lambda: losses.of_classes(torch.randn(2, 2), torch.tensor([0, 1]), config_of(loss="mse")),
            "no loss for classes",
        ),
        (
            lambda: losses.of_label_sets(torch.randn(2, 2), torch.ones(2, 2), config_of(loss="huber")),
            "no loss for labels",
        ),
        (lambda: losses.of_numbers(torch.randn(2), torch.ones(2), config_of(loss="focal")), "no loss for numbers"),
        (lambda: losses.of_classes(torch.randn(2, 2), torch.tensor([0, 1]), config_of(loss="weighted")), "counts"),
    ],
)
def test_a_loss_of_another_kind_is_refused(loss, line):
    with pytest.raises(ValueError, match=line):
        loss()


def test_the_task_counts_the_labels_of_the_training_rows():
    import pandas as pd

    from autoft.spec import DataSpec

    rows = pd.DataFrame({"text": list("abcdef"), "label": ["b", "a", "b", "b", "c", "b"]})
    meta = TextClassification().learn(rows, DataSpec(source="x"))
    assert dict(zip(meta["labels"], meta["counts"], strict=True)) == {"a": 1, "b": 4, "c": 1}
