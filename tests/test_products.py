"""Linear layers by oneDNN give what PyTorch's own give."""

import copy

import pytest
import torch
from torch import nn

from autoft.training import products


@pytest.fixture
def helping(monkeypatch):
    """A processor on which oneDNN is used, whichever this one is."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(products, "helps", lambda: True)


def outcome(layer, rows, gradient):
    rows = rows.clone().requires_grad_()
    result = layer(rows)
    result.backward(gradient)
    return [result.detach(), rows.grad, *(parameter.grad for parameter in layer.parameters())]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (3, 7), (2, 3, 4), (1, 1)])
def test_values_and_gradients_are_those_of_a_linear_layer(helping, bias, shape):
    torch.manual_seed(0)
    plain = nn.Linear(24, 40, bias=bias)
    fast = copy.deepcopy(plain)
    products.speed_up(nn.Sequential(fast))
    assert type(fast) is products.Linear
    rows, gradient = torch.randn(*shape, 24), torch.randn(*shape, 40)
    for found, wanted in zip(outcome(fast, rows, gradient), outcome(plain, rows, gradient), strict=True):
        assert found.shape == wanted.shape
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_it_is_taken_back_for_as_long_as_wanted(helping):
    model = nn.Sequential(nn.Linear(24, 40), nn.ReLU(), nn.Linear(40, 24).requires_grad_(False), nn.Linear(24, 2))
    rows = torch.randn(3, 24)
    products.speed_up(model, products.BF16)
    kinds = [type(layer) for layer in model]
    assert kinds == [products.RoundedLinear, nn.ReLU, products.Linear, products.Linear]
    with products.plain(model):
        assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU, nn.Linear, nn.Linear]
    assert [type(layer) for layer in model] == kinds
    assert model(rows).shape == (3, 2)


def test_rows_with_gaps_between_them_are_like_any_other(helping):
    torch.manual_seed(0)
    plain = nn.Linear(24, 40)
    fast = copy.deepcopy(plain)
    products.speed_up(nn.Sequential(fast))
    rows, gradient = torch.randn(3, 7, 24), torch.randn(3, 40)
    for layer in (plain, fast):
        layer(rows[:, 0]).backward(gradient)
    torch.testing.assert_close(fast.weight.grad, plain.weight.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fast(rows[:, 0]), plain(rows[:, 0]), rtol=1e-5, atol=1e-5)


def test_a_frozen_layer_gets_no_gradient_and_hands_one_on(helping):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8).requires_grad_(False))
    products.speed_up(model)
    model(torch.randn(4, 8)).sum().backward()
    assert model[1].weight.grad is None and model[1].bias.grad is None
    assert model[0].weight.grad.abs().sum() > 0


def test_other_numbers_and_other_layers_stay_as_they_are(helping):
    class Own(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(8, 8).double(), Own(8, 8), nn.LayerNorm(8), nn.Linear(8, 8))
    products.speed_up(model)
    assert [type(layer) for layer in model] == [nn.Linear, Own, nn.LayerNorm, products.Linear]
    assert model[3](torch.empty(0, 8)).shape == (0, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model[3](torch.randn(2, 8)).dtype == torch.bfloat16


def test_nothing_changes_where_it_does_not_help(monkeypatch):
    monkeypatch.setattr(products, "helps", lambda: False)
    model = nn.Sequential(nn.Linear(8, 8))
    products.speed_up(model)
    assert type(model[0]) is nn.Linear


def test_rounded_products_are_those_of_rounded_numbers():
    torch.manual_seed(0)
    layer = nn.Linear(24, 40)
    rounded = copy.deepcopy(layer)
    products.speed_up(nn.Sequential(rounded), products.BF16)
    assert type(rounded) is products.RoundedLinear
    rows, gradient = torch.randn(2, 5, 24), torch.randn(2, 5, 40)
    found = outcome(rounded, rows, gradient)
    r, g, w = (tensor.bfloat16().double() for tensor in (rows, gradient, layer.weight))
    wanted = [r @ w.T + layer.bias.double(), g @ w, g.flatten(0, 1).T @ r.flatten(0, 1), gradient.double().sum((0, 1))]
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=2e-2, atol=2e-2)
    assert (found[0] - layer(rows)).abs().max() > 1e-4  # otherwise nothing was rounded


def test_only_wide_layers_that_are_trained_are_rounded(helping):
    model = nn.Sequential(nn.Linear(32, 32).requires_grad_(False), nn.Linear(32, 32), nn.Linear(32, 2))
    products.speed_up(model, products.BF16)
    assert [type(layer) for layer in model] == [products.Linear, products.RoundedLinear, products.Linear]
