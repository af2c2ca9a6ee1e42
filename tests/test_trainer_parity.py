"""The loop trains as `transformers.Trainer` does, step for step."""

import math

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments

from autoft import tasks
from autoft.records import TrialConfig
from autoft.tasks.text_classification import TextClassification
from autoft.training import dataset, models, optim
from autoft.training.batching import bucketed_batches, collate
from autoft.training.finetune import FineTune
from autoft.training.freezing import freeze


class Recording(TextClassification):
    """The task itself, that keeps the losses it gave."""

    def __init__(self):
        self.losses = []

    def loss(self, model, batch, meta, config):
        loss = super().loss(model, batch, meta, config)
        self.losses.append(loss.item())
        return loss


class RecordingTrainer(Trainer):
    """The Trainer itself, fed with the batches it is given; it keeps its losses unrounded."""

    def __init__(self, batches, **options):
        super().__init__(**options)
        self.batches, self.losses = batches, []

    def get_train_dataloader(self):
        return torch.utils.data.DataLoader(
            self.train_dataset, batch_sampler=[b.tolist() for b in self.batches], collate_fn=self.data_collator
        )

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        self.losses.append(loss.item())
        return loss


def with_trainer(job, config, folder):
    path = str(models.resolve(config.model))
    tokenizer = dataset.tokenizer(path)
    model = job.task.build(path, job.meta, config)
    train, _ = dataset.encoded(job.task, job.meta, path, job.data, config.max_length)
    freeze(model, config.freeze_depth, collate(train.examples[:2], tokenizer), models.inspect(config.model).blocks)
    batches = [
        batch
        for epoch in range(config.epochs)
        for batch in bucketed_batches(train.lengths, config.batch_size, config.seed, epoch)
    ]
    schedule = {"constant": "constant_with_warmup"}.get(config.schedule, config.schedule)
    trainer = RecordingTrainer(
        batches,
        model=model,
        train_dataset=train.examples,
        data_collator=lambda examples: collate(examples, tokenizer),
        args=TrainingArguments(
            output_dir=str(folder),
            max_steps=len(batches),
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup_steps=math.ceil(config.warmup * len(batches)),
            lr_scheduler_type=schedule,
            max_grad_norm=config.max_grad_norm,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=config.seed,
        ),
    )
    trainer.train()
    return trainer.losses, model


def with_ours(job, config):
    trial = FineTune(job, config)
    while not trial.ended:
        trial.advance(math.inf)
    assert trial.ended == "horizon"
    return job.task.losses, trial._model


def compare(job, config, folder, tolerance=1e-5):
    from dataclasses import replace

    theirs, their_model = with_trainer(job, config, folder)
    ours, our_model = with_ours(replace(job, task=Recording(), patience=10**6), config)
    assert len(ours) == len(theirs) >= 20
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
    assert np.ptp(ours) > 0.01  # something was learnt, so that agreeing says something
    for (name, mine), (_, other) in zip(our_model.named_parameters(), their_model.named_parameters(), strict=True):
        # Adding the same number to all keys changes no attention: the exact gradient of this bias is zero, and what
        # Adam makes of its rounding errors is noise of the size of the learning rate.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(mine, other, rtol=0, atol=tolerance, msg=name)
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("depth", [0, 2, 4])
def test_every_loss_of_a_tiny_bert_is_the_trainers(tiny_job, tiny_bert, tmp_path, depth):
    config = TrialConfig(str(tiny_bert), 1e-3, 16, 3, depth, weight_decay=0.1, dropout=0.0, seed=3, max_length=64)
    compare(tiny_job, config, tmp_path)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize(("warmup", "clip"), [(0.0, 0.0), (0.3, 0.5)])
def test_schedules_warm_up_and_clipping_are_the_trainers(tiny_job, tiny_bert, tmp_path, schedule, warmup, clip):
    config = TrialConfig(
        str(tiny_bert), 1e-3, 16, 3, 1, schedule=schedule, warmup=warmup, max_grad_norm=clip, dropout=0.0, max_length=64
    )
    compare(tiny_job, config, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [0, 4])
def test_every_loss_of_a_real_model_is_the_trainers(tiny_job, tmp_path, depth):
    config = TrialConfig("asset:minilm-l6", 1e-4, 16, 3, depth, dropout=0.0, seed=1)
    compare(tiny_job, config, tmp_path)


@pytest.mark.parametrize("name", ["bert", "albert", "mpnet", "deberta-v2", "modernbert", "gpt2"])
def test_weights_decay_where_the_trainer_lets_them_decay(tiny_job, tiny_models, name):
    model = tasks.get("text-classification").build(
        str(tiny_models[name]), tiny_job.meta, TrialConfig(name, 1e-3, 8, 1, 0)
    )
    decayed, spared = optim.parameter_groups(model, 0.1)
    names = set(Trainer.get_decay_parameter_names(None, model))
    assert {key for key, _ in decayed["params"]} == names & {key for key, _ in model.named_parameters()}
    assert {key for key, _ in spared["params"]} == {key for key, _ in model.named_parameters()} - names
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
