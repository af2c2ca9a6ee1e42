"""One fine-tune as people write it: `transformers.Trainer` with its default settings, in a process of its own.

    python -m benchmarks.one_finetune DATA MODEL EPOCHS OUTPUT

DATA holds train.parquet and test.parquet with the columns `text` and `label`. Only the number of epochs is not the
Trainer's default; the test rows are scored once at the end. Prints the test accuracy as JSON on the last line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(data: str, model: str, epochs: str, output: str) -> None:
    """Trains, saves and scores."""
    import pandas as pd
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    tables = {part: pd.read_parquet(Path(data) / f"{part}.parquet") for part in ("train", "test")}
    names = sorted(set(tables["train"]["label"]))
    tokenizer = AutoTokenizer.from_pretrained(model)
    parts = {}
    for part, table in tables.items():
        labels = [names.index(label) for label in table["label"]]
        rows = {"text": [str(text) for text in table["text"]], "labels": labels}
        parts[part] = Dataset.from_dict(rows).map(
            lambda batch: tokenizer(batch["text"], truncation=True, max_length=128), batched=True, remove_columns="text"
        )
    trainer = Trainer(
        model=AutoModelForSequenceClassification.from_pretrained(model, num_labels=len(names)),
        args=TrainingArguments(output_dir=output, num_train_epochs=float(epochs), use_cpu=True),
        train_dataset=parts["train"],
        processing_class=tokenizer,
        compute_metrics=lambda scored: {"accuracy": float((scored[0].argmax(-1) == scored[1]).mean())},
    )
    trainer.train()
    trainer.save_model(output)
    accuracy = trainer.evaluate(parts["test"])["eval_accuracy"]
    print(json.dumps({"accuracy": accuracy}))


if __name__ == "__main__":
    main(*sys.argv[1:])
