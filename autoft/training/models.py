"""Finding a pretrained model, and saying in one line why it can't be used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft import words
from autoft.errors import ModelError
from autoft.tasks import pooling
from autoft.training.locating import one_line, resolve, within_reach

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["ModelInfo", "glance", "inspect", "load_tokenizer", "quiet", "resolve", "short_name", "usable_length"]

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
)


@dataclass(frozen=True)
class ModelInfo:
    """A pretrained model that can be fine-tuned.

    Attributes:
        ref: As the user wrote it.
        name: Short name for people.
        path: Its folder on this machine.
        blocks: Number of blocks that can be frozen one by one.
        size: Bytes of weights.
    """

    ref: str
    name: str
    path: str
    blocks: int
    size: int


def short_name(ref: str) -> str:
    """The part of a reference that people call the model by; `.` is the folder that one is in."""
    folder = Path(ref).expanduser()
    return words.short_name(str(folder.resolve()) if folder.is_dir() else ref)


def glance(ref: str, head: str = "") -> None:
    """Looks for problems with a model without fetching it; arguments as of `inspect`.

    Raises:
        ModelError: One line that says what is wrong.
    """
    if within_reach(ref):
        inspect(ref, head)


def inspect(ref: str, head: str = "") -> ModelInfo:
    """Finds a model and checks that it can be fine-tuned safely, without loading its weights.

    Args:
        ref: A folder, `asset:NAME`, or the id of a model on the hub.
        head: The class of transformers that its kind has to be known to; see `autoft.tasks.Task`.

    Raises:
        ModelError: It can't be found, or lacks something, or would run code of its own.
    """
    import transformers
    from transformers import AutoConfig

    quiet()
    folder = resolve(ref)
    if not (folder / "config.json").is_file():
        raise ModelError(f"model {ref}: {folder} has no config.json; give the folder that save_pretrained wrote")
    weights = _weights(ref, folder)
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(f"model {ref}: {folder} has no tokenizer; save it there with tokenizer.save_pretrained")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        load_tokenizer(folder)
    except (ValueError, OSError, KeyError, ImportError) as error:
        if "custom code" in str(error):
            raise ModelError(
                f"model {ref}: needs code of its own, which autoft never runs; choose a model that transformers knows"
            ) from None
        raise ModelError(f"model {ref}: can't be opened: {one_line(error)}") from None
    if head and type(config) not in getattr(transformers, head)._model_mapping:
        raise ModelError(f"model {ref}: transformers knows no {head} for {config.model_type}; choose another model")
    # ALBERT runs one shared block many times, so there are only as many blocks as groups to freeze.
    blocks = getattr(config, "num_hidden_groups", None) or getattr(config, "num_hidden_layers", None)
    if not isinstance(blocks, int):
        raise ModelError(f"model {ref}: {config.model_type} is not a stack of blocks; choose another model")
    return ModelInfo(ref, short_name(ref), str(folder), blocks, sum(path.stat().st_size for path in weights))


def _weights(ref: str, folder: Path) -> list[Path]:
    """The files with a model's weights, each whole; only their headers are read.

    Raises:
        ModelError: There are none, or one is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    names = [_WEIGHTS]
    index = folder / _INDEX
    if not (folder / _WEIGHTS).is_file() and index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise ModelError(f"model {ref}: {index} is damaged; save or download the model again") from None
    elif not (folder / _WEIGHTS).is_file():
        old = " (only .bin files, which can hide code, are there)" if any(folder.glob("*.bin")) else ""
        raise ModelError(
            f"model {ref}: no safetensors weights{old}; convert it once on a machine where you trust it: "
            f"load it with transformers, then save_pretrained(folder) and use that folder"
        )
    for path in (folder / name for name in names):
        try:
            with safe_open(path, framework="numpy") as file:
                empty = not file.keys()
        except FileNotFoundError:
            raise ModelError(
                f"model {ref}: {path.name} is missing, which {index.name} names; save or download the model again"
            ) from None
        except (SafetensorError, OSError) as error:
            what = one_line(error).removeprefix("Error while deserializing header: ")
            if path.stat().st_size < 1024 and path.read_bytes().startswith(b"version https://git-lfs"):
                what = "it is a pointer of git-lfs, and not the file; `git lfs pull` fetches that"
            raise ModelError(
                f"model {ref}: {path} is damaged or cut off ({what}); save or download the model again"
            ) from None
        if empty:
            raise ModelError(f"model {ref}: {path} holds no weights; save or download the model again")
    return [folder / name for name in names]


def abilities(info: ModelInfo) -> dict[str, tuple[str | None, ...]]:
    """The values of a knob that a model can do something with, for the knobs that not every model obeys."""
    from transformers import AutoConfig

    mask = getattr(load_tokenizer(info.path), "mask_token", None)
    config = AutoConfig.from_pretrained(info.path, trust_remote_code=False)
    return {
        "augmentation": ("none", "delete", "swap", *(("mask",) if mask else ()), "synonym"),
        "pooling": (None, *pooling.choices(config)),
    }


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model; one that knows no padding pads with its end-of-text token.

    Raises:
        ValueError: It has no token to pad with.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ValueError("its tokenizer has no padding token")
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def usable_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """`max_length`, or fewer tokens where the model has no positions for as many."""
    import torch

    limits = [max_length, int(tokenizer.model_max_length)]
    positions = getattr(model.config, "max_position_embeddings", None)
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings == positions:
            # RoBERTa and its like count positions from the one after the padding index.
            limits.append(module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
    return min(limits)


def quiet() -> None:
    """Keeps transformers' load reports and progress bars off the screen, in this process."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
