"""One fine-tune that can be paused anywhere and goes on as if nothing had happened."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from autoft.records import Report, TrialConfig
from autoft.tasks.base import first_of_each_row
from autoft.training import checkpoint, dataset, dropout, embedding, evaluation, models, optim, products, rng, weights
from autoft.training.batching import Rows, bucketed_batches, collate, micro_batches
from autoft.training.feeding import Feed
from autoft.training.freezing import distances, freeze, set_train_mode
from autoft.training.job import Job, horizon, milestones
from autoft.training.lora import Adapted

__all__ = ["FineTune", "Job", "horizon", "milestones"]


class FineTune:
    """Trains one configuration from milestone to milestone.

    What comes out depends on the job and the configuration alone: not on the clock, not on where it was paused,
    not on what else runs in the process.

    Args:
        job: What all trials share.
        config: What this one is.

    Attributes:
        samples: Training samples seen.
        horizon: Training samples at the end.
        reports: What was measured so far.
        ended: Why it is over: `horizon`, `no better for N evaluations`, `diverged: …`; empty while it can go on.
        failed: It diverged; its numbers must not rank beyond its reports.
        max_length: Tokens after which a text is cut: the configuration's, or the model's if that is smaller.
        frozen: Names of the frozen parameters.

    Raises:
        ModelError: The model can't be found, or not be frozen that deep.
    """

    def __init__(self, job: Job, config: TrialConfig) -> None:
        models.quiet()
        self._job, self._config = job, config
        autocast = torch.cuda.is_available() and job.precision == products.BF16  # on a CPU, `products` does it better
        self._accelerator = Accelerator(mixed_precision="bf16" if autocast else "no")
        torch.set_num_threads(job.threads)
        info = dataset.model_info(config.model)
        self._path = info.path
        self._tokenizer = dataset.tokenizer(info.path)
        with rng.isolated():
            model = job.task.build(info.path, job.meta, config)
            torch.manual_seed(config.seed)
            self._rng = rng.capture()
        if model.config.pad_token_id is None:
            model.config.pad_token_id = self._tokenizer.pad_token_id
        self.max_length = models.usable_length(model, self._tokenizer, config.max_length)
        self._train, self._validation = dataset.encoded(job.task, job.meta, info.path, job.data, self.max_length)
        batch = collate(self._train.examples[:2], self._tokenizer)
        if config.adapter == "lora":
            self.frozen = Adapted(model, config).frozen
        else:
            self.frozen = freeze(model, config.freeze_depth, batch, info.blocks)
        rates = None
        if config.layer_decay < 1:
            rates = optim.layer_rates(config.learning_rate, config.layer_decay, distances(model, batch, info.blocks))
        self._steps_per_epoch = math.ceil(len(self._train) / config.batch_size)
        self._model: Any = self._accelerator.prepare_model(model)
        products.speed_up(self._model, job.precision)
        dropout.speed_up(self._model)
        self._feed = Feed(
            job,
            self._model,
            self._tokenizer,
            info,
            config=config,
            parts=(self._train, self._validation),
            precision=self._accelerator.mixed_precision,
        )
        if not config.l1:  # its gradient has no zero rows
            embedding.keep_gradients(self._model)
        steps = self._steps_per_epoch * config.epochs
        self._plain_optimizer, self._scheduler = optim.build(self._model, config, steps, rates)
        self._optimizer: Any = self._accelerator.prepare_optimizer(self._plain_optimizer)
        self._trained = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        self._penalised = optim.penalised(self._model) if config.l1 else []
        self._milestones = milestones(config, len(self._train), job.rungs)
        self._batches: tuple[int, list[Rows]] = (-1, [])
        self._best: dict[str, torch.Tensor] = {}
        self._best_step = -1
        self._stale = 0  # evaluations in a row without a new best
        self._loss, self._loss_rows = 0.0, 0  # sum over the rows since the last report
        self._steps = 0
        self._seconds = 0.0
        self.samples = 0
        self.horizon = self._milestones[-1]
        self.reports: list[Report] = []
        self.ended = ""
        self.failed = False

    @property
    def uncached(self) -> str:
        """Why the frozen part is computed at every step; empty where it is computed once for all trials."""
        return self._feed.uncached

    def advance(self, seconds: float) -> Report | None:
        """Trains up to the next milestone and evaluates there, or until the time is over.

        Where the frozen part is computed once and isn't yet, that is done first.

        Args:
            seconds: Wall clock to train for. At least one step is made, of training or of that computation, unless
                another worker is at it; and a milestone that was reached is always evaluated.

        Returns:
            The report of the milestone, or None where the time was over before, or the trial has ended without it.
        """
        start = time.monotonic() - self._seconds  # as if it had been trained without a pause
        deadline = time.monotonic() + seconds
        torch.set_num_threads(self._job.threads)
        stepped = False
        with rng.isolated():
            rng.install(self._rng)
            try:
                waited = self._feed.waited
                ready = bool(self.ended) or self._feed.ready(deadline)
                start += self._feed.waited - waited  # which was another worker's time
                if not ready:
                    return None
                set_train_mode(self._model)
                while not self.ended:
                    if self.samples >= self._milestones[len(self.reports)]:
                        return self._measure(start)
                    if stepped and time.monotonic() >= deadline:
                        break
                    self._step()
                    stepped = True
                return None
            finally:
                self._seconds = time.monotonic() - start
                self._rng = rng.capture()

    def save(self, folder: Path) -> None:
        """Writes all that is needed to go on into a new checkpoint in `folder`."""
        groups = {
            "weights": weights.changeable(self._model),
            "optimizer": optim.optimizer_tensors(self._plain_optimizer),
            "rng": self._rng,
        }
        if self._best and self._best_step != self._steps:  # otherwise the weights are the best ones
            groups["best"] = self._best
        if self.ended:  # nothing will be trained any more
            groups = {"best": self._best or weights.changeable(self._model)}
        state = {
            "config": self._config.as_dict(),
            "steps": self._steps,
            "samples": self.samples,
            "seconds": self._seconds,
            "loss": [self._loss, self._loss_rows],
            "stale": self._stale,
            "best_step": self._best_step,
            "scheduler": optim.scheduler_state(self._scheduler),
            "reports": [report.as_dict() for report in self.reports],
            "ended": self.ended,
            "failed": self.failed,
        }
        checkpoint.save(folder, groups, state, keep=1 if self.ended else 2)

    def restore(self, folder: Path) -> bool:
        """Goes on from the newest checkpoint in `folder` that is whole.

        Returns:
            Whether there was one to go on from. Of an ended trial the best weights are taken.

        Raises:
            ValueError: The checkpoint is another configuration's.
        """
        found = checkpoint.load_latest(folder)
        if found is None or ("optimizer" not in found.groups and not found.state["ended"]):
            return False
        state = found.state
        if state["config"] != self._config.as_dict():
            raise ValueError(f"{found.folder} is a checkpoint of another configuration: {state['config']}")
        tensors = found.tensors("weights" if "weights" in found.groups else "best")
        weights.load(self._model, tensors)
        if "optimizer" in found.groups:
            optim.load_optimizer_tensors(self._plain_optimizer, found.tensors("optimizer"))
            self._rng = found.tensors("rng")
        optim.load_scheduler_state(self._scheduler, state["scheduler"])
        self._steps, self.samples, self._seconds = state["steps"], state["samples"], state["seconds"]
        self._loss, self._loss_rows = state["loss"]
        self._stale, self._best_step = state["stale"], state["best_step"]
        self.reports = [Report(**report) for report in state["reports"]]
        self.ended, self.failed = state["ended"], state["failed"]
        if self._best_step >= 0:
            self._best = weights.best(found)
        return True

    def weights(self) -> dict[str, torch.Tensor]:
        """Copies of the weights as they are now: of what training changes."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in weights.changeable(self._model).items()}

    def evaluate(self) -> dict[str, float]:
        """All metrics of the weights as they are on the validation rows; not finite where the scores aren't."""
        task, meta = self._job.task, self._job.meta
        size = self._job.eval_batch_size
        scores = evaluation.scores(
            task,
            self._model,
            self._tokenizer,
            self._validation,
            meta=meta,
            batch_size=size,
            feed=self._feed.validation,
        )
        set_train_mode(self._model)
        if not evaluation.finite(scores):  # an argmax would make a respectable number of them
            return {self._job.metric: math.nan}
        examples = self._validation.examples
        return task.measure(task.merge(scores, examples, meta), first_of_each_row(examples), meta)

    def _begin(self, epoch: int) -> None:
        train, config, job = self._train, self._config, self._job
        if config.augmentation != "none":
            where = {"data": job.data, "max_length": self.max_length, "synonyms": job.synonyms}
            train = dataset.augmented(job.task, job.meta, self._path, config, epoch, **where)
            self._feed.augmented(train)
        self._batches = (epoch, bucketed_batches(train.lengths, config.batch_size, config.seed, epoch))

    def _step(self) -> None:
        epoch, index = divmod(self._steps, self._steps_per_epoch)
        if self._batches[0] != epoch:
            self._begin(epoch)
        rows = self._batches[1][index]
        value = 0.0
        for part, weight in micro_batches(rows, self._config.micro_batch_size, self._train.targets):
            with self._feed.train(part) as batch:
                loss = self._job.task.loss(self._model, batch, self._job.meta, self._config) * weight
            value += loss.item()
            if not math.isfinite(value):
                self._diverge(f"the training loss is {value} after {self.samples} samples")
                return
            self._accelerator.backward(loss)
        optim.add_l1(self._penalised, self._config.l1)
        if self._config.max_grad_norm > 0:
            self._accelerator.clip_grad_norm_(self._trained, self._config.max_grad_norm)
        self._optimizer.step()
        self._scheduler.step()
        self._optimizer.zero_grad()
        self._steps += 1
        self.samples += len(rows)
        self._loss += value * len(rows)
        self._loss_rows += len(rows)

    def _measure(self, start: float) -> Report | None:
        milestone = self._milestones[len(self.reports)]
        if not self._loss_rows:  # one step went past two milestones: there is nothing new to measure
            report = replace(self.reports[-1], samples=milestone)
        else:
            metrics = self.evaluate()
            report = Report(
                samples=milestone,
                value=metrics[self._job.metric],
                metrics=metrics,
                train_loss=self._loss / self._loss_rows,
                seconds=time.monotonic() - start,
                time=time.time(),
            )
            if not report.finite:
                odd = ", ".join(sorted(name for name, value in metrics.items() if not math.isfinite(value)))
                self._diverge(f"{odd} on the validation data is not a finite number at {milestone} samples")
                return None
            self._loss, self._loss_rows = 0.0, 0
            self._remember(report)
        self.reports.append(report)
        if milestone == self.horizon:
            self.ended = "horizon"
        elif self._stale >= self._job.patience:
            self.ended = f"no better for {self._stale} evaluations"
        return report

    def _remember(self, report: Report) -> None:
        best = max((self._job.direction.gain(old.value) for old in self.reports), default=-math.inf)
        if self._job.direction.gain(report.value) > best:
            self._best = {name: tensor.to("cpu", copy=True) for name, tensor in weights.changeable(self._model).items()}
            self._best_step, self._stale = self._steps, 0
        else:
            self._stale += 1

    def _diverge(self, what: str) -> None:
        self.ended, self.failed = f"diverged: {what}", True
