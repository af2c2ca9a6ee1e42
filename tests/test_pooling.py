"""Pooling: what a model's own config can select, so that the saved model opens with transformers alone."""

import math

import pytest
import torch
import transformers as t
from tiny import save_model
from transformers import AutoModelForSequenceClassification

from autoft.errors import SpecError
from autoft.records import TrialConfig
from autoft.space import Choice, resolve
from autoft.training import export
from autoft.training.finetune import FineTune
from autoft.training.models import abilities, inspect


@pytest.fixture(scope="module")
def xlnet(tmp_path_factory):
    config = t.XLNetConfig(vocab_size=200, d_model=16, n_layer=2, n_head=2, d_inner=32, pad_token_id=0, dropout=0.0)
    return save_model(tmp_path_factory.mktemp("models") / "xlnet", config)


def config_of(model, **knobs):
    return TrialConfig(str(model), 5e-3, 16, 1, max_length=64, dropout=0.0, **knobs)


def trained(job, config):
    trial = FineTune(job, config)
    while not trial.ended:
        trial.advance(math.inf)
    return trial


def body(model, batch):
    return model.base_model(**batch)[0]


def batch_of(model):
    return {"input_ids": torch.tensor([[2, 9, 8, 7, 3]]), "attention_mask": torch.ones(1, 5, dtype=torch.int64)}


def test_modernbert_takes_the_first_token_or_the_mean(tiny_job, tiny_models):
    model = FineTune(tiny_job, config_of(tiny_models["modernbert"], pooling="mean"))._model.eval()
    batch = batch_of(model)
    with torch.no_grad():
        states = body(model, batch)
        by_hand = {"mean": states.mean(1), "first": states[:, 0]}
        logits = {name: model.classifier(model.drop(model.head(state))) for name, state in by_hand.items()}
        torch.testing.assert_close(model(**batch).logits, logits["mean"], rtol=0, atol=1e-6)
    assert not torch.allclose(logits["mean"], logits["first"])


@pytest.mark.parametrize("name", ["first", "last", "mean"])
def test_xlnet_takes_any_of_three(tiny_job, xlnet, name):
    model = FineTune(tiny_job, config_of(xlnet, pooling=name))._model.eval()
    batch = batch_of(model)
    with torch.no_grad():
        states = body(model, batch)
        pooled = {"first": states[:, 0], "last": states[:, -1], "mean": states.mean(1)}[name]
        summary = model.sequence_summary
        wanted = model.logits_proj(summary.activation(summary.summary(pooled)))
        torch.testing.assert_close(model(**batch).logits, wanted, rtol=0, atol=1e-6)


def test_the_saved_model_pools_as_it_was_trained_to(tiny_job, tiny_models, tmp_path):
    config = config_of(tiny_models["modernbert"], pooling="mean")
    trial = trained(tiny_job, config)
    trial.save(tmp_path / "c")
    export.save(tiny_job, config, export.best_weights(tmp_path / "c"), tmp_path / "model", {})
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    assert opened.config.classifier_pooling == "mean"
    own = trained(tiny_job, config_of(tiny_models["modernbert"]))
    assert [r.train_loss for r in own.reports] != [r.train_loss for r in trial.reports]


def test_what_a_model_can_do_is_read_from_it(tiny_models, xlnet):
    able = {name: abilities(inspect(str(path))) for name, path in (*tiny_models.items(), ("xlnet", xlnet))}
    assert able["modernbert"]["pooling"] == (None, "first", "mean")
    assert able["xlnet"]["pooling"] == (None, "first", "last", "mean")
    # ELECTRA and GPT-2 have a `summary_type` in their config that their classifiers never read.
    assert {able[name]["pooling"] for name in ("bert", "electra", "gpt2", "mpnet", "deberta-v2")} == {(None,)}
    assert all("mask" in able[name]["augmentation"] for name in tiny_models)


def test_what_a_model_cannot_do_is_left_out_of_its_space_or_refused():
    models = ("bert", "modern")
    able = {"bert": {"pooling": (None,)}, "modern": {"pooling": (None, "mean")}}

    def space(*values):
        return resolve({"pooling": Choice(values)}, models, {}, dict.fromkeys(models, 3), seed=0, able=able)

    both = space(None, "mean")
    assert both.dimensions("bert")["pooling"] == Choice((None,))
    assert both.dimensions("modern")["pooling"] == Choice((None, "mean"))
    with pytest.raises(SpecError) as refused:
        space("mean")
    assert refused.value.problems == ("space.pooling: bert can't do mean; it can do model's own",)
