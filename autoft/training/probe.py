"""Rung 0: what each pretrained model knows already, before anything of it is trained.

One pass of the frozen model over a sample, its hidden states averaged over layers and tokens, a linear
model on top. Averaging over the layers makes the probe agree better with what fine-tuning gives (Garbas et al.,
Findings of ACL 2024); that frozen features rank pretrained models at all is the point of LogME (You et al., ICML 2021).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autoft.records import Direction, Probe
from autoft.tasks.base import NOT_INPUTS, first_of_each_row
from autoft.training import models, products
from autoft.training.batching import collate, evaluation_batches
from autoft.training.dataset import Encoded
from autoft.training.devices import threads
from autoft.training.linear import Features, Linear, Target, target

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Example, Scores, Task
    from autoft.training.models import ModelInfo

LEAST, MOST = 192, 768  # rows of the sample
HELD_OUT = 1 / 3  # share of them that the linear model is measured on
DOMINATED = 1.5  # times the error of the best model …
RESAMPLES, SURE = 200, 0.975  # … in this share of so many bootstrap resamples
_WORK = 6e11  # floating-point operations that the pass of one model may take: some seconds on one core
_BATCH = 32


@dataclass
class Probed:
    """A model that was probed: what came out, and the linear model on its frozen features.

    Attributes:
        probe: The outcome.
        held_out: The linear model's scores for the held-out rows, as the task has them.
    """

    probe: Probe
    held_out: Scores
    _reader: Reader
    _linear: Linear

    def scores(self, rows: pd.DataFrame) -> Scores | None:
        """What features and linear model say of at least one row, as the task's `merge`; None if it was stopped."""
        return self._reader.scores(self._linear, self._reader.encoded(rows))


@dataclass(frozen=True)
class Question:
    """What the models are probed for.

    Attributes:
        task: What is learnt.
        meta: What the task knows of the training rows.
        metric: Name of the objective.
        max_length: Tokens after which a text is cut.
        seed: Of the sample.
        threads: CPU threads of the probes.
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

    @property
    def labels(self) -> int:
        """How many labels the task knows, 0 where it doesn't say."""
        return len(self.meta.get("labels", ()))

    def measure(self, scores: Scores, examples: Sequence[Example]) -> float:
        """The objective of some rows, from their scores and the first example of each."""
        return self.task.measure(scores, examples, self.meta)[self.metric]


def probe_models(
    question: Question,
    infos: Sequence[ModelInfo],
    train: pd.DataFrame,
    validation: pd.DataFrame,
    stopped: Callable[[], bool] = lambda: False,
    *,
    costs: Mapping[str, float] | None = None,
) -> list[Probed]:
    """Probes each model on the same sample, and marks those that are clearly dominated by the best.

    A model is dominated when its error is at least `DOMINATED` times the best one's, in at least `SURE` of
    `RESAMPLES` paired bootstrap resamples of the held-out rows. Where the cost is a second objective, the best one
    is that of those that cost no more: a smaller model may be worse.

    Args:
        question: What they are probed for.
        infos: The models.
        train: Training rows, of which a sample is read.
        validation: Validation rows, of which a sample is held out to measure on.
        stopped: Asked between two batches; once it is true nothing more is computed.
        costs: What each model costs, by its reference, where that counts.

    Returns:
        The best model first; empty where it was stopped, or where no linear model can learn the task's labels.
    """
    largest = max(infos, key=lambda info: info.size)
    size = _sample_size(largest, question, train)
    generator = np.random.default_rng(question.seed)
    held_out = _sample(validation, round(size * HELD_OUT), generator)
    fitted_on = _sample(train, size - len(held_out), generator)
    found = []
    with threads(question.threads):
        for info in infos:
            one = _probe(question, info, fitted_on, held_out, stopped)
            if one is None:
                return []
            found.append(one)
    gain = question.direction.gain
    found.sort(key=lambda one: -gain(one.probe.value))  # stable: the user's order between equals
    examples = first_of_each_row(found[0]._reader.encoded(held_out).examples)
    for i, one in enumerate(found):
        if rival := _rival(one, found[:i], costs or {}):
            one.probe = replace(one.probe, dropped=_dominated(question, rival, one, examples))
    return found


def _rival(one: Probed, better: Sequence[Probed], costs: Mapping[str, float]) -> Probed | None:
    """The best of the better models that cost no more."""
    cost = costs.get(one.probe.model, 0.0)
    return next((other for other in better if costs.get(other.probe.model, 0.0) <= cost), None)


def _probe(
    question: Question,
    info: ModelInfo,
    fitted_on: pd.DataFrame,
    held_out: pd.DataFrame,
    stopped: Callable[[], bool],
) -> Probed | None:
    began = time.monotonic()
    reader = Reader(question, info, stopped)
    train, validation = reader.encoded(fitted_on), reader.encoded(held_out)
    kind = target([*train.examples, *validation.examples], question.labels)
    if kind is None or (known := reader.features(train, kind)) is None:
        return None
    try:
        linear = Linear(kind, known, [example["labels"] for example in train.examples], question.labels)
    except ValueError:
        return None
    warm = time.monotonic()
    scores = reader.scores(linear, validation)
    if scores is None:
        return None
    ended = time.monotonic()
    outcome = Probe(
        model=info.ref,
        value=question.measure(scores, first_of_each_row(validation.examples)),
        rows=len(fitted_on) + len(held_out),
        seconds=ended - began,
        reading=(ended - warm) / len(held_out),
    )
    return Probed(outcome, scores, reader, linear)


class Reader:
    """A frozen model that turns rows into features, with as many threads as torch has been given.

    Args:
        question: What for.
        info: The model.
        stopped: Asked between two batches; once it is true nothing more is computed.
    """

    def __init__(self, question: Question, info: ModelInfo, stopped: Callable[[], bool]) -> None:
        self._question, self._stopped = question, stopped
        self._path = info.path
        self._tokenizer: PreTrainedTokenizerBase = models.load_tokenizer(info.path)
        self._model, self._length = _encoder(info.path, self._tokenizer, question.max_length)

    def encoded(self, rows: pd.DataFrame) -> Encoded:
        """The examples of the rows."""
        task = self._question.task
        return Encoded.of(task.encode(rows, self._tokenizer, self._question.meta, self._length))

    def features(self, rows: Encoded, kind: Target) -> list[Features] | None:
        """Hidden states of each example, averaged over layers; None if it was stopped.

        Returns:
            Averaged over the tokens too, shape (width,); where these have the labels, of each, shape (tokens, width).
        """
        import torch

        batches = evaluation_batches(rows.lengths, _BATCH)
        found: list[Features] = []
        with torch.inference_mode():
            for batch in batches:
                if self._stopped():
                    return None
                inputs = collate([_inputs(rows.examples[i]) for i in batch], self._tokenizer)
                inputs = {key: value.to(self._model.device) for key, value in inputs.items()}
                found += _states(self._model, inputs, averaged=kind is not Target.TOKENS)
        return [found[i] for i in np.argsort(np.concatenate(batches))]

    def scores(self, linear: Linear, rows: Encoded) -> Scores | None:
        """What a linear model says of the rows, an entry for each; None if it was stopped."""
        features = self.features(rows, linear.kind)
        if features is None:
            return None
        return self._question.task.merge(linear.scores(features), rows.examples, self._question.meta)


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


def _states(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], *, averaged: bool) -> list[Features]:
    import torch

    states = torch.stack(model(**inputs, output_hidden_states=True).hidden_states).mean(0)
    mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
    if averaged:
        return list(((states * mask).sum(1) / mask.sum(1).clamp(min=1)).float().cpu().numpy())
    real = inputs["attention_mask"].bool()
    return [row[own].float().cpu().numpy() for row, own in zip(states, real, strict=True)]


def _inputs(example: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in example.items() if key not in NOT_INPUTS}


def _sample_size(largest: ModelInfo, question: Question, train: pd.DataFrame) -> int:
    """Rows that the largest model can read in some seconds; the same for all, so that they can be compared."""
    tokenizer = models.load_tokenizer(largest.path)
    some = train[:LEAST]
    examples = question.task.encode(some, tokenizer, question.meta, question.max_length)
    tokens = sum(len(example["input_ids"]) for example in examples) / len(some)
    parameters = largest.size / 4  # those of the embeddings too, which cost nothing: an upper bound
    return int(np.clip(_WORK / (2 * parameters * tokens), LEAST, MOST))


def _sample(rows: pd.DataFrame, size: int, generator: np.random.Generator) -> pd.DataFrame:
    return rows if len(rows) <= size else rows.iloc[generator.permutation(len(rows))[:size]]


def _dominated(question: Question, best: Probed, other: Probed, examples: Sequence[Example]) -> str:
    """Why a model need not be tried; empty where it is worth a try."""

    def times(rows: NDArray[np.intp]) -> float:
        chosen = [examples[row] for row in rows]
        mine, theirs = (
            _error(question, question.measure([one.held_out[row] for row in rows], chosen)) for one in (other, best)
        )
        return mine / theirs if theirs > 0 else (np.inf if mine > 0 else 1.0)

    everyone = np.arange(len(examples))
    if times(everyone) < DOMINATED:
        return ""
    generator = np.random.default_rng(question.seed)
    shares = [times(generator.choice(everyone, len(everyone))) >= DOMINATED for _ in range(RESAMPLES)]
    if np.mean(shares) < SURE:
        return ""
    return (
        f"its frozen features err {times(everyone):.1f} times as much as those of {models.short_name(best.probe.model)}"
    )


def _error(question: Question, value: float) -> float:
    return 1 - value if question.direction is Direction.MAXIMIZE else value
