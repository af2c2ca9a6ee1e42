"""How a classifier makes one vector of a text's tokens: whatever the architecture's own config can say.

A saved model has to open with `transformers` alone. So a pooling is offered only where an entry of the model's
config selects it, and the config is what is saved: ModernBERT and its kin name it `classifier_pooling`, XLNet, XLM
and FlauBERT `summary_type`. All others (BERT, RoBERTa, GPT-2, …) have one that is built in, and would need code of
ours to be opened with another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoft.records import TrialConfig

# By type of model: the entry, and its values by ours. GPT-2 and ELECTRA have a `summary_type` that their
# classifiers never read, so an entry alone says nothing.
_CLS = {"first": "cls", "mean": "mean"}
_SUMMARY = {"first": "first", "last": "last", "mean": "mean"}
_ENTRIES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "modernbert": ("classifier_pooling", _CLS),
    "eurobert": ("classifier_pooling", {"first": "bos", "mean": "mean"}),
    "xlnet": ("summary_type", _SUMMARY),
    "xlm": ("summary_type", _SUMMARY),
    "flaubert": ("summary_type", _SUMMARY),
}


def choices(config: Any) -> tuple[str, ...]:
    """The poolings that a model's config can select, beside its own."""
    return tuple(_ENTRIES.get(config.model_type, ("", {}))[1])


def override(path: str, config: TrialConfig) -> dict[str, str]:
    """The entry of the model's config that gives the pooling that a configuration asks for.

    Args:
        path: Folder of the model.
        config: Of the trial.

    Raises:
        ValueError: The model has no such pooling.
    """
    from transformers import AutoConfig

    if config.pooling is None:
        return {}
    kind = AutoConfig.from_pretrained(path, trust_remote_code=False).model_type
    entry, values = _ENTRIES.get(kind, ("", {}))
    if config.pooling not in values:
        raise ValueError(f"the config of a {kind} model can't select pooling {config.pooling!r}")
    return {entry: values[config.pooling]}
