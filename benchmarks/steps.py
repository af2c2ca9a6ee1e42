"""Training steps, timed the same way whoever makes them: from the moment a loss is asked for to the next one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from autoft.records import TrialConfig
from autoft.tasks.text_classification import TextClassification
from autoft.training import dataset, dropout, models, optim, products
from autoft.training.batching import Rows, bucketed_batches, collate
from autoft.training.finetune import FineTune
from autoft.training.freezing import block_list, freeze, set_train_mode
from autoft.training.job import Job

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WARM = 2  # steps at the beginning that don't count: the optimiser makes its state there


@dataclass
class Clock:
    """When each step began, and the tokens in its batch, padding not counted."""

    begun: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    def step(self, batch: Mapping[str, torch.Tensor]) -> None:
        """A step begins."""
        self.begun.append(time.perf_counter())
        self.tokens.append(int(batch["attention_mask"].sum()))

    def measured(self, per_epoch: int) -> dict[str, float]:
        """Steps, seconds and tokens, without the first steps and without what lies between two epochs."""
        kept = [i for i in range(WARM, len(self.begun) - 1) if (i + 1) % per_epoch]
        return {
            "steps": len(kept),
            "seconds": sum(self.begun[i + 1] - self.begun[i] for i in kept),
            "tokens": sum(self.tokens[i] for i in kept),
        }


class Timed(TextClassification):
    """Text classification with a clock."""

    def __init__(self) -> None:
        self.clock = Clock()

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Any, config: TrialConfig
    ) -> torch.Tensor:
        """The loss of a step that begins now."""
        self.clock.step(batch)
        return super().loss(model, batch, meta, config)


class TimedTrainer(Trainer):
    """The Trainer with a clock."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.clock = Clock()

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The loss of a step that begins now."""
        self.clock.step(inputs)
        return super().compute_loss(model, inputs, *args, **kwargs)


def ours(job: Job, config: TrialConfig) -> dict[str, float]:
    """A fine-tune of ours to its end; its cache is built before the clock runs."""
    from dataclasses import replace

    task = Timed()
    trial = FineTune(replace(job, task=task), config)
    task.clock = Clock()  # trying out a split asks for losses too
    while not trial.ended:
        trial.advance(math.inf)
    if trial.ended != "horizon" or (config.freeze_depth and job.cache and trial.uncached):
        raise RuntimeError(f"nothing to compare with: {trial.ended} {trial.uncached}")
    return task.clock.measured(trial.horizon // config.epochs // config.batch_size)


def trainers(job: Job, config: TrialConfig, folder: Path, **options: Any) -> dict[str, float]:
    """The same fine-tune by `transformers.Trainer`.

    Args:
        job: Gives data and threads.
        config: The recipe; nothing is frozen.
        folder: For the Trainer's own files.
        options: Of its `TrainingArguments`.
    """
    torch.set_num_threads(job.threads)
    path = str(models.resolve(config.model))
    train, _ = dataset.encoded(job.task, job.meta, path, job.data, config.max_length)
    steps = len(train) // config.batch_size * config.epochs
    trainer = TimedTrainer(
        model=job.task.build(path, job.meta, config),
        train_dataset=train.examples,
        processing_class=dataset.tokenizer(path),
        args=TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup_steps=math.ceil(config.warmup * steps),
            lr_scheduler_type=config.schedule,
            max_grad_norm=config.max_grad_norm,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=config.seed,
            **options,
        ),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return trainer.clock.measured(steps // config.epochs)


def bare_suffix(job: Job, config: TrialConfig) -> dict[str, float]:
    """The trained blocks and the head of a BERT alone, in a plain loop, on inputs that lie in memory ready-made.

    Nothing is read, padded or scheduled: what a step of a frozen fine-tune can't do without.
    """
    torch.set_num_threads(job.threads)
    info = models.inspect(config.model)
    tokenizer = dataset.tokenizer(info.path)
    train, _ = dataset.encoded(job.task, job.meta, info.path, job.data, config.max_length)
    model: Any = job.task.build(info.path, job.meta, config)
    freeze(model, config.freeze_depth, collate(train.examples[:2], tokenizer), info.blocks)
    blocks = block_list(model, info.blocks)
    products.speed_up(model)  # the same arithmetic as a trial's
    dropout.speed_up(model)
    order = bucketed_batches(train.lengths, config.batch_size, config.seed, 0)
    inputs = [_border(model, blocks, config.freeze_depth, train.examples, rows, tokenizer) for rows in order]
    set_train_mode(model)
    optimizer, _ = optim.build(model, config, len(order))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    clock = Clock()
    for _ in range(config.epochs):
        for batch, args, kwargs in inputs:
            clock.step(batch)
            hidden = args[0]
            for block in blocks[config.freeze_depth :]:
                hidden = block(hidden, *args[1:], **kwargs)
            logits = model.classifier(model.dropout(model.bert.pooler(hidden)))
            torch.nn.functional.cross_entropy(logits, batch["labels"]).backward()
            torch.nn.utils.clip_grad_norm_(trained, config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
    return clock.measured(len(order))


def _border(
    model: Any, blocks: Sequence[Any], depth: int, examples: Sequence[Any], rows: Rows, tokenizer: Any
) -> tuple[dict[str, torch.Tensor], tuple[Any, ...], dict[str, Any]]:
    """A batch, and what the first trained block is called with for it."""
    batch = collate([examples[row] for row in rows], tokenizer)
    found: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    hook = blocks[min(depth, len(blocks) - 1)].register_forward_pre_hook(
        lambda module, args, kwargs: found.append((args, dict(kwargs))), with_kwargs=True
    )
    model.eval()
    with torch.no_grad():
        states = model(**{k: v for k, v in batch.items() if k != "labels"}, output_hidden_states=True).hidden_states
    hook.remove()
    args, kwargs = found[0]
    if depth == len(blocks):  # the pooler reads the first token only
        return batch, (states[-1][:, :1].clone(),), {}
    return batch, args, kwargs


def matrix_products(shapes: Sequence[tuple[int, int, int]], threads: int, seconds: float) -> dict[str, float]:
    """FLOP/s of fp32 matrix products at their best, by library: what `torch.mm` uses, and oneDNN.

    Args:
        shapes: (rows, inner, columns) of each product; they are made one after another.
        threads: CPU threads.
        seconds: How long to try each library.
    """
    torch.set_num_threads(threads)
    pairs = [(torch.randn(m, k), torch.randn(k, n)) for m, k, n in shapes]
    work = sum(2 * m * k * n for m, k, n in shapes)
    found = {}
    for name, multiply in (("torch.mm", torch.mm), ("oneDNN", _onednn)):
        best, end = math.inf, time.perf_counter() + seconds
        while time.perf_counter() < end or best == math.inf:
            start = time.perf_counter()
            for left, right in pairs:
                multiply(left, right)
            best = min(best, time.perf_counter() - start)
        found[name] = work / best
    return found


def _onednn(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return product


def block_products(model: Any, tokens: int) -> list[tuple[int, int, int]]:
    """The matrix products of a BERT's blocks in a training step with so many tokens: forward, and two backward each."""
    width, inner = model.config.hidden_size, model.config.intermediate_size
    found = []
    for fan_in, fan_out in [(width, width)] * 4 + [(width, inner), (inner, width)]:
        found += [(tokens, fan_in, fan_out), (tokens, fan_out, fan_in), (fan_out, tokens, fan_in)]
    return found * model.config.num_hidden_layers


def step_work(model: Any, rows: int, tokens: float, length: float) -> float:
    """FLOP of a step of a full fine-tune of a BERT, padding not counted: the backward pass costs twice the forward.

    Args:
        model: Gives the sizes.
        rows: In the batch.
        tokens: In the batch.
        length: Tokens of a row, for the two products of attention.
    """
    config = model.config
    width, inner = config.hidden_size, config.intermediate_size
    block = 2 * (4 * width * width + 2 * width * inner) + 4 * length * width
    head = 2 * width * (width + config.num_labels)
    return 3 * (config.num_hidden_layers * block * tokens + head * rows)
