"""Rung 0: what each pretrained model knows already, before anything of it is trained.

One pass of the frozen model over a sample, its hidden states averaged over layers and tokens, a linear
model on top. Averaging over the layers makes the probe agree better with what fine-tuning gives (Garbas et al.,
Findings of ACL 2024); that frozen features rank pretrained models at all is the point of LogME (You et al., ICML 2021).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autoft.records import Direction, Probe
from autoft.training import models, products
from autoft.training.batching import collate, evaluation_batches
from autoft.training.dataset import Encoded

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores, Task
    from autoft.training.models import ModelInfo

Features = NDArray[np.float32]

LEAST, MOST = 192, 768  # rows of the sample
HELD_OUT = 1 / 3  # share of them that the linear model is measured on
DOMINATED = 1.5  # times the error of the best model …
RESAMPLES, SURE = 200, 0.975  # … in this share of so many bootstrap resamples
_WORK = 6e11  # floating-point operations that the pass of one model may take: some seconds on one core
_BATCH = 32
_UNSEEN = 1e-12  # probability of a class that the sample doesn't show
_PENALTY = 0.1  # of the logistic regression (its C), on standardised features


@dataclass
class Probed:
    """A model that was probed: what came out, and the linear model on its frozen features.

    Attributes:
        probe: The outcome.
        held_out: The linear model's scores for the held-out rows, as the task has them.
    """

    probe: Probe
    held_out: Scores
    _reader: _Reader
    _linear: _Linear

    def scores(self, rows: pd.DataFrame) -> Scores:
        """What frozen features and linear model say of at least one row, as the task's `scores`."""
        return self._linear.scores(self._reader.features(self._reader.encoded(rows)))


@dataclass(frozen=True)
class Question:
    """What the models are probed for.

    Attributes:
        task: What is learnt.
        meta: What the task knows of the training rows.
        metric: Name of the objective.
        max_length: Tokens after which a text is cut.
        seed: Of the sample.
        threads: CPU threads.
    """

    task: Task
    meta: Mapping[str, Any]
    metric: str
    max_length: int
    seed: int
    threads: int

    @property
    def direction(self) -> Direction:
        """Direction of the objective."""
        return self.task.metrics[self.metric]


def probe_models(
    question: Question,
    infos: Sequence[ModelInfo],
    train: pd.DataFrame,
    validation: pd.DataFrame,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Probed]:
    """Probes each model on the same sample, and marks those that are clearly dominated by the best.

    A model is dominated when its error is at least `DOMINATED` times the best one's, in at least `SURE` of
    `RESAMPLES` paired bootstrap resamples of the held-out rows.

    Args:
        question: What they are probed for.
        infos: The models.
        train: Training rows, of which a sample is read.
        validation: Validation rows, of which a sample is held out to measure on.
        stopped: Asked between two batches; once it is true nothing more is computed.

    Returns:
        The best model first; empty where it was stopped, or where the task has no single number or class for a row.
    """
    largest = max(infos, key=lambda info: info.size)
    size = _sample_size(largest, question, train)
    generator = np.random.default_rng(question.seed)
    held_out = _sample(validation, round(size * HELD_OUT), generator)
    fitted_on = _sample(train, size - len(held_out), generator)
    found = []
    for info in infos:
        one = _probe(question, info, fitted_on, held_out, stopped)
        if one is None:
            return []
        found.append(one)
    gain = question.direction.gain
    found.sort(key=lambda one: -gain(one.probe.value))  # stable: the user's order between equals
    targets = [example["labels"] for example in found[0]._reader.encoded(held_out).examples]
    for one in found[1:]:
        one.probe = replace(one.probe, dropped=_dominated(question, found[0], one, targets))
    return found


def _probe(
    question: Question,
    info: ModelInfo,
    fitted_on: pd.DataFrame,
    held_out: pd.DataFrame,
    stopped: Callable[[], bool],
) -> Probed | None:
    began = time.monotonic()
    reader = _Reader(question, info, stopped)
    train, validation = reader.encoded(fitted_on), reader.encoded(held_out)
    both = reader.features(Encoded.of([*train.examples, *validation.examples]))
    if stopped():
        return None
    try:
        labels = [example["labels"] for example in train.examples]
        linear = _Linear(both[: len(train)], labels, len(question.meta.get("labels", ())))
    except ValueError:
        return None
    scores = linear.scores(both[len(train) :])
    targets = [example["labels"] for example in validation.examples]
    metrics = question.task.measure(scores, targets, question.meta)
    outcome = Probe(
        model=info.ref,
        value=metrics[question.metric],
        rows=len(both),
        seconds=time.monotonic() - began,
    )
    return Probed(outcome, scores, reader, linear)


class _Reader:
    """A frozen model that turns rows into features."""

    def __init__(self, question: Question, info: ModelInfo, stopped: Callable[[], bool]) -> None:
        self._question, self._stopped = question, stopped
        self._path = info.path
        self._tokenizer: PreTrainedTokenizerBase = models.load_tokenizer(info.path)
        self._model, self._length = _encoder(info.path, self._tokenizer, question.max_length)

    def encoded(self, rows: pd.DataFrame) -> Encoded:
        task = self._question.task
        return Encoded.of(task.encode(rows, self._tokenizer, self._question.meta, self._length))

    def features(self, rows: Encoded) -> Features:
        """Hidden states averaged over layers and tokens, shape (n, width)."""
        import torch

        torch.set_num_threads(self._question.threads)
        batches = evaluation_batches(rows.lengths, _BATCH)
        parts = []
        with torch.inference_mode():
            for batch in batches:
                if self._stopped():
                    break
                inputs = collate([_inputs(rows.examples[i]) for i in batch], self._tokenizer)
                parts.append(
                    _averaged(self._model, {key: value.to(self._model.device) for key, value in inputs.items()})
                )
        found: Features = np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
        in_order = np.empty((len(rows), found.shape[1]), np.float32)
        in_order[np.concatenate(batches)[: len(found)]] = found
        return in_order


def _encoder(path: str, tokenizer: PreTrainedTokenizerBase, max_length: int) -> tuple[PreTrainedModel, int]:
    import torch
    from transformers import AutoModel

    models.quiet()
    model: Any = AutoModel.from_pretrained(path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False)
    length = models.usable_length(model, tokenizer, max_length)
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    products.speed_up(model)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), length


def _averaged(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> Features:
    import torch

    states = torch.stack(model(**inputs, output_hidden_states=True).hidden_states).mean(0)
    mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
    averaged: Features = ((states * mask).sum(1) / mask.sum(1).clamp(min=1)).float().cpu().numpy()
    return averaged


def _inputs(example: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in example.items() if key != "labels"}


class _Linear:
    """A linear model on features: of classes where the labels are whole numbers, of a value where they are real.

    Args:
        labels: What is to be learnt, one entry per row.
        classes: Number of classes there are, whether or not the rows show them all.

    Raises:
        ValueError: The labels are neither, or all the same.
    """

    def __init__(self, features: Features, labels: Sequence[Any], classes: int) -> None:
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        targets = np.asarray(labels)
        if targets.ndim != 1 or len(set(labels)) < 2:
            raise ValueError("no linear model can be fitted to these labels")
        self._classes = 0 if np.issubdtype(targets.dtype, np.floating) else max(classes, int(targets.max()) + 1)
        head = LogisticRegression(C=_PENALTY, max_iter=200) if self._classes else Ridge(alpha=1 / _PENALTY)
        self._model = make_pipeline(StandardScaler(), head)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one that has not converged ranks just as well
            self._model.fit(features, targets)

    def scores(self, features: Features) -> Scores:
        """Log probabilities of the classes, shape (n, classes); or values, shape (n, 1)."""
        if not self._classes:
            values: Scores = self._model.predict(features).reshape(-1, 1)
            return values
        found = np.full((len(features), self._classes), np.log(_UNSEEN))
        known = self._model.classes_
        found[:, known] = np.log(np.maximum(self._model.predict_proba(features), _UNSEEN))
        return found


def _sample_size(largest: ModelInfo, question: Question, train: pd.DataFrame) -> int:
    """Rows that the largest model can read in some seconds; the same for all, so that they can be compared."""
    tokenizer = models.load_tokenizer(largest.path)
    some = question.task.encode(train[:LEAST], tokenizer, question.meta, question.max_length)
    tokens = float(np.mean([len(example["input_ids"]) for example in some]))
    parameters = largest.size / 4  # those of the embeddings too, which cost nothing: an upper bound
    return int(np.clip(_WORK / (2 * parameters * tokens), LEAST, MOST))


def _sample(rows: pd.DataFrame, size: int, generator: np.random.Generator) -> pd.DataFrame:
    return rows if len(rows) <= size else rows.iloc[generator.permutation(len(rows))[:size]]


def _dominated(question: Question, best: Probed, other: Probed, targets: Sequence[Any]) -> str:
    """Why a model need not be tried; empty where it is worth a try."""

    def times(rows: NDArray[np.intp]) -> float:
        chosen = [targets[row] for row in rows]
        mine, theirs = (
            _error(question, question.task.measure(one.held_out[rows], chosen, question.meta)) for one in (other, best)
        )
        return mine / theirs if theirs > 0 else (np.inf if mine > 0 else 1.0)

    everyone = np.arange(len(targets))
    if times(everyone) < DOMINATED:
        return ""
    generator = np.random.default_rng(question.seed)
    shares = [times(generator.choice(everyone, len(everyone))) >= DOMINATED for _ in range(RESAMPLES)]
    if np.mean(shares) < SURE:
        return ""
    return (
        f"its frozen features err {times(everyone):.1f} times as much as those of {models.short_name(best.probe.model)}"
    )


def _error(question: Question, metrics: Mapping[str, float]) -> float:
    value = metrics[question.metric]
    return 1 - value if question.direction is Direction.MAXIMIZE else value
