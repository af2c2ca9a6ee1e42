"""Checkpoint folders that survive a crash at any moment, and are never trusted unchecked.

    FOLDER/000007/weights.safetensors   one file for each group of tensors
                  state.json            plain data
                  manifest.json         XXH3 digest of each file

A checkpoint is written beside its place, flushed to the disk and then renamed, so that it is either whole or
absent. The one before stays, for the day that the newer one turns out damaged. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.training import digest

if TYPE_CHECKING:
    import torch

_FORMAT = 2
_STATE = "state.json"
_MANIFEST = "manifest.json"
_TEMPORARY = ".writing-"
# A matrix with few rows that aren't zero is written as those rows, and a mask of this name beside it that says which
# they are: half of what Adam remembers of a small model is about words that no text has.
_ROWS = "#rows"
_LARGE = 1 << 20  # numbers from which that is worth a look


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files were all found to be as they were written.

    Attributes:
        folder: Where it lies.
        state: Plain data.
        groups: Names of the groups of tensors.
    """

    folder: Path
    state: Mapping[str, Any]
    groups: tuple[str, ...]

    def tensors(self, group: str) -> dict[str, torch.Tensor]:
        """The tensors of a group by name, on the CPU."""
        from safetensors.torch import load_file

        return _unpacked(load_file(_file(self.folder, group)))


def save(
    folder: Path, groups: Mapping[str, Mapping[str, torch.Tensor]], state: Mapping[str, Any], keep: int = 2
) -> Path:
    """Writes a checkpoint and, once it is in place, removes the old ones.

    Args:
        folder: Of the trial; holds its checkpoints by rising number.
        groups: Tensors by group and name; none of them may share memory.
        state: Plain data that JSON can hold; NaN and infinity are refused.
        keep: How many checkpoints stay, this one counted.

    Returns:
        The folder of the checkpoint.

    Raises:
        ValueError: `state` holds a number that JSON has no word for.
        OSError: The disk is full or not writable; the checkpoints before are untouched.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    number = max((int(path.name) for path in _numbered(folder)), default=0) + 1
    temporary = folder / f"{_TEMPORARY}{number:06d}"
    temporary.mkdir()
    try:
        for group, tensors in groups.items():
            save_file(_packed(tensors), _file(temporary, group))
        (temporary / _STATE).write_text(json.dumps(state, allow_nan=False), encoding="utf-8")
        files = {path.name: digest.of_file(path) for path in sorted(temporary.iterdir())}
        manifest = {"format": _FORMAT, "groups": list(groups), "digests": files}
        (temporary / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        for path in (*temporary.iterdir(), temporary):
            _flush(path)
        final = folder / f"{number:06d}"
        temporary.rename(final)
        _flush(folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, SafetensorError):  # what safetensors makes of a full disk
            raise OSError(str(error)) from error
        raise
    for old in _numbered(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def load_latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in `folder` that is whole, or None where there is none."""
    for path in reversed(_numbered(folder)):
        checkpoint = _verified(path)
        if checkpoint is not None:
            return checkpoint
    return None


def _verified(path: Path) -> Checkpoint | None:
    try:
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        files = manifest["digests"]
        groups = tuple(manifest["groups"])
        needed = {_STATE, *(_file(path, group).name for group in groups)}
        if manifest["format"] != _FORMAT or needed != set(files):
            return None
        if any(digest.of_file(path / name) != known for name, known in files.items()):
            return None
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # torn, or not ours: what a damaged file reads like is anybody's guess
    return Checkpoint(path, state, groups)


def _packed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    import torch

    packed = {}
    for name, tensor in tensors.items():
        packed[name] = tensor.contiguous()
        if tensor.dim() == 2 and tensor.numel() >= _LARGE and tensor.dtype == torch.float32:
            filled = tensor.any(dim=1)
            if 2 * int(filled.sum()) < len(filled):
                packed |= {name: tensor[filled], f"{name}{_ROWS}": filled}
    return packed


def _unpacked(packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    tensors = {name: tensor for name, tensor in packed.items() if not name.endswith(_ROWS)}
    for name, tensor in tensors.items():
        if (filled := packed.get(f"{name}{_ROWS}")) is not None:
            tensors[name] = tensor.new_zeros(len(filled), tensor.shape[1])
            tensors[name][filled] = tensor
    return tensors


def _numbered(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))


def _file(folder: Path, group: str) -> Path:
    return folder / f"{group}.safetensors"


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
