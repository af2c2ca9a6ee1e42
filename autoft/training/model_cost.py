"""What a model costs before anything of it is trained: its parameters, or the time that it takes to answer.

Both are the model's alone, whatever recipe it is trained with: LoRA's updates are merged into its weights at the end,
and what is frozen has to be computed all the same when it answers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.errors import ModelError
from autoft.records import TrialConfig
from autoft.training import models, products, rng
from autoft.training.locating import one_line

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel

    from autoft.training.models import ModelInfo
    from autoft.training.probe import Question

WARM_UP, LEAST, MOST = 3, 7, 51  # answers that don't count, and how many do
ENOUGH = 2.0  # seconds of a model's answers, once there are `LEAST`
_SAMPLE = 512  # rows that a typical one is looked for in


def model_costs(
    against: str, question: Question, infos: Sequence[ModelInfo], rows: pd.DataFrame, known: Mapping[str, float]
) -> dict[str, float]:
    """What each model costs, measured where it isn't known.

    Args:
        against: `parameters`, their number; or `latency`, milliseconds.
        question: The task, its length of texts and the threads that answer.
        infos: The models.
        rows: Training rows, one of which is answered.
        known: What was measured before, by the model's reference: a search that goes on weighs by the same numbers.

    Raises:
        ModelError: A model can't be opened, or has no answer for the row.
    """
    found = dict(known)
    for info in infos:
        if info.ref not in found:
            try:
                found[info.ref] = (
                    parameters(question, info) if against == "parameters" else latency(question, info, rows)
                )
            except ModelError:
                raise
            except Exception as error:
                raise ModelError(f"model {info.ref}: its {against} can't be measured: {one_line(error)}") from None
    return found


def parameters(question: Question, info: ModelInfo) -> float:
    """Number of parameters of a model with the task's head; those that two of its parts share count once."""
    return float(sum(parameter.numel() for parameter in _built(question, info).parameters()))


def latency(question: Question, info: ModelInfo, rows: pd.DataFrame) -> float:
    """Milliseconds until a model has answered one row of typical length, as it would when it is handed over.

    The median of several answers. It has two digits: on a machine that does other things, too, the third one changes
    from measurement to measurement, and would make one of two like models "faster".
    """
    import torch

    from autoft.training.dataset import Encoded
    from autoft.training.evaluation import scores

    torch.set_num_threads(question.threads)
    model: Any = _built(question, info)
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    products.speed_up(model)  # so will be the model that is handed over
    tokenizer = models.load_tokenizer(info.path)
    length = models.usable_length(model, tokenizer, question.max_length)
    row = Encoded.of(question.task.encode(typical(rows, question.seed), tokenizer, question.meta, length))
    seconds: list[float] = []
    while len(seconds) < WARM_UP + LEAST or (len(seconds) < WARM_UP + MOST and sum(seconds) < ENOUGH):
        began = time.perf_counter()
        scores(question.task, model, tokenizer, row, meta=question.meta, batch_size=1)
        seconds.append(time.perf_counter() - began)
    return float(f"{1000 * statistics.median(seconds[WARM_UP:]):.2g}")


def typical(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The row of median length, in characters, among a sample: the same one for every model."""
    some = rows if len(rows) <= _SAMPLE else rows.sample(_SAMPLE, random_state=seed)
    lengths = some.astype(str).agg(" ".join, axis=1).str.len().to_numpy()
    place = int(np.argsort(lengths, kind="stable")[len(some) // 2])
    return some.iloc[[place]].reset_index(drop=True)


def _built(question: Question, info: ModelInfo) -> PreTrainedModel:
    models.quiet()
    # Knobs that build a model in another way (its dropout, its pooling) change no weights.
    config = TrialConfig(model=info.ref, learning_rate=1e-4, batch_size=1, epochs=1, max_length=question.max_length)
    with rng.isolated():
        return question.task.build(info.path, question.meta, config)
