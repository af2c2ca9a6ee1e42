"""bf16 products change what is computed by a little, and nothing else about a fine-tune."""

from dataclasses import replace

import pytest
import torch

from autoft.records import TrialConfig
from autoft.spec import parse
from autoft.training import devices, products
from autoft.training.finetune import FineTune


@pytest.fixture
def rounded_job(tiny_job):
    return replace(tiny_job, precision=products.BF16)


def config_of(model, depth=0):
    return TrialConfig(str(model), 1e-3, 8, 2, depth, dropout=0.1)


def trained(job, config, pause_in=None):
    trial = FineTune(job, config)
    while not trial.ended:
        trial.advance(0.0 if pause_in else 60.0)
        if pause_in:
            trial.save(pause_in)
            trial = FineTune(job, config)
            assert trial.restore(pause_in)
    return trial


def test_a_trial_that_is_paused_at_every_step_is_the_one_that_is_not(rounded_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert)
    whole, pieces = trained(rounded_job, config), trained(rounded_job, config, pause_in=tmp_path)
    assert [report.metrics for report in pieces.reports] == [report.metrics for report in whole.reports]


def test_it_trains_otherwise_than_fp32_but_learns_the_same(tiny_job, rounded_job, tiny_bert):
    plain, rounded = (trained(job, config_of(tiny_bert)) for job in (tiny_job, rounded_job))
    losses = [[report.metrics["loss"] for report in trial.reports] for trial in (plain, rounded)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)


def test_cached_and_uncached_give_the_same(rounded_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert, depth=2)
    cached = trained(replace(rounded_job, cache=str(tmp_path / "cache")), config)
    assert cached.uncached == ""
    for one, other in zip(cached.reports, trained(rounded_job, config).reports, strict=True):
        assert one.metrics == pytest.approx(other.metrics, abs=1e-4)


def test_weights_stay_fp32(rounded_job, tiny_bert):
    trial = FineTune(rounded_job, config_of(tiny_bert))
    trial.advance(0.0)
    assert {parameter.dtype for parameter in trial._model.parameters()} == {torch.float32}
    assert any(type(module) is products.RoundedLinear for module in trial._model.modules())


def test_an_unknown_precision_is_no_job(tiny_job):
    with pytest.raises(ValueError, match="precision"):
        replace(tiny_job, precision="fp8")


def test_by_default_the_machine_decides():
    assert devices.precision() in ("fp32", "bf16")
    spec = parse({"task": "text-classification", "data": "x.csv"})
    assert spec.resources.precision == "auto"
