"""Splits whose rows were drawn from something else than the training rows were.

A finding needs two things: a difference that chance doesn't make, and one large enough to matter. A split by chance,
which has none but small differences, is never reported for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.data.examination.findings import Finding, Severity, percent
from autoft.data.examination.labels import counted
from autoft.data.examination.texts import Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

SURE = 1e-4  # p-value that a difference has to stay below
FEWEST = 40  # rows of a split below which nothing is said
LONGER, MUCH_LONGER = 0.64, 0.71  # Vargha and Delaney's A (2000) of a medium and of a large difference
SHIFTED, FAR_SHIFTED = 0.1, 0.25  # total variation distance of the labels
TOLD_APART, FAR_APART = 0.7, 0.85  # area under the curve of a classifier that tells two splits apart
_MOST = 1_000  # rows of a split that are told apart
_FOLDS = 5
_TELLING = 5  # words of each side


def length_drift(train: Texts, other: Texts) -> Finding | None:
    """Whether the rows of a split are longer or shorter than those of training (Mann-Whitney)."""
    from scipy.stats import mannwhitneyu

    if min(len(train), len(other)) < FEWEST:
        return None
    test = mannwhitneyu(other.lengths, train.lengths)
    longer = float(test.statistic) / (len(train) * len(other))  # chance that one of `other` is the longer of two
    effect = max(longer, 1 - longer)
    if effect < LONGER or not test.pvalue < SURE:
        return None
    medians = int(np.median(other.lengths)), int(np.median(train.lengths))
    sentence = (
        f"the texts of {other.part} are {'longer' if longer > 0.5 else 'shorter'} than those of training (half of them "
        f"have at most {medians[0]} words, there {medians[1]})"
    )
    return Finding("length_drift", _severity(effect, MUCH_LONGER), sentence, len(other))


def label_drift(train: Sequence[Any], other: Sequence[Any], part: str) -> Finding | None:
    """Whether the classes have other shares in a split than in training (chi-squared)."""
    from scipy.stats import chi2_contingency

    if min(len(train), len(other)) < FEWEST:
        return None
    ours, theirs = counted(train), counted(other)
    labels = sorted(ours | theirs, key=str)
    if len(labels) < 2:
        return None
    table = np.array([[counts[label] for label in labels] for counts in (ours, theirs)], dtype=float)
    shares = table / table.sum(axis=1, keepdims=True).clip(min=1)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if distance < SHIFTED or not chi2_contingency(table).pvalue < SURE:
        return None
    most = int((shares[1] - shares[0]).argmax())
    sentence = (
        f"the labels of {part} have other shares than those of training: {percent(shares[1, most])} of them are "
        f"{labels[most]!r}, there {percent(shares[0, most])}"
    )
    return Finding("label_drift", _severity(distance, FAR_SHIFTED), sentence, len(other), distance)


def vocabulary_drift(train: Texts, other: Texts, seed: int) -> Finding | None:
    """Whether a split uses other words, or another language, than training.

    Naive Bayes is asked, in cross-validation, which of the two a text comes from (a classifier two-sample test;
    Lopez-Paz and Oquab, ICLR 2017). It is asked of a text's mean word, so that length, which is told of elsewhere, is
    no help. The words that part the two best say what differs.
    """
    from scipy.stats import mannwhitneyu
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.preprocessing import normalize

    if min(len(train), len(other)) < FEWEST:
        return None
    generator = np.random.default_rng(seed)
    chosen = [(split, row) for split in (train, other) for row in _some(len(split), generator)]
    sides = np.array([split is other for split, _ in chosen])
    reader = CountVectorizer(analyzer=lambda texts: [w for text in texts for w in text], min_df=3)
    try:
        counts = reader.fit_transform([split.words[row] for split, row in chosen])
    except ValueError:  # no word stands in three texts
        return None
    said = np.zeros(len(chosen))
    shares = normalize(counts, norm="l1")
    for fitted, held_out in _folds(chosen, seed):
        ours, theirs = _frequencies(counts[fitted], sides[fitted])
        said[held_out] = shares[held_out] @ np.log(theirs / ours)
    test = mannwhitneyu(said[sides], said[~sides], alternative="greater")
    area = float(test.statistic) / int(sides.sum() * (~sides).sum())
    if area < TOLD_APART or not test.pvalue < SURE:
        return None
    ours, theirs = _frequencies(counts, sides)
    names = reader.get_feature_names_out()
    typical = [
        ", ".join(names[np.argsort(-a * np.log(a / b), kind="stable")[:_TELLING]])
        for a, b in ((theirs, ours), (ours, theirs))
    ]
    sentence = (
        f"the texts of {other.part} use other words than those of training: told apart with an area under the curve "
        f"of {area:.2f} (0.5 is chance); typical there: {typical[0]}; in training: {typical[1]}"
    )
    return Finding("vocabulary_drift", _severity(area, FAR_APART), sentence, len(other))


def unseen_words(train: Texts, other: Texts) -> float:
    """The share of a split's words, each counted as often as it stands there, that no training row has."""
    known = {word for row in train.words for text in row for word in text}
    found = [word in known for row in other.words for text in row for word in text]
    return found.count(False) / max(len(found), 1)


def _some(rows: int, generator: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(generator.permutation(rows)[:_MOST])


def _frequencies(counts: Any, sides: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How frequent each word is on the one side and on the other, each seen once more than it was."""
    ours, theirs = (np.asarray(counts[side].sum(axis=0)).ravel() + 1.0 for side in (~sides, sides))
    return ours / ours.sum(), theirs / theirs.sum()


def _folds(chosen: Sequence[tuple[Texts, int]], seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Folds with equal texts in the same one: else a text that repeats would be recognised, not told apart."""
    from sklearn.model_selection import StratifiedGroupKFold

    first: dict[Any, int] = {}
    groups = [first.setdefault(split.keys[row], i) for i, (split, row) in enumerate(chosen)]
    sides = [split.part for split, _ in chosen]
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(groups, sides, groups))


def _severity(effect: float, large: float) -> Severity:
    return Severity.WARNING if effect >= large else Severity.NOTE
