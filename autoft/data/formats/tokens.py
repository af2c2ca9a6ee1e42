"""Words with their tags: CoNLL, NLTK's `word/TAG`, and spaCy's binary corpora.

Each sentence becomes a row: its words in the column `text`, their tags in `label`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autoft.data.reading import Unreadable, decoded


def conll(path: Path, encoding: str) -> dict[str, list[Any]]:
    """One word in a line, columns divided by tabs or spaces, the word first and its tag last.

    A blank line stands between sentences. Lines that mark a document, and comments of the form `# key = value`, are
    passed over.
    """
    sentences: list[tuple[list[str], list[str]]] = []
    words: list[str] = []
    tags: list[str] = []
    fields = 0
    for number, line in enumerate([*decoded(path, encoding).splitlines(), ""], start=1):
        if not line.strip() or line.startswith("-DOCSTART-") or (line.startswith("# ") and " = " in line):
            if words:
                sentences.append((words, tags))
                words, tags = [], []
            continue
        cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split())]
        fields = fields or len(cells)
        if len(cells) < 2:
            raise Unreadable(f"line {number} has a word and no tag: {line.strip()[:40]!r}")
        if len(cells) != fields:
            raise Unreadable(f"line {number} has {len(cells)} columns and the lines before it {fields}")
        words.append(cells[0])
        tags.append(cells[-1])
    return _columns(sentences)


def tagged(path: Path, encoding: str) -> dict[str, list[Any]]:
    """One sentence in a line, as in `the/DT film/NN`; of several slashes the last one counts."""
    sentences = []
    for number, line in enumerate(decoded(path, encoding).splitlines(), start=1):
        pairs = [item.rpartition("/") for item in line.split()]
        if wrong := next(
            (item for item, pair in zip(line.split(), pairs, strict=True) if not pair[0] or not pair[2]), ""
        ):
            raise Unreadable(f"line {number} has {wrong!r}, which is not word/TAG")
        if pairs:
            sentences.append(([word for word, _, _ in pairs], [tag for _, _, tag in pairs]))
    return _columns(sentences)


def spacy_docs(path: Path, encoding: str) -> dict[str, list[Any]]:
    """A corpus of spaCy: its documents' entities as BIO tags of their words."""
    try:
        from spacy.tokens import DocBin
        from spacy.vocab import Vocab
    except ImportError:
        raise Unreadable("is a corpus of spaCy, which is not installed; run: pip install 'autoft[spacy]'") from None
    try:
        docs: Iterator[Any] = DocBin().from_disk(path).get_docs(Vocab())
        sentences = [
            (
                [token.text for token in doc if not token.is_space],
                [
                    token.ent_iob_ if token.ent_iob_ in ("O", "") else f"{token.ent_iob_}-{token.ent_type_}"
                    for token in doc
                    if not token.is_space
                ],
            )
            for doc in docs
        ]
    except Exception as error:  # a damaged file fails anywhere between zlib, msgpack and spaCy
        raise Unreadable(f"is no corpus of spaCy, or a damaged one: {' '.join(str(error).split())[:200]}") from None
    return _columns([(words, [tag or "O" for tag in tags]) for words, tags in sentences if words])


def _columns(sentences: list[tuple[list[str], list[str]]]) -> dict[str, list[Any]]:
    return {"text": [words for words, _ in sentences], "label": [tags for _, tags in sentences]} if sentences else {}
