"""Dialogue: a reply to what was said before, by a decoder that learns the replies only.

The data are conversations (`.jsonl`, one in a line: a list of turns, the last of which is the reply), or a table with a
column of what was said, a text or a list of turns, and a column of replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autoft.data.formats.plain import turns
from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.tasks import causal, texts
from autoft.tasks.base import Column, Example, Kind, Meta, Task
from autoft.tasks.loading import tokenizer_of
from autoft.tasks.metrics_tokens import perplexity, unigram

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores

_NEW = 64  # tokens of a reply, at most


class Dialogue(Task):
    """The next turn of a conversation."""

    name = "dialogue"
    summary = "a reply to the turns before it, by a decoder"
    example = "autoft search --task dialogue --data conversations.jsonl"
    metrics: Mapping[str, Direction] = MappingProxyType(
        {"perplexity": Direction.MINIMIZE, "token_accuracy": Direction.MAXIMIZE, "loss": Direction.MINIMIZE}
    )
    evaluated_at_once = 8  # of a score for every word of the vocabulary
    pipeline = "text-generation"
    models = ("asset:bert-tiny",)
    formats = MappingProxyType(dict.fromkeys((".jsonl", ".ndjson"), turns))
    head = "AutoModelForCausalLM"
    knobs = ("label_smoothing",)

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """The turns before the reply, and the reply."""
        return (Column(data.text, Kind.ANY), Column(data.label))

    def fault(self, row: Mapping[str, Any], data: DataSpec) -> str:
        """Turns that are no texts."""
        try:
            _turns(row[data.text])
        except (TypeError, KeyError):
            return "has a turn that is neither a text nor a mapping with role and content"
        return ""

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """See `causal.build`."""
        return causal.build(path, config)

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """The turns, of which the oldest are cut off where they are too long, and the reply."""
        said = [_tokens(tokenizer, _turns(cell)) for cell in texts.column(rows, meta["text"])]
        if meta["label"] not in rows:
            room = max(1, max_length - _NEW)
            return [{"input_ids": ids[-room:], "attention_mask": [1] * len(ids[-room:])} for ids in said]
        examples = []
        for before, text in zip(said, texts.column(rows, meta["label"]), strict=True):
            reply = [*tokenizer(str(text), add_special_tokens=False)["input_ids"], *causal.ending(tokenizer)]
            reply = reply[: max(1, max_length - min(len(before), max_length // 2))]
            room = max(1, max_length - len(reply))
            example = causal.example([*before[-room:], *reply], len(before[-room:]))
            examples.append({**example, "extra": {"ids": reply}})
        return examples

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Cross-entropy, the mean over the tokens of the replies."""
        return causal.loss(model, batch, config)

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """A tally of each known reply; where none is known, the likeliest one as `text`."""
        if "labels" in batch:
            return causal.scores(model, batch)
        tokenizer: Any = tokenizer_of(model)
        found = []
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"].bool(), strict=True):
            prompt = ids[mask].unsqueeze(0)  # one by one: the padding may stand where the reply has to begin
            made: Any = model.generate(
                prompt,
                attention_mask=prompt.new_ones(prompt.shape),
                max_new_tokens=_NEW,
                do_sample=False,
                eos_token_id=causal.ending(tokenizer) or None,
                pad_token_id=model.config.pad_token_id,
            )
            found.append({"text": tokenizer.decode(made[0, prompt.shape[1] :], skip_special_tokens=True).strip()})
        return found

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """See `autoft.tasks.metrics_tokens`."""
        return perplexity(scores)

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """The reply; or, where one is known, how well the model foretells it."""
        return [{"generated_text": row["text"]} if "text" in row else perplexity([row]) for row in scores]

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """Each token as often as it occurs in the replies of the training rows."""
        return {"unigram": unigram(*([one["extra"]["ids"] for one in some] for some in (known, examples)))}


def _turns(cell: Any) -> list[dict[str, str]]:
    """The turns with their roles; where none are given, both sides take turns and the model's is the last."""
    given = [cell] if isinstance(cell, str) else list(cell)
    roles = ("user", "assistant")
    return [
        {"role": roles[(len(given) - 1 - i) % 2], "content": turn}
        if isinstance(turn, str)
        else {"role": str(turn["role"]), "content": str(turn["content"])}
        for i, turn in enumerate(given)
    ]


def _tokens(tokenizer: PreTrainedTokenizerBase, said: list[dict[str, str]]) -> list[int]:
    """The turns as the model's own template has them, or else each with the token that ends a text."""
    known: Any = tokenizer
    if known.chat_template:
        ids: list[int] = known.apply_chat_template(said, add_generation_prompt=True, return_dict=True)["input_ids"]
        return ids
    first, *others = (turn["content"] for turn in said)
    ids = causal.framed(tokenizer, first)
    for text in others:
        ids += [*known(text, add_special_tokens=False)["input_ids"], *causal.ending(tokenizer)]
    return ids
