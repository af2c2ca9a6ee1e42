"""Perplexity is torch's cross-entropy, and a unigram model is a distribution."""

import math

import pytest
import torch

from autoft.tasks.metrics_tokens import perplexity, tally, unigram


@pytest.mark.parametrize("seed", range(5))
def test_perplexity_over_rows_is_that_of_all_tokens_together(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 9, 30, generator=generator)
    labels = torch.randint(0, 30, (4, 9), generator=generator)
    labels[torch.rand(4, 9, generator=generator) < 0.4] = -100
    labels[0, 0] = 3
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), labels.flatten(), ignore_index=-100).item()
    right = (logits.argmax(-1) == labels)[labels != -100].double().mean().item()
    assert perplexity(tally(logits, labels)) == pytest.approx(
        {"perplexity": math.exp(loss), "token_accuracy": right, "loss": loss}, rel=1e-12
    )


def test_a_row_without_tokens_counts_nothing():
    nothing = tally(torch.zeros(1, 3, 5), torch.full((1, 3), -100))
    assert nothing == [{"nll": 0.0, "tokens": 0, "right": 0}]
    with pytest.raises(ValueError, match="no tokens"):
        perplexity(nothing)


def test_a_hopeless_model_still_has_a_number():
    found = perplexity([{"nll": 1e6, "tokens": 1, "right": 0}])
    assert math.isfinite(found["perplexity"])
    assert found["loss"] == 1e6


def test_a_unigram_model_is_a_distribution():
    known = [[1, 1, 2], [2, 3]]
    rows = unigram(known, [[1], [2], [3], [99]])
    assert sum(math.exp(-row["nll"]) for row in rows) == pytest.approx(1.0)
    assert rows[0]["nll"] < rows[2]["nll"] < rows[3]["nll"] + 1e-9 + math.log(2)
    assert unigram(known, [[1, 2, 7]])[0]["right"] == 1
