"""LoRA: the pretrained weights stay, updates and head are trained, and what is saved is an ordinary model."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny import paused_at_every_step
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification, pipeline

from autoft.records import TrialConfig
from autoft.tasks.loading import fresh, load_model
from autoft.training import export
from autoft.training.finetune import FineTune
from autoft.training.lora import Adapted
from autoft.training.predict import Predictor


def config_of(model, **knobs):
    return TrialConfig(**{
        "model": str(model), "learning_rate": 1e-2, "batch_size": 16, "epochs": 3, "adapter": "lora",
        "max_length": 64, "seed": 5, "lora_rank": 4, **knobs,
    })  # fmt: skip


def run(trial):
    while not trial.ended:
        trial.advance(float("inf"))
    return trial


def test_only_the_updates_and_the_head_are_trained(tiny_job, tiny_bert):
    trial = FineTune(tiny_job, config_of(tiny_bert))
    before = {name: tensor.detach().clone() for name, tensor in trial._model.named_parameters()}
    run(trial)
    moved = {name for name, tensor in trial._model.named_parameters() if not torch.equal(tensor, before[name])}
    assert {name.split(".")[0] for name in moved if "lora_" not in name} == {"classifier"}
    assert {name for name in before if "lora_" in name} <= moved
    assert set(trial.frozen) == set(before) - moved
    pretrained = load_file(tiny_bert / "model.safetensors")
    for name in trial.frozen:
        assert torch.equal(before[name], pretrained[name.removeprefix("bert.").replace(".base_layer", "")]), name
    assert trial.reports[-1].value > 0.9
    # Every block has updates of the rank that was asked for, and dropout is on in all of them.
    ranks = {tensor.shape[0] for name, tensor in before.items() if "lora_A" in name}
    assert ranks == {4}
    for block in range(4):
        assert any(f"layer.{block}." in name and "lora_B" in name for name in before)
    assert trial.uncached == "LoRA trains a part of every block"


def test_at_first_the_model_is_the_pretrained_one(tiny_job, tiny_bert):
    batch = {"input_ids": torch.tensor([[2, 9, 8, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.int64)}
    plain = tiny_job.task.build(str(tiny_bert), tiny_job.meta, config_of(tiny_bert)).eval()
    adapted = FineTune(tiny_job, config_of(tiny_bert))._model.eval()
    with torch.no_grad():
        assert torch.equal(plain(**batch).logits, adapted(**batch).logits)


@pytest.mark.parametrize(
    "name", ["roberta", "distilbert", "electra", "albert", "mpnet", "deberta-v2", "modernbert", "gpt2"]
)
def test_every_kind_of_model_adapts_pauses_and_is_exported_whole(tiny_job, tiny_models, tmp_path, name):
    job = replace(tiny_job, metric="loss")
    config = config_of(tiny_models[name], epochs=1, batch_size=32, lora_dropout=0.1)
    whole = run(FineTune(job, config))
    trial = paused_at_every_step(job, config, tmp_path / "c")
    assert all(torch.equal(tensor, trial._best[key]) for key, tensor in whole._best.items())
    export.save(job, config, export.best_weights(tmp_path / "c"), tmp_path / "model", {})
    saved = load_file(tmp_path / "model" / "model.safetensors")
    assert not [key for key in saved if "lora" in key or "base_layer" in key]
    assert not (tmp_path / "model" / "adapter_config.json").exists()
    # Opened by transformers alone, it scores as the adapted model did.
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        for tensor_name, tensor in whole._best.items():
            dict(whole._model.named_parameters(), **dict(whole._model.named_buffers()))[tensor_name].copy_(tensor)
        batch = {"input_ids": torch.tensor([[2, 9, 8, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.int64)}
        torch.testing.assert_close(opened(**batch).logits, whole._model.eval()(**batch).logits, rtol=0, atol=1e-5)


def test_the_winner_is_a_pipeline(tiny_job, tiny_bert, tmp_path, tiny_data):
    trial = run(FineTune(tiny_job, config_of(tiny_bert)))
    trial.save(tmp_path / "c")
    export.save(tiny_job, trial._config, export.best_weights(tmp_path / "c"), tmp_path / "model", {})
    rows = tiny_data[120:160]
    answers = pipeline("text-classification", model=str(tmp_path / "model"), device="cpu")(list(rows["text"]))
    right = sum(answer["label"] == label for answer, label in zip(answers, rows["label"], strict=True)) / len(rows)
    assert right == max(report.value for report in trial.reports)
    assert Predictor.load(tmp_path / "model").config == trial._config


@pytest.mark.parametrize(("auto", "name"), [(AutoModelForCausalLM, "gpt2"), (AutoModelForMaskedLM, "bert")])
def test_the_scores_of_tokens_stay_where_they_are_pretrained(tiny_models, auto, name, tmp_path):
    # A language model's output layer is the embedding once more: to train it would be to train the largest matrix.
    auto.from_pretrained(tiny_models[name]).save_pretrained(tmp_path)
    model = load_model(auto, str(tmp_path), config_of(tmp_path))
    assert fresh(model) == frozenset()
    Adapted(model, config_of(tmp_path))
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {
        n for n, _ in model.named_parameters() if "lora_" in n
    }
    assert "lora" not in "".join(n for n, _ in model.get_output_embeddings().named_parameters())


def test_new_weights_are_those_that_the_checkpoint_lacks(tiny_job, tiny_bert):
    model = tiny_job.task.build(str(tiny_bert), tiny_job.meta, config_of(tiny_bert))
    assert fresh(model) == {"classifier.weight", "classifier.bias"}
    del model._autoft_fresh  # as a task that loads its model by itself has it
    assert fresh(model) == {"classifier.weight", "classifier.bias"}


def test_layer_wise_decay_holds_for_the_updates_too(tiny_job, tiny_bert):
    trial = FineTune(tiny_job, config_of(tiny_bert, layer_decay=0.5, warmup=0.0))
    rates = {n: g["lr"] for g in trial._plain_optimizer.param_groups for n in g["param_names"]}
    for block in range(4):
        found = {rate for name, rate in rates.items() if f"layer.{block}." in name}
        assert len(found) == 1
        assert found.pop() == pytest.approx(1e-2 * 0.5 ** (4 - block))
