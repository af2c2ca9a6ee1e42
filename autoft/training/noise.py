"""Rows whose label is probably wrong, to be looked at by a person after a search.

Out-of-sample probabilities of each label, by cross-validated logistic regression; then confident learning (Northcutt,
Jiang and Chuang, Journal of Artificial Intelligence Research 70, 2021): a label is doubted where the models are surer
of another one than they are, on average, of the rows that have it.

The probabilities are the geometric mean of two models that err differently, one on TF-IDF of words and one on the
features that the pretrained model had before it was fine-tuned. The winner's own features were fitted to the training
labels, the wrong ones too, which then look right: with 5 % of the labels changed and BERT-tiny trained for three epochs
they found 32 % of the errors in Rotten Tomatoes and 38 % of those in the tweets, together with TF-IDF, and those from
before 62 % and 52 %. Of the first fifty doubts 48 % and 72 % were errors then, and all in R8.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autoft.tasks import texts
from autoft.training.linear import Features, Linear, Target, target
from autoft.training.probe import Question, Reader

if TYPE_CHECKING:
    import pandas as pd

    from autoft.tasks.base import Meta
    from autoft.training.models import ModelInfo

View = Callable[[NDArray[np.intp], NDArray[np.intp]], "NDArray[np.float64] | None"]
"""Fits a model to the rows of the first indices; log probabilities of the second, shape (n, classes), or None."""

LEAST, MOST = 400, 4_000  # rows that are checked
SHOWN = 50  # candidates
FOLDS = 5
_STRENGTH = 0.01  # of the model on features; less than a probe's: the labels are not to be trusted
_UNSEEN = 1e-12  # probability of a class that the rows don't show
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
        rows were looked at; `method`, a sentence. None where the task is not to find one of several labels, no label
        has as many rows as there are folds, or it was stopped.
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
    if np.bincount(given).max() < FOLDS:
        return None
    views = of_features(features, given, len(labels)), of_words(rows.iloc[chosen], question.meta, given, len(labels))
    chances = out_of_sample(views, given, len(labels), question.seed)
    found = doubts(chances, given)
    columns = [name for name in (question.meta["text"], question.meta["text_pair"]) if name is not None]
    if any(name not in rows for name in columns):  # a task of somebody's own, on something else
        return None
    candidates = []
    for doubt in found[:SHOWN]:
        place = int(chosen[doubt.row])
        inside = place < len(train)
        candidates.append(
            {
                "split": "train" if inside else "validation",
                "row": place if inside else place - len(train),
                "text": _line(rows.iloc[place][columns]),
                "label": str(labels[given[doubt.row]]),
                "suggested": str(labels[doubt.suggested]),
                "confidence": doubt.confidence,
            }
        )
    method = (
        f"confident learning on {FOLDS}-fold cross-validated logistic regression, of TF-IDF and of the features that "
        f"{info.name} had before it was fine-tuned; a doubt is no proof: have a person look"
    )
    return {"candidates": candidates, "found": len(found), "checked": len(chosen), "method": method}


def of_features(features: Sequence[Features], given: NDArray[np.intp], classes: int) -> View:
    """Logistic regression on features of each row, shape (width,)."""
    known = np.stack(features)

    def view(fitted: NDArray[np.intp], held_out: NDArray[np.intp]) -> NDArray[np.float64] | None:
        try:
            linear = Linear(Target.CLASS, list(known[fitted]), given[fitted].tolist(), classes, _STRENGTH)
        except ValueError:  # one label only
            return None
        return np.asarray(linear.scores(list(known[held_out])))

    return view


def of_words(rows: pd.DataFrame, meta: Meta, given: NDArray[np.intp], classes: int) -> View:
    """Logistic regression on TF-IDF of the words of each row, class by class: for many words that is far faster."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    def view(fitted: NDArray[np.intp], held_out: NDArray[np.intp]) -> NDArray[np.float64] | None:
        words = texts.tfidf(rows.iloc[fitted], rows.iloc[held_out], meta)
        if words is None or len(set(given[fitted])) < 2:
            return None
        model = OneVsRestClassifier(LogisticRegression(C=10.0, solver="liblinear")).fit(words[0], given[fitted])
        found = np.full((len(held_out), classes), _UNSEEN)
        found[:, model.classes_] = model.predict_proba(words[1])
        logs: NDArray[np.float64] = np.log(found.clip(_UNSEEN))
        return logs

    return view


def out_of_sample(views: Sequence[View], given: NDArray[np.intp], classes: int, seed: int) -> NDArray[np.float64]:
    """The probability of each label for each row, from models that were fitted without it.

    Args:
        views: The models; their geometric mean counts.
        given: Label of each row, shape (n,).
        classes: Number of labels.
        seed: Of the folds.

    Returns:
        Shape (n, classes).
    """
    from scipy.special import softmax
    from sklearn.model_selection import StratifiedKFold

    logs = np.zeros((len(given), classes))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer rows than folds, which `doubts` leaves alone; a model that has not converged will do.
        warnings.simplefilter("ignore")
        for fitted, held_out in folds.split(given, given):
            found = [said for view in views if (said := view(fitted, held_out)) is not None]
            logs[held_out] = np.mean(found, axis=0) if found else 0.0
    chances: NDArray[np.float64] = softmax(logs, axis=1)
    return chances


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
        tokens = float(reader.encoded(rows.iloc[order[:200]]).lengths.mean())
        most = int(np.clip(_WORK / (2 * info.size / 4 * tokens), LEAST, MOST))  # four bytes to a weight
    return np.sort(order[:most])


def _line(texts: Iterable[Any]) -> str:
    line = " ".join(" | ".join(map(str, texts)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
