"""Extractive question answering: the words of a text that answer a question, or that it has no answer there.

The data are SQuAD's JSON, or a table with a column of texts, one of questions (`data.text_pair`, by default `question`)
and one of answers: a text, a list of `{"text": …, "start": …}`, or the two lists `text` and `answer_start` that
`datasets` has. A place may be left out; it is then the first one where the answer stands. No answer is an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft.data.formats.squad import squad
from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import texts, words
from autoft.tasks.base import Column, Example, Kind, Meta, Task, inputs
from autoft.tasks.metrics import log_softmax
from autoft.tasks.metrics_answers import answers as squad_scores

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores

_LONGEST = 30  # tokens of an answer


class QuestionAnswering(Task):
    """The place of an answer in a text."""

    name = "question-answering"
    summary = "the words of a text that answer a question, or that none do"
    example = "autoft search --task question-answering --data squad.json"
    metrics: Mapping[str, Direction] = MappingProxyType(
        dict.fromkeys(("f1", "exact_match"), Direction.MAXIMIZE) | {"loss": Direction.MINIMIZE}
    )
    formats = MappingProxyType({".json": squad})
    head = "AutoModelForQuestionAnswering"
    windows = True
    knobs = ("loss", "focal_gamma")
    losses = ("cross-entropy", "focal")

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """The text, the question, the answers."""
        return (Column(data.text), Column(_question(data)), Column(data.label, Kind.ANY))

    def fault(self, row: Mapping[str, Any], data: DataSpec) -> str:
        """An answer that doesn't stand in the text."""
        try:
            _answers(row[data.label], row[data.text])
        except (TypeError, KeyError):
            return "has answers that are neither texts nor mappings with text and start"
        except ValueError as error:
            return str(error)
        return ""

    def learn(self, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
        """The column of the questions."""
        return {"text_pair": _question(data)}

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """`AutoModelForQuestionAnswering`: for each token, how likely an answer begins and ends there."""
        from transformers import AutoModelForQuestionAnswering

        from autoft.tasks.loading import load_model

        return load_model(AutoModelForQuestionAnswering, path, config)

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """The question with each window of the text; the first and the last token of the answer.

        Where a window doesn't hold the answer, both are its first token, which stands for "no answer".
        """
        known = texts.column(rows, meta["label"]) if meta["label"] in rows else [None] * len(rows)
        pairs = zip(texts.column(rows, meta["text"]), texts.column(rows, meta["text_pair"]), known, strict=True)
        examples: list[Example] = []
        for row, (text, question, label) in enumerate(pairs):
            right = [] if label is None else _answers(label, text)
            extra: dict[str, Any] = {"text": text, "answers": tuple(answer for answer, _ in right)}
            short = words.cut(tokenizer, str(question), max_length // 2)
            for tokens, places in words.windows(tokenizer, str(text), max_length, first=short):
                example = {**tokens, "row": row, "extra": {**extra, "places": places}}
                if label is not None:
                    example["labels"] = _inside(places, *right[0]) if right else [0, 0]
                examples.append(example)
        return examples

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy, or the focal loss, of the beginning and of the end, their mean."""
        from autoft.tasks import losses

        output, mask = model(**inputs(batch)), batch["attention_mask"]
        # The padding may stand before the text.
        wanted = batch["labels"] + (mask.cumsum(dim=1) == 0).sum(dim=1, keepdim=True)
        begin, end = (
            logits.float().masked_fill(mask == 0, -1e4) for logits in (output.start_logits, output.end_logits)
        )
        return (losses.of_classes(begin, wanted[:, 0], config) + losses.of_classes(end, wanted[:, 1], config)) / 2

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """Logits of each example, shape (tokens, 2): that the answer begins there, and that it ends there."""
        output = model(**inputs(batch))
        real = batch["attention_mask"].bool().cpu().numpy()
        logits = np.stack([output.start_logits.float().cpu(), output.end_logits.float().cpu()], axis=-1)
        return [row[mask] for row, mask in zip(logits, real, strict=True)]

    def merge(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> Scores:
        """The best answer of all windows of a row, unless each of them would rather have none.

        Returns:
            For each row a mapping: `text`, `start`, `end`, `score`, and `nll` where the answer is known.
        """
        found: list[dict[str, Any]] = []
        for logits, example in zip(scores, examples, strict=True):
            window = _best(logits, example)
            if example["row"] == len(found):
                found.append({"best": -np.inf, "none": np.inf, "nll": []})
            row = found[-1]
            row["none"] = min(row["none"], float(logits[0].sum()))
            row["nll"].append(window.pop("nll"))
            if window["best"] > row["best"]:
                row |= window
        nothing = {"text": "", "start": 0, "end": 0}
        return [
            {
                **({key: row[key] for key in nothing} if row["best"] > row["none"] else nothing),
                "score": float(1 / (1 + np.exp(-np.clip(abs(row["best"] - row["none"]), 0, 50)))),
                "nll": float(np.mean(row["nll"])),
            }
            for row in found
        ]

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics_answers`; `loss` is the mean over the questions, where a model gave it."""
        found = squad_scores([row["text"] for row in scores], [example["extra"]["answers"] for example in examples])
        known = [row["nll"] for row in scores if "nll" in row]
        return found | ({"loss": float(np.mean(known))} if known else {})

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """The answer, empty for none, its place in characters of the text, and how it compares with no answer."""
        return [{"answer": row["text"], **{key: row[key] for key in ("start", "end", "score")}} for row in scores]

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """Always the whole text, and never an answer."""
        return {
            "whole_text": [{"text": example["extra"]["text"]} for example in examples],
            "no_answer": [{"text": ""}] * len(examples),
        }


def _question(data: DataSpec) -> str:
    return data.text_pair or "question"


def _answers(cell: Any, text: str) -> list[tuple[str, int]]:
    """What is right, each with its first character.

    Raises:
        ValueError: One of them doesn't stand in the text.
    """
    if isinstance(cell, str):
        given: list[Any] = [{"text": cell}]
    elif isinstance(cell, Mapping):
        starts = cell.get("answer_start", cell.get("start"))
        given = [
            {"text": t, "start": s} for t, s in zip(cell["text"], starts or [None] * len(cell["text"]), strict=True)
        ]
    else:
        given = [{"text": one} if isinstance(one, str) else one for one in cell]
    found = []
    for one in given:
        answer, start = one["text"], one.get("start", one.get("answer_start"))
        at = text.find(answer) if start is None else int(start)
        if not answer or at < 0 or text[at : at + len(answer)] != answer:
            raise ValueError(f"has the answer {answer[:40]!r}, which doesn't stand in the text where it should")
        found.append((answer, at))
    return found


def _inside(places: Sequence[words.Place | None], answer: str, start: int) -> list[int]:
    """First and last token of an answer; 0 and 0 where the window lacks a part of it."""
    end = start + len(answer)
    inside = [i for i, place in enumerate(places) if place and place[1] > start and place[0] < end]
    whole = inside and places[inside[0]][0] <= start and places[inside[-1]][1] >= end  # type: ignore[index]
    return [inside[0], inside[-1]] if whole else [0, 0]


def _best(logits: Any, example: Example) -> dict[str, Any]:
    """The likeliest answer in a window, its text and place, and how unlikely the right one was."""
    places = example["extra"]["places"]
    able = np.array([place is not None for place in places])
    sums = np.where(able[:, None] & able, logits[:, :1] + logits[:, 1], -np.inf)
    length = np.arange(len(logits)) - np.arange(len(logits))[:, None]
    sums[(length < 0) | (length >= _LONGEST)] = -np.inf
    first, last = np.unravel_index(sums.argmax(), sums.shape)
    found: dict[str, Any] = {"best": float(sums[first, last]), "nll": 0.0}
    if np.isfinite(found["best"]):
        start, end = places[first][0], places[last][1]
        text = example["extra"]["text"][start:end]
        start, end = start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip())
        found |= {"text": text.strip(), "start": start, "end": end}
    if "labels" in example:
        chances = log_softmax(logits.T)
        found["nll"] = float(-(chances[0, example["labels"][0]] + chances[1, example["labels"][1]]) / 2)
    return found
