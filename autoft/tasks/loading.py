"""Loading a pretrained model safely, and the same way for every task."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig

# Every name that transformers' configs use for the dropout of the body; a head's own goes along.
_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "seq_classif_dropout",
    "classifier_dropout",
    "embedding_dropout",
    "mlp_dropout",
    "embd_pdrop",
    "attn_pdrop",
    "resid_pdrop",
    "dropout_rate",
)
_FRESH = "_autoft_fresh"


@lru_cache(maxsize=8)
def _tokenizer(path: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    return found


def tokenizer_of(model: PreTrainedModel) -> PreTrainedTokenizerBase:
    """The tokenizer in the folder that the model was loaded from."""
    return _tokenizer(model.name_or_path)


def configured(path: str, config: TrialConfig, **overrides: Any) -> PretrainedConfig:
    """The config of the model in the folder `path`, with `config`'s dropout and some entries of its own."""
    from transformers import AutoConfig

    model_config: PretrainedConfig = AutoConfig.from_pretrained(path, trust_remote_code=False, **overrides)
    if config.dropout is not None:
        parts = (getattr(model_config, name, None) for name in ("encoder", "decoder"))
        for part in (model_config, *(part for part in parts if part is not None)):
            for name in _DROPOUTS:
                if isinstance(getattr(part, name, None), int | float):
                    setattr(part, name, config.dropout)
    return model_config


def load_model(auto_class: Any, path: str, config: TrialConfig, **overrides: Any) -> PreTrainedModel:
    """The model in the folder `path`, in fp32, with `config`'s dropout.

    The weights of a fresh head are drawn from `config.seed`. No code of the checkpoint is run, and only
    safetensors are read.

    Args:
        auto_class: Which of transformers' `AutoModelFor…` to use.
        path: Folder of the pretrained model.
        config: Gives the seed and the dropout.
        overrides: Entries of the model's config.
    """
    import torch
    from transformers import set_seed

    model_config = configured(path, config, **overrides)
    set_seed(config.seed)
    model, info = auto_class.from_pretrained(
        path,
        config=model_config,
        dtype=torch.float32,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    note_fresh(model, (*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])))
    loaded: PreTrainedModel = model
    return loaded


def note_fresh(model: PreTrainedModel, names: Iterable[str]) -> None:
    """Notes the names of the parameters that no checkpoint has had, for `fresh`."""
    setattr(model, _FRESH, frozenset(names))


def fresh(model: PreTrainedModel) -> frozenset[str]:
    """Names of the parameters that the checkpoint lacks; of a model that `load_model` didn't load, those of its head.

    That a head is all that lies beside the model's body holds for a classifier, not for a language model.
    """
    known = getattr(model, _FRESH, None)
    if known is not None:
        return frozenset(known)
    body = {id(parameter) for parameter in model.base_model.parameters()}
    return frozenset(name for name, parameter in model.named_parameters() if id(parameter) not in body)
