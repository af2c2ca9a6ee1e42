"""Token classification: a tag for each word of a text, such as the entities in it.

The data are CoNLL files (`.conll`, `.bio`, `.iob`), NLTK's `word/TAG` lines (`.pos`, `.tagged`), corpora of spaCy
(`.spacy`), or a table whose rows hold either words and their tags (two lists, or two texts with spaces between), or a
text and its spans: `[{"start": 0, "end": 5, "label": "NAME"}, …]`, in characters.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.data.formats.tokens import conll, spacy_docs, tagged
from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import texts, words
from autoft.tasks.base import IGNORED, Column, Example, Kind, Meta, Splits, Task, inputs
from autoft.tasks.metrics import log_softmax
from autoft.tasks.metrics_spans import OUTSIDE, prefixed, span_f1, spans

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores


class TokenClassification(Task):
    """One tag for each word."""

    name = "token-classification"
    summary = "a tag for each word of a text, such as names, places, parts of an address"
    example = "autoft search --task token-classification --data train.conll"
    metrics: Mapping[str, Direction] = MappingProxyType(
        dict.fromkeys(("f1", "precision", "recall", "macro_f1", "token_accuracy"), Direction.MAXIMIZE)
        | {"loss": Direction.MINIMIZE}
    )
    pipeline = "token-classification"
    head = "AutoModelForTokenClassification"
    formats = MappingProxyType(
        dict.fromkeys((".conll", ".bio", ".iob"), conll)
        | dict.fromkeys((".pos", ".tagged"), tagged)
        | {".spacy": spacy_docs}
    )
    windows = True
    knobs = ("loss", "focal_gamma", "label_smoothing")
    losses = ("cross-entropy", "weighted", "focal")

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """The words or the text, and the tags or the spans."""
        return (Column(data.text, Kind.ANY), Column(data.label, Kind.ANY))

    def fault(self, row: Mapping[str, Any], data: DataSpec) -> str:
        """Words and tags that differ in number, and spans that are none of the text."""
        try:
            _, places, tags = _read(row[data.text], row[data.label])
        except (ValueError, TypeError, KeyError) as error:
            return str(error.args[0]) if isinstance(error, ValueError) else "has a span without start, end and label"
        if not places:
            return "has no words"
        return "" if len(places) == len(tags) else "has another number of tags than of words"

    def problems(self, splits: Splits, data: DataSpec) -> list[str]:
        """Tags that training never sees."""
        known = set(_tags(splits.train, data.text, data.label))
        if len(known) < 2:
            return [f"data.label: column {data.label!r} holds one tag only ({known.pop()!r}); at least two are needed"]
        found = []
        for part, rows in (("validation", splits.validation), ("test", splits.test)):
            if unseen := sorted(set(_tags(rows, data.text, data.label)) - known):
                found.append(
                    f"data.{part}: tag {', '.join(map(repr, unseen[:5]))} never occurs in training; "
                    f"add training rows with it or take it out of {part}"
                )
        return found

    def learn(self, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
        """The tags and how often each occurs, the commonest, and whether they say where in its span a word stands."""
        seen = Counter(_tags(train, data.text, data.label))
        return {
            "labels": sorted(seen),
            "counts": [seen[tag] for tag in sorted(seen)],
            "commonest": seen.most_common(1)[0][0],
            "prefixes": prefixed(seen),
        }

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """`AutoModelForTokenClassification` with as many outputs as there are tags."""
        from transformers import AutoModelForTokenClassification

        from autoft.tasks.loading import load_model

        return load_model(AutoModelForTokenClassification, path, config, **texts.named(meta["labels"]))

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """The windows of each row; the first token of a word has its tag, and the others don't count."""
        index = {tag: i for i, tag in enumerate(meta["labels"])}
        labels = texts.column(rows, meta["label"]) if meta["label"] in rows else [None] * len(rows)
        examples: list[Example] = []
        for row, (cell, label) in enumerate(zip(texts.column(rows, meta["text"]), labels, strict=True)):
            text, places, tags = _read(cell, label)
            extra: dict[str, Any] = {"text": text, "places": places, "plain": isinstance(cell, str)}
            if label is not None:
                extra["tags"] = tuple(tags)
            for tokens, offsets in words.windows(tokenizer, text, max_length):
                first = words.firsts(offsets, places)
                example = {**tokens, "row": row, "extra": {**extra, "first": first}}
                if label is not None:
                    example["labels"] = [IGNORED if word is None else index[tags[word]] for word in first]
                examples.append(example)
        return examples

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy, or one of its kin, the mean over the words."""
        from autoft.tasks import losses

        return losses.of_classes(model(**inputs(batch)).logits, batch["labels"], config, meta.get("counts"))

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """Logits of each example, shape (tokens, tags)."""
        logits = model(**inputs(batch)).logits.float().cpu().numpy()
        real = batch["attention_mask"].bool().cpu().numpy()
        return [row[mask] for row, mask in zip(logits, real, strict=True)]

    def merge(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> Scores:
        """Logits of each row, shape (words, tags): of several windows the one in which a word has most around it."""
        found: list[Any] = []
        room: list[int] = []
        for logits, example in zip(scores, examples, strict=True):
            extra = example["extra"]
            if example["row"] == len(found):
                # A word that no token stands for gets the commonest tag.
                found.append(
                    np.tile(
                        np.eye(len(meta["labels"]))[meta["labels"].index(meta["commonest"])], (len(extra["places"]), 1)
                    )
                )
                room = [-1] * len(extra["places"])
            for i, word in enumerate(extra["first"]):
                around = min(i, len(logits) - 1 - i)
                if word is not None and around > room[word]:
                    room[word], found[-1][word] = around, logits[i]
        return found

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics_spans`; `token_accuracy` and `loss` are means over the words."""
        wanted = [example["extra"]["tags"] for example in examples]
        index = {tag: i for i, tag in enumerate(meta["labels"])}
        logits = np.concatenate(list(scores))
        targets = np.array([index[tag] for tags in wanted for tag in tags])
        found = span_f1([_likeliest(row, meta) for row in scores], wanted, prefixes=meta["prefixes"])
        return found | {
            "token_accuracy": float((logits.argmax(axis=1) == targets).mean()),
            "loss": float(-log_softmax(logits)[np.arange(len(targets)), targets].mean()),
        }

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """The spans, their places in characters of the text or, where words were given, in words; and all tags."""
        found = []
        for logits, example in zip(scores, examples, strict=True):
            extra, tags = example["extra"], _likeliest(logits, meta)
            chances = np.exp(log_softmax(logits)).max(axis=1)
            entities = []
            for label, start, end in spans(tags, prefixes=meta["prefixes"]):
                first, last = extra["places"][start][0], extra["places"][end - 1][1]
                place = (first, last) if extra["plain"] else (start, end)
                text = extra["text"][first:last]
                score = float(chances[start:end].mean())
                entities.append({"label": label, "text": text, "start": place[0], "end": place[1], "score": score})
            found.append({"entities": entities, "tags": list(tags)})
        return found

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """Always the commonest tag; and for each word the tag that it most often had in training."""
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for cell, label in zip(texts.column(train, meta["text"]), texts.column(train, meta["label"]), strict=True):
            text, places, tags = _read(cell, label)
            for (start, end), tag in zip(places, tags, strict=True):
                seen[text[start:end].lower()][tag] += 1
        every = np.eye(len(meta["labels"])) * 9.0  # as sure of it as a probability of nearly 1 is
        index = {tag: i for i, tag in enumerate(meta["labels"])}
        common, lexicon = [], []
        for example in examples:
            text, places = example["extra"]["text"], example["extra"]["places"]
            common.append(every[[index[meta["commonest"]]] * len(places)])
            met = [seen.get(text[start:end].lower()) for start, end in places]
            tags = [counted.most_common(1)[0][0] if counted else meta["commonest"] for counted in met]
            lexicon.append(every[[index[tag] for tag in tags]])
        return {"majority": common, "lexicon": lexicon}


def _likeliest(logits: Any, meta: Meta) -> tuple[str, ...]:
    return tuple(meta["labels"][i] for i in np.asarray(logits).argmax(axis=1))


def _tags(rows: pd.DataFrame, text: str, label: str) -> list[str]:
    pairs = zip(texts.column(rows, text), texts.column(rows, label), strict=True)
    return [tag for cell, tags in pairs for tag in _read(cell, tags)[2]]


def _read(cell: Any, label: Any) -> tuple[str, list[words.Place], list[str]]:
    """The text of a row, where its words stand in it, and their tags (none where there is no label).

    Raises:
        ValueError: The cells hold something else, or spans that don't begin and end with a word.
    """
    tags = label.split() if isinstance(label, str) else list(label or ())
    if isinstance(cell, list) or isinstance(label, str):
        given = [str(word) for word in cell] if isinstance(cell, list) else str(cell).split()
        text, places = words.joined(given)
        return text, places, [str(tag) for tag in tags]
    text, places = str(cell), words.split(str(cell))
    if label is None:
        return text, places, []
    return text, places, _from_spans(places, tags)


def _from_spans(places: list[words.Place], given: list[Any]) -> list[str]:
    tags = [OUTSIDE] * len(places)
    starts, ends = {start: i for i, (start, _) in enumerate(places)}, {end: i for i, (_, end) in enumerate(places)}
    for span in given:
        if not isinstance(span, Mapping):
            raise ValueError("has tags for a text that isn't divided into words; give lists of words, or spans")
        if span["start"] not in starts or span["end"] not in ends:
            raise ValueError("has a span that doesn't begin and end with a word")
        first, last = starts[span["start"]], ends[span["end"]]
        if any(tag != OUTSIDE for tag in tags[first : last + 1]):
            raise ValueError("has spans that overlap")
        tags[first : last + 1] = [f"B-{span['label']}", *[f"I-{span['label']}"] * (last - first)]
    return tags
