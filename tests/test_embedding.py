"""Embeddings whose gradient is kept learn what embeddings learn."""

import copy

import pytest
import torch
from torch import nn

from autoft.records import TrialConfig
from autoft.training import embedding, optim

VOCABULARY, WIDTH, PADDING = 5_000, 8, 0


class Model(nn.Module):
    def __init__(self, tied=False):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH, padding_idx=PADDING)
        self.places = nn.Embedding(16, WIDTH)
        self.out = nn.Linear(WIDTH, VOCABULARY, bias=False)
        if tied:
            self.out.weight = self.words.weight

    def forward(self, tokens):
        return self.out(self.words(tokens) + self.places(torch.arange(tokens.shape[1])))


def trained(model, steps=6, per_step=1, optimizer="adamw"):
    generator = torch.Generator().manual_seed(1)
    config = TrialConfig("any", 0.1, 8, 1, optimizer=optimizer)
    optimizer = optim._optimizer([{"params": list(model.parameters()), "weight_decay": 0.1}], config, fused=True)
    gradients = []
    for _ in range(steps):
        for _ in range(per_step):
            tokens = torch.randint(0, 40, (3, 16), generator=generator)
            model(tokens)[..., :4].square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        gradients.append(model.words.weight.grad.clone())
        optimizer.step()
        optimizer.zero_grad()
    return gradients


@pytest.mark.parametrize(
    ("per_step", "optimizer"), [(1, "adamw"), (3, "adamw"), (1, "adam"), (1, "sgd"), (1, "adafactor")]
)
def test_every_gradient_is_what_it_would_be(per_step, optimizer):
    torch.manual_seed(0)
    plain = Model()
    kept = copy.deepcopy(plain)
    embedding.keep_gradients(kept)
    assert type(kept.words) is embedding.Embedding
    assert type(kept.places) is nn.Embedding
    gradients = (trained(model, per_step=per_step, optimizer=optimizer) for model in (kept, plain))
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)
        assert wanted[PADDING].abs().sum() == 0 < wanted.abs().sum()
    for found, wanted in zip(kept.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_the_same_memory_serves_every_step():
    model = Model()
    embedding.keep_gradients(model)
    places = set()
    for _ in range(3):
        model(torch.tensor([[1, 2]])).sum().backward()
        places.add(model.words.weight.grad.data_ptr())
        model.zero_grad()
    assert len(places) == 1


def test_a_tied_or_a_frozen_embedding_is_left_alone():
    tied, frozen = Model(tied=True), Model()
    frozen.words.requires_grad_(False)
    for model in (tied, frozen):
        embedding.keep_gradients(model)
        assert type(model.words) is nn.Embedding
