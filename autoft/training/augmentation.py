"""Other wordings of training texts, drawn anew for every trial, epoch and row.

Easy data augmentation (Wei and Zou 2019): a word is left out, changes places with the next, gives way to a
synonym, or is masked. What a row becomes depends on seed, epoch and row alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autoft.errors import InputError, SpecError

if TYPE_CHECKING:
    import pandas as pd

    from autoft.records import TrialConfig
    from autoft.tasks.base import Meta

Synonyms = Callable[[str], Sequence[str]]

_CORE = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)  # a word within its punctuation
_WITHOUT = (
    "augmentation: synonym needs a word list (`data.synonyms: FILE`, one line for each word: the word, then its "
    "synonyms, with commas between), or NLTK with its WordNet data"
)


def text_columns(meta: Meta) -> list[str]:
    """The columns whose texts may be worded otherwise."""
    return [str(meta[key]) for key in ("text", "text_pair") if meta.get(key)]


def augmented(
    rows: pd.DataFrame, columns: Sequence[str], config: TrialConfig, *, epoch: int, mask: str, synonyms: str
) -> pd.DataFrame:
    """The rows with their texts in other words.

    Args:
        rows: Training rows; are not changed.
        columns: Columns of texts.
        config: Gives the kind of augmentation, its rate and the seed.
        epoch: Number of the epoch, from 0.
        mask: The tokenizer's mask token; only `mask` needs it.
        synonyms: A word list; empty: WordNet. Only `synonym` needs it.

    Raises:
        InputError: There is no mask token or no synonyms.
    """
    how, rate = config.augmentation, config.augmentation_rate
    if how == "mask" and not mask:
        raise InputError(f"augmentation: mask needs a mask token, which the tokenizer of {config.model} hasn't got")
    known = load_synonyms(synonyms) if how == "synonym" else None
    worded = rows.copy()
    for place, column in enumerate(columns):
        worded[column] = [
            reworded(
                str(text),
                how,
                rate,
                np.random.default_rng([config.seed, epoch, row, 1 + place]),
                mask=mask,
                synonyms=known,
            )
            for row, text in enumerate(rows[column])
        ]
    return worded


def reworded(
    text: str,
    how: str,
    rate: float,
    generator: np.random.Generator,
    *,
    mask: str = "",
    synonyms: Synonyms | None = None,
) -> str:
    """A text in which each word is changed with probability `rate`; a text of white space stays.

    Args:
        text: Any text.
        how: `delete` (one word always stays), `swap` (with the next word), `mask` or `synonym`.
        rate: In [0, 1].
        generator: Gives the chances.
        mask: What stands for a masked word.
        synonyms: Gives those of a word in lower case.
    """
    words = text.split()
    if not words:
        return text
    hit = generator.random(len(words)) < rate
    match how:
        case "delete":
            left = [word for word, gone in zip(words, hit, strict=True) if not gone]
            words = left or [words[int(generator.integers(len(words)))]]
        case "swap":
            for i in np.flatnonzero(hit[:-1]):
                words[i], words[i + 1] = words[i + 1], words[i]
        case "mask":
            words = [mask if masked else word for word, masked in zip(words, hit, strict=True)]
        case "synonym":
            if synonyms is None:
                raise ValueError("no synonyms were given")
            words = [
                _synonym(word, synonyms, generator) if chosen else word for word, chosen in zip(words, hit, strict=True)
            ]
        case _:
            raise ValueError(f"there is no augmentation {how!r}")
    return " ".join(words)


def load_synonyms(path: str) -> Synonyms:
    """Synonyms from the word list in the file `path`, or of WordNet where it is empty.

    Raises:
        InputError: The file can't be read, a line of it makes no sense, or WordNet isn't there.
    """
    return _listed(path, Path(path).stat().st_mtime_ns if Path(path).is_file() else 0) if path else _wordnet()


@lru_cache(maxsize=4)
def _listed(path: str, _stamp: int) -> Synonyms:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise SpecError(f"data.synonyms: there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"data.synonyms: {path} can't be read: {error}") from None
    known: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        word, *others = (part.strip() for part in re.split(r"[,\t]", line))
        others = [other for other in others if other]
        if not word or not others:
            raise SpecError(
                f"data.synonyms: {path}, line {number}: {line.strip()!r} has no synonym; "
                f"write a word and its synonyms with commas between them"
            )
        known[word.lower()] = (*known.get(word.lower(), ()), *others)
    if not known:
        raise SpecError(f"data.synonyms: {path} holds no word; write a word and its synonyms on each line")
    return lambda word: known.get(word, ())


@lru_cache(maxsize=1)
def _wordnet() -> Synonyms:
    try:
        from nltk.corpus import wordnet

        wordnet.ensure_loaded()
    except (ImportError, LookupError):
        raise InputError(_WITHOUT) from None

    @lru_cache(maxsize=100_000)
    def synonyms(word: str) -> Sequence[str]:
        names = (lemma.name().replace("_", " ") for synset in wordnet.synsets(word) for lemma in synset.lemmas())
        return tuple(dict.fromkeys(name for name in names if name.lower() != word))

    return synonyms


def _synonym(word: str, synonyms: Synonyms, generator: np.random.Generator) -> str:
    before, core, after = _CORE.match(word).groups()  # type: ignore[union-attr]  # it matches any text
    found = synonyms(core.lower())
    if not core or not found:
        return word
    chosen = found[int(generator.integers(len(found)))]
    return f"{before}{chosen[:1].upper() + chosen[1:] if core[:1].isupper() else chosen}{after}"
