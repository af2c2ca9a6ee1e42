"""What a recipe can ask for works for every task, not for text classification alone."""

import math
from dataclasses import replace

import pytest
import torch
from samples import ROWS
from test_tasks_lifecycle import a_job

from autoft.planning import _obeyed
from autoft.records import Direction, TrialConfig
from autoft.training import embedding, export, products
from autoft.training.batching import collate
from autoft.training.finetune import FineTune
from autoft.training.models import load_tokenizer
from autoft.training.predict import Predictor


def run(trial):
    while not trial.ended:
        trial.advance(math.inf)
    assert trial.ended == "horizon"
    return trial


def config_of(model, **knobs):
    return TrialConfig(**{
        "model": model, "learning_rate": 1e-2, "batch_size": 8, "epochs": 1, "max_length": 24, "dropout": 0.0, **knobs,
    })  # fmt: skip


@pytest.mark.parametrize("kind", ROWS)
def test_low_rank_updates_are_trained_paused_and_handed_over(kind, tmp_path):
    job, splits, model = a_job(kind, tmp_path)
    config = config_of(model, adapter="lora", lora_rank=2, micro_batch_size=3)
    trial = FineTune(job, config)
    trial.advance(0.0)
    trial.save(tmp_path / "checkpoints")
    trial = FineTune(job, config)
    assert trial.restore(tmp_path / "checkpoints")
    reports = run(trial).reports
    assert [report.metrics for report in reports] == [report.metrics for report in run(FineTune(job, config)).reports]
    trial.save(tmp_path / "checkpoints")
    export.save(job, config, export.best_weights(tmp_path / "checkpoints"), tmp_path / "model", {})
    predictor = Predictor.load(tmp_path / "model")
    found = job.task.measure(*predictor.evaluated(splits.validation), job.meta)
    best = (max if job.direction is Direction.MAXIMIZE else min)(report.value for report in reports)
    assert found[job.metric] == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("kind", ROWS)
def test_every_loss_that_a_task_names_is_another_one(kind, tmp_path):
    job, _, model = a_job(kind, tmp_path)
    config = config_of(model)
    configs = [replace(config, loss=name) for name in job.task.losses[1:]]
    if "label_smoothing" in job.task.knobs:
        configs.append(replace(config, label_smoothing=0.2))
    assert configs or kind not in ("text-classification", "token-classification")
    trial = FineTune(job, config)
    batch = collate(trial._train.examples[:8], load_tokenizer(model))
    # The rows here have as many of each label, for which the weighted loss is the plain one.
    meta = job.meta | {"counts": [4 * i + 1 for i in range(len(job.meta.get("labels", ())))]}
    known = []
    for one in (config, *configs):
        torch.manual_seed(0)
        loss = job.task.loss(trial._model, batch, meta, one)
        loss.backward()
        known.append(loss.item())
        assert math.isfinite(known[-1])
    assert len(set(known)) == 1 + len(configs)


# What is masked is drawn anew for every part of a batch, and two losses of a batch are no mean over its tokens.
@pytest.mark.parametrize("kind", sorted(set(ROWS) - {"masked-language-modelling"}))
def test_accumulated_gradients_are_those_of_the_batch(kind, tmp_path):
    job, _, model = a_job(kind, tmp_path)
    # SGD: the weights after a step are its gradient; Adam would make noise of what is nearly zero.
    config = config_of(model, optimizer="sgd", learning_rate=0.1, warmup=0.0, max_grad_norm=0.0)
    found = []
    for size in (None, 3):
        trial = FineTune(job, replace(config, micro_batch_size=size))
        trial.advance(0.0)
        assert trial._steps == 1
        found.append(dict(trial._model.named_parameters()))
    for name, whole in found[0].items():
        torch.testing.assert_close(found[1][name], whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ROWS)
def test_rounded_products_train_every_task(kind, tmp_path):
    job, _, model = a_job(kind, tmp_path)
    rounded, exact = (
        run(FineTune(replace(job, precision=precision), config_of(model)))
        for precision in (products.BF16, products.FP32)
    )
    assert any(type(module) is products.RoundedLinear for module in rounded._model.modules())
    for one, other in zip(rounded.reports, exact.reports, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.05)
        assert one.train_loss != other.train_loss


def test_low_rank_updates_are_rounded_and_what_they_update_is_not(tiny_job, tiny_bert):
    config = config_of(str(tiny_bert), adapter="lora", max_length=64)
    trial = FineTune(replace(tiny_job, precision=products.BF16), config)
    kinds = {
        name.rpartition(".")[0].rpartition(".")[2]: type(module)
        for name, module in trial._model.named_modules()
        if name.endswith(".default")
    }
    assert kinds["lora_B"] is products.RoundedLinear
    assert not any(
        type(module) is products.RoundedLinear
        for name, module in trial._model.named_modules()
        if name.endswith("base_layer")
    )
    assert run(trial).reports[-1].value > 0.7


def test_a_penalty_on_all_weights_leaves_no_gradient_to_be_kept(tiny_job, tiny_bert, monkeypatch):
    monkeypatch.setattr(embedding, "_LARGE", 1)
    for l1 in (0.0, 1e-3):
        trial = FineTune(tiny_job, config_of(str(tiny_bert), l1=l1))
        assert any(type(module) is embedding.Embedding for module in trial._model.modules()) == (l1 == 0.0)


def test_rows_in_windows_are_not_augmented():
    """In other words a row may be cut into another number of them, and an epoch has a fixed number of steps."""

    class Windowed:
        knobs = ("loss", "augmentation", "augmentation_rate")
        windows = True

    assert _obeyed(Windowed()) == ("loss",)
    Windowed.windows = False
    assert _obeyed(Windowed()) == Windowed.knobs
