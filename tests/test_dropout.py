"""Our dropout does what PyTorch's does, with cheaper numbers."""

import pytest
import torch
from torch import nn

from autoft.records import TrialConfig
from autoft.training import dropout
from autoft.training.finetune import FineTune


def made(p, **options):
    layer = nn.Dropout(p, **options)
    dropout.speed_up(nn.Sequential(layer))
    assert type(layer) is dropout.Dropout
    return layer.train()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_so_many_are_dropped_in_every_place_and_the_mean_stays(p):
    torch.manual_seed(0)
    out = made(p)(torch.ones(800, 1001))
    for place in range(4):  # four share one number
        share = (out.flatten()[place::4] == 0).double().mean().item()
        assert share == pytest.approx(p, abs=5 * (p * (1 - p) / 200_200) ** 0.5)
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)
    (kept,) = out[out != 0].unique()
    assert kept.item() == pytest.approx(1 / (1 - p), rel=2e-4)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    gone = (made(0.5)(torch.ones(400_000)) == 0).double()
    for distance in (1, 2, 3, 4, 5):
        both = torch.corrcoef(torch.stack([gone[:-distance], gone[distance:]]))[0, 1].item()
        assert abs(both) < 0.01


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0, 4)])
def test_any_shape_and_the_gradient_is_that_of_what_stayed(shape):
    torch.manual_seed(1)
    values = torch.rand(shape).add_(1).requires_grad_()
    out = made(0.5)(values)
    assert out.shape == values.shape
    out.sum().backward()
    assert torch.equal(values.grad, (out != 0).float() * 2)


def test_the_same_seed_drops_the_same():
    layer, values = made(0.3), torch.ones(64, 64)
    torch.manual_seed(5)
    first, second = layer(values), layer(values)
    torch.manual_seed(5)
    assert torch.equal(layer(values), first)
    assert not torch.equal(first, second)


def test_elsewhere_it_is_as_it_was():
    values = torch.rand(50, 50)
    assert made(0.3).eval()(values) is values
    assert torch.equal(made(0.0)(values), values)
    assert not made(1.0)(values).any()
    inplace = values.clone()
    assert made(0.3, inplace=True)(inplace) is inplace
    assert not torch.equal(inplace, values)


def test_a_fine_tune_uses_it(tiny_job, tiny_bert):
    model = FineTune(tiny_job, TrialConfig(str(tiny_bert), 1e-3, 8, 1, 0, dropout=0.1))._model
    kinds = {type(module) for module in model.modules()}
    assert dropout.Dropout in kinds and nn.Dropout not in kinds
