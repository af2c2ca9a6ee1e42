"""Rows whose label is probably wrong, to be looked at by a person after a search.

Out-of-sample probabilities of each label, by cross-validated logistic regression on the features of the pretrained
model that won; then confident learning (Northcutt, Jiang and Chuang, Journal of AI Research 70, 2021): a label is
doubted where the model is surer of another one than it is, on average, of the rows that have it.

The features are those from before the fine-tuning. The winner has fitted its training labels, the wrong ones too, so
that on its own features a wrong label looks right: of planted errors fewer are found, see `benchmarks`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autoft.training.linear import Linear, Target, target
from autoft.training.probe import Question, Reader

if TYPE_CHECKING:
    import pandas as pd

    from autoft.training.models import ModelInfo

LEAST, MOST = 400, 4_000  # rows that are checked
SHOWN = 50  # candidates
FOLDS = 5
_WORK = 3e12  # floating-point operations that the pass over the rows may take: half a minute on one core
_LONGEST = 300  # characters of a text that a candidate repeats


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label that is probably wrong.

    Attributes:
        row: The row.
        suggested: The label that is probably right.
        confidence: Its probability.
        margin: By how much that is above the probability of the given label.
    """

    row: int
    suggested: int
    confidence: float
    margin: float


def suspects(
    question: Question,
    info: ModelInfo,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """Rows of training and validation whose label is probably wrong.

    Args:
        question: The task, what it knows of the training rows, the length at which texts are cut, the seed.
        info: The pretrained model that the winner was made of.
        train: Training rows.
        validation: Validation rows.
        stopped: Asked between two batches; once it is true nothing more is computed.

    Returns:
        `candidates`, the most doubtful first and at most `SHOWN`, each with `split`, `row` (from 0 in its split),
        `text`, `label`, `suggested` and `confidence`; `found`, how many labels are doubted in all; `checked`, how many
        rows were looked at; `method`, a sentence. None where the task is not to find one of several labels, or it was
        stopped.
    """
    import pandas as pd

    labels = list(question.meta.get("labels", ()))
    if len(labels) < 2 or question.meta.get("multi_label"):
        return None
    rows = pd.concat([train, validation], ignore_index=True)
    reader = Reader(question, info, stopped)
    chosen = _chosen(rows, reader, question, info)
    encoded = reader.encoded(rows.iloc[chosen])
    if len(encoded.examples) != len(chosen) or target(encoded.examples, len(labels)) is not Target.CLASS:
        return None
    features = reader.features(encoded, Target.CLASS)
    if features is None:
        return None
    given = np.array([example["labels"] for example in encoded.examples])
    chances = out_of_sample(features, given, len(labels), question.seed)
    found = doubts(chances, given)
    texts = [name for name in (question.meta["text"], question.meta["text_pair"]) if name is not None]
    candidates = []
    for doubt in found[:SHOWN]:
        place = int(chosen[doubt.row])
        inside = place < len(train)
        candidates.append(
            {
                "split": "train" if inside else "validation",
                "row": place if inside else place - len(train),
                "text": _line(rows.iloc[place][texts]),
                "label": str(labels[given[doubt.row]]),
                "suggested": str(labels[doubt.suggested]),
                "confidence": doubt.confidence,
            }
        )
    method = (
        f"confident learning on {FOLDS}-fold cross-validated logistic regression over the features that {info.name} "
        f"had before it was fine-tuned; a doubt is no proof: have a person look"
    )
    return {"candidates": candidates, "found": len(found), "checked": len(chosen), "method": method}


def out_of_sample(features: Sequence[Any], given: NDArray[np.intp], classes: int, seed: int) -> NDArray[np.float64]:
    """The probability of each label for each row, from models that were fitted without it.

    Args:
        features: Of each row, shape (width,).
        given: Label of each row, shape (n,).
        classes: Number of labels.
        seed: Of the folds.

    Returns:
        Shape (n, classes).
    """
    from sklearn.model_selection import StratifiedKFold

    found = np.full((len(given), classes), 1 / classes)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    known = np.stack(features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class with fewer rows than folds, which `doubts` leaves alone
        splits = list(folds.split(known, given))
    for fitted, held_out in splits:
        try:
            linear = Linear(Target.CLASS, known[fitted], given[fitted], classes)
        except ValueError:  # one label only
            continue
        found[held_out] = np.exp(np.asarray(linear.scores(known[held_out])))
    return found


def doubts(chances: NDArray[np.float64], given: NDArray[np.intp]) -> list[Doubt]:
    """The labels that confident learning doubts, those first that are furthest below another one.

    A label of fewer rows than there are folds is neither doubted nor suggested: too little is known of it.

    Args:
        chances: Out-of-sample probabilities, shape (n, classes).
        given: Label of each row, shape (n,).
    """
    counts = np.bincount(given, minlength=chances.shape[1])
    usable = counts >= FOLDS
    own = chances[np.arange(len(given)), given]
    sums = np.bincount(given, weights=own, minlength=len(counts))
    # The mean confidence in a label, of the rows that have it; no probability reaches that of an unusable one.
    threshold = np.where(usable, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(chances >= threshold, chances, -np.inf)
    suggested = confident.argmax(axis=1)
    sure = np.isfinite(confident.max(axis=1))
    doubted = np.flatnonzero(sure & (suggested != given) & usable[given])
    margins = confident[doubted, suggested[doubted]] - own[doubted]
    found = [
        Doubt(
            int(doubted[i]),
            int(suggested[doubted[i]]),
            float(confident[doubted[i], suggested[doubted[i]]]),
            float(margins[i]),
        )
        for i in np.argsort(-margins, kind="stable")
    ]
    return [doubt for doubt in found if doubt.margin > 0]


def _chosen(rows: pd.DataFrame, reader: Reader, question: Question, info: ModelInfo) -> NDArray[np.intp]:
    """As many rows as can be read in some seconds, drawn evenly, in their order."""
    import torch

    generator = np.random.default_rng(question.seed)
    order = generator.permutation(len(rows))
    most = MOST
    if not torch.cuda.is_available():
        tokens = float(np.mean(reader.encoded(rows.iloc[order[:200]]).lengths))
        most = int(min(MOST, max(LEAST, _WORK / (2 * info.size / 4 * tokens))))  # four bytes to a weight
    return np.sort(order[:most])


def _line(texts: Iterable[Any]) -> str:
    line = " ".join(" | ".join(map(str, texts)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
