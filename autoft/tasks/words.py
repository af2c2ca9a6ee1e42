"""Words and their places in a text: what the tasks on spans have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORD = re.compile(r"\w+|[^\w\s]")

Place = tuple[int, int]
"""First character, and the one behind the last."""


def split(text: str) -> list[Place]:
    """Where the words of a text stand: runs of letters and digits, and every other sign by itself."""
    return [match.span() for match in _WORD.finditer(text)]


def joined(words: Sequence[str]) -> tuple[str, list[Place]]:
    """Words as one text with spaces between them, and where each stands."""
    places, at = [], 0
    for word in words:
        places.append((at, at + len(word)))
        at += len(word) + 1
    return " ".join(words), places


def windows(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    max_length: int,
    first: str | None = None,
    overlap: float = 0.25,
) -> list[tuple[dict[str, list[int]], list[Place | None]]]:
    """A text as tokens, cut into windows where it is too long for one.

    Args:
        tokenizer: A fast one, which knows where its tokens stand.
        text: The text.
        max_length: Most tokens of a window.
        first: A text that stands before it in every window, a question say.
        overlap: Share of a window that the one before it holds, too.

    Returns:
        For each window the model's inputs, and the place in `text` of each token; None for one that isn't of it.
    """
    options: dict[str, Any] = {
        "truncation": True if first is None else "only_second",
        "max_length": max_length,
        "return_overflowing_tokens": True,
        "return_offsets_mapping": True,
    }
    head = 0 if first is None else len(tokenizer(first, add_special_tokens=False)["input_ids"])
    room = max_length - head - tokenizer.num_special_tokens_to_add(pair=first is not None)
    stride = max(0, int(room * overlap))
    encoding: Any = tokenizer(*([text] if first is None else [first, text]), stride=stride, **options)
    found = []
    for i, offsets in enumerate(encoding["offset_mapping"]):
        own = 0 if first is None else 1
        inside = [
            sequence == own and end > start
            for sequence, (start, end) in zip(encoding.sequence_ids(i), offsets, strict=True)
        ]
        inputs = {
            key: list(values[i])
            for key, values in encoding.items()
            if key not in ("offset_mapping", "overflow_to_sample_mapping")
        }
        found.append((inputs, [tuple(place) if here else None for place, here in zip(offsets, inside, strict=True)]))
    return found


def firsts(tokens: Sequence[Place | None], words: Sequence[Place]) -> list[int | None]:
    """For each token the word that it begins, None for a token within a word or outside of all.

    A token may bring along the space before it, so that its last character tells the word.
    """
    owner = {character: i for i, (start, end) in enumerate(words) for character in range(start, end)}
    found: list[int | None] = []
    for place in tokens:
        word = None if place is None else owner.get(place[1] - 1)
        found.append(word if word is not None and place is not None and place[0] <= words[word][0] else None)
    return found


def cut(tokenizer: PreTrainedTokenizerBase, text: str, tokens: int) -> str:
    """The text, or as much of it as makes so many tokens."""
    encoding: Any = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    places = encoding["offset_mapping"]
    return text if len(places) <= tokens else text[: places[tokens - 1][1]]
