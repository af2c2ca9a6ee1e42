"""What both searches with `Trainer` share: the data, the models and the settings that its documentation shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)


def tokenizer_of(job):
    """The tokenizer of the models: `Trainer` holds one, so a search over models needs them to share it.

    Raises:
        SystemExit: They don't.
    """
    tokenizers = [AutoTokenizer.from_pretrained(path) for path in job["models"].values()]
    if any(tokenizer.get_vocab() != tokenizers[0].get_vocab() for tokenizer in tokenizers):
        raise SystemExit("the models have different tokenizers, which Trainer.hyperparameter_search can't search over")
    return tokenizers[0]


def data_sets(job, tokenizer):
    """The three parts, tokenised."""
    from datasets import load_dataset

    def tokenised(rows):
        encoded = tokenizer(rows["text"], truncation=True, max_length=job["max_length"])
        return {**encoded, "label": [job["labels"].index(label) for label in rows["label"]]}

    parts = load_dataset("json", data_files=job["data"], cache_dir=f"{job['folder']}/datasets")
    return {name: rows.map(tokenised, batched=True, remove_columns=["text"]) for name, rows in parts.items()}


def build(job, name, depth):
    """A model with a new head, its embeddings and first `depth` blocks frozen where `depth` is not 0."""
    labels = job["labels"]
    model = AutoModelForSequenceClassification.from_pretrained(
        job["models"][name],
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    if depth:
        for module in (model.base_model.embeddings, *model.base_model.encoder.layer[:depth]):
            module.requires_grad_(False)
    return model


def arguments(job):
    """`Trainer`'s defaults, but for the evaluation after each epoch, which the search needs."""
    return TrainingArguments(output_dir=f"{job['folder']}/trainer", eval_strategy="epoch", seed=job["seed"])


def accuracy(predicted):
    """The accuracy of logits."""
    return {"accuracy": float((np.argmax(predicted.predictions, axis=-1) == predicted.label_ids).mean())}


class Noting(TrainerCallback):
    """Notes each evaluation on validation with the trial that it belongs to."""

    def __init__(self, log, trial):
        self._log = log
        self._trial = trial

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        """Called by `Trainer` after an evaluation."""
        self._log.evaluation(self._trial(), metrics["eval_accuracy"], epoch=state.epoch)


def load(job, run):
    """The model of a trial, for `hyperparameter_search` gives back its parameters only.

    `Trainer` leaves a checkpoint at a trial's end with its defaults: the weights that the value which was kept for the
    trial belongs to. A trial that was stopped before has none; the model is None then.
    """
    found = (Path(job["folder"]) / "trainer" / f"run-{run}").glob("checkpoint-*")
    last = max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    return last and AutoModelForSequenceClassification.from_pretrained(last)


def train(job, parts, tokenizer, chosen):
    """The model of a configuration, trained once more."""
    settings = TrainingArguments(
        output_dir=f"{job['folder']}/winner",
        seed=job["seed"],
        learning_rate=chosen["learning_rate"],
        per_device_train_batch_size=chosen["batch_size"],
        num_train_epochs=chosen["epochs"],
    )
    trainer = Trainer(
        model_init=lambda: build(job, chosen["model"], chosen["freeze_depth"]),
        args=settings,
        train_dataset=parts["train"],
        processing_class=tokenizer,
    )
    trainer.train()
    return trainer.model


def predictions(job, model, tokenizer, rows):
    """The labels that a model gives the rows."""
    settings = TrainingArguments(output_dir=f"{job['folder']}/winner")
    trainer = Trainer(model=model, args=settings, processing_class=tokenizer)
    logits = trainer.predict(rows).predictions
    return [job["labels"][i] for i in np.argmax(logits, axis=-1)]
