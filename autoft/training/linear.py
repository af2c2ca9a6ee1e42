"""Linear models on frozen features, of whatever kind the labels of a task are, with scores as the task has them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autoft.tasks.base import IGNORED

if TYPE_CHECKING:
    from autoft.tasks.base import Example, Scores

Features = NDArray[np.float32]

_UNSEEN = 1e-12  # probability of a class that the sample doesn't show
_STRENGTH = 0.1  # of the models, unless told otherwise
_MOST_TOKENS = 8192  # labelled tokens that a model is fitted on


class Target(Enum):
    """What a linear model can learn; the scores that it gives stand behind it."""

    CLASS = auto()
    """One of the labels: log probabilities, shape (n, labels)."""
    VALUE = auto()
    """A number: shape (n,)."""
    SEVERAL = auto()
    """Any number of the labels: log odds, shape (n, labels)."""
    TOKENS = auto()
    """A label for each token: log probabilities of each example, shape (tokens, labels)."""


def target(examples: Sequence[Example], labels: int) -> Target | None:
    """What the labels of some examples are; None where no linear model can learn it.

    Args:
        examples: As a task encodes them.
        labels: How many labels the task knows, 0 where it doesn't say.
    """
    found = [example.get("labels") for example in examples]
    if all(isinstance(label, float | np.floating) for label in found):
        return Target.VALUE
    if all(isinstance(label, int | np.integer) for label in found):
        return Target.CLASS
    lists = [label for label in found if isinstance(label, list)]
    if not labels or len(lists) < len(found):
        return None
    if all(len(label) == labels and all(isinstance(value, float) for value in label) for label in lists):
        return Target.SEVERAL
    lengths = [len(example["input_ids"]) for example in examples]
    if [len(label) for label in lists] == lengths and all(_whole(label) for label in lists):
        return Target.TOKENS
    return None


class Linear:
    """A linear model on features.

    Args:
        kind: What it learns.
        features: Of each example, shape (width,); of tokens, shape (tokens, width).
        labels: Of each example.
        classes: Number of labels there are, whether or not the examples show them all.
        strength: How little a large weight is penalised (scikit-learn's C), on standardised features.

    Attributes:
        kind: What it learns.

    Raises:
        ValueError: The labels are all the same.
    """

    def __init__(
        self,
        kind: Target,
        features: Sequence[Features],
        labels: Sequence[Any],
        classes: int,
        strength: float = _STRENGTH,
    ) -> None:
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if kind is Target.TOKENS:
            known, targets = _counted(features, labels)
        else:
            known, targets = np.stack(features), np.asarray(labels)
        if not len(targets) or (targets == targets[0]).all():
            raise ValueError("no linear model can be fitted to labels that are all the same")
        self.kind = kind
        self._classes = 0 if kind is Target.VALUE else max(classes, 0 if targets.ndim > 1 else int(targets.max()) + 1)
        if kind is Target.VALUE:
            head: Any = Ridge(alpha=1 / strength)
        else:
            head = LogisticRegression(C=strength, max_iter=200)
        if kind is Target.SEVERAL:
            head = OneVsRestClassifier(head)
        self._model = make_pipeline(StandardScaler(), head)
        with warnings.catch_warnings():
            # One that has not converged ranks just as well, and of several labels one may be missing in a sample.
            warnings.simplefilter("ignore")
            self._model.fit(known, targets)

    def scores(self, features: Sequence[Features]) -> Scores:
        """One entry for each example; see `Target`."""
        if self.kind is Target.TOKENS:
            found = self._said(np.concatenate(list(features)))
            return np.split(found, np.cumsum([len(one) for one in features])[:-1])
        return self._said(np.stack(features))

    def _said(self, features: Features) -> NDArray[Any]:
        if self.kind is Target.VALUE:
            values: NDArray[Any] = self._model.predict(features)
            return values
        chances = self._model.predict_proba(features)
        if self.kind is Target.SEVERAL:
            chances = chances.clip(_UNSEEN, 1 - _UNSEEN)
            odds: NDArray[Any] = np.log(chances / (1 - chances))
            return odds
        found = np.full((len(features), self._classes), np.log(_UNSEEN))
        found[:, self._model.classes_] = np.log(np.maximum(chances, _UNSEEN))
        return found


def _whole(labels: Iterable[Any]) -> bool:
    return all(isinstance(label, int | np.integer) for label in labels)


def _counted(features: Sequence[Features], labels: Sequence[Any]) -> tuple[Features, NDArray[Any]]:
    """Features and labels of the tokens that count, evenly thinned where there are very many."""
    known, targets = np.concatenate(list(features)), np.concatenate([np.asarray(row) for row in labels])
    chosen = np.flatnonzero(targets != IGNORED)
    if len(chosen) > _MOST_TOKENS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MOST_TOKENS).astype(np.intp)]
    return known[chosen], targets[chosen]
