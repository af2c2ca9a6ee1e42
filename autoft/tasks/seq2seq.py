"""Models that read one text and write another: what summarization and translation have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autoft.tasks import texts
from autoft.tasks.base import IGNORED, Example, Meta, Scores, inputs
from autoft.tasks.loading import configured, fresh, load_model, note_fresh, tokenizer_of
from autoft.tasks.metrics_tokens import perplexity, tally

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig

_MOST = 128  # tokens that are written, at most


def longest(targets: Sequence[str]) -> int:
    """Tokens that are enough for 19 in 20 of the texts, by their words."""
    counts = sorted(len(text.split()) for text in targets)
    return min(_MOST, 2 * counts[int(0.95 * (len(counts) - 1))] + 8)


def build(path: str, config: TrialConfig) -> PreTrainedModel:
    """`AutoModelForSeq2SeqLM`; of an encoder alone, one that reads and one that writes.

    The encoder that writes looks back only, and its view of the other begins at random: it takes far more data than an
    encoder-decoder that was pretrained as one.
    """
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, EncoderDecoderModel

    if type(configured(path, config)) in AutoModelForSeq2SeqLM._model_mapping:
        model = load_model(AutoModelForSeq2SeqLM, path, config)
        model.config.use_cache = False
        return model
    parts = {
        "encoder": load_model(AutoModel, path, config),
        "decoder": load_model(
            AutoModelForCausalLM, path, config, is_decoder=True, add_cross_attention=True, use_cache=False
        ),
    }
    model = EncoderDecoderModel(**parts)
    note_fresh(model, (f"{name}.{key}" for name, part in parts.items() for key in fresh(part)))
    model.name_or_path = path
    tokenizer: Any = tokenizer_of(model)
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    for known in (model.config, model.generation_config):
        known.decoder_start_token_id, known.eos_token_id, known.pad_token_id = begin, end, tokenizer.pad_token_id
    return model


def encode(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int) -> list[Example]:
    """The tokens of the text, and those of what should be written, each cut at `max_length`."""
    examples = texts.encoded(rows, tokenizer, {**meta, "text_pair": None}, max_length)
    if meta["label"] not in rows:
        return examples
    targets = [str(text) for text in texts.column(rows, meta["label"])]
    ids = tokenizer(text_target=targets, truncation=True, max_length=max_length)["input_ids"]
    begin = {tokenizer.cls_token_id, tokenizer.bos_token_id} - {None}
    return [
        # The decoder is given the token that begins a text; it needn't write it.
        {**example, "target_ids": row[1:] if len(row) > 1 and row[0] in begin else row, "extra": {"reference": target}}
        for example, row, target in zip(examples, ids, targets, strict=True)
    ]


def loss(model: PreTrainedModel, batch: Mapping[str, torch.Tensor], config: TrialConfig) -> torch.Tensor:
    """Cross-entropy of what should be written, the mean over its tokens."""
    from autoft.tasks import losses

    logits = _told(model, batch)
    counted = batch["labels"] != IGNORED
    return losses.of_classes(logits[counted], batch["labels"][counted], config)


def scores(model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> list[dict[str, Any]]:
    """What the model writes, as `text`; and a tally of what it should have, where that is known."""
    tokenizer: Any = tokenizer_of(model)
    written: Any = model.generate(
        **inputs(batch), max_new_tokens=meta["longest"], do_sample=False, num_beams=1, use_cache=True
    )
    found = [{"text": text.strip()} for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
    if "labels" not in batch:
        return found
    logits = _told(model, batch)
    return [{**text, **known} for text, known in zip(found, tally(logits, batch["labels"]), strict=True)]


def _told(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The logits of each token that should be written, the ones before it being known."""
    given = model.prepare_decoder_input_ids_from_labels(labels=batch["labels"])
    logits: torch.Tensor = model(**inputs(batch), decoder_input_ids=given).logits
    return logits


def loss_of(scores: Scores) -> dict[str, float]:
    """`loss`, nats for a token, where a model gave it."""
    known = [row for row in scores if "nll" in row]
    return {"loss": perplexity(known)["loss"]} if known else {}
