"""Where a pretrained model lies: a folder, an asset, or the hub, and one line where it is nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from autoft import assets, hub
from autoft.errors import ModelError
from autoft.words import nearest

_HUB_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


def resolve(ref: str) -> Path:
    """The folder of a model on this machine; fetched first where it isn't here yet.

    Args:
        ref: A folder, `asset:NAME`, or the id of a model on the hub.

    Raises:
        ModelError: One line that says why there is no such folder.
    """
    if assets.is_asset(ref):
        return assets.fetch(ref, "model")
    return _folder(ref) or _download(ref)


def within_reach(ref: str) -> bool:
    """Whether a model can be opened without fetching anything; the hub is asked for one that it may have.

    Raises:
        ModelError: Nobody has it.
    """
    if assets.is_asset(ref):
        return assets.get(ref, "model") is not None and assets.cached(ref)
    return _folder(ref) is not None or _downloaded(ref)


def _folder(ref: str) -> Path | None:
    """The folder that `ref` names; None where it may be an id on the hub."""
    folder = Path(ref).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists():
        raise ModelError(f"model {ref}: is a file; give the folder that save_pretrained wrote")
    if "/" in ref and not ref.endswith("/") and folder.parent.is_dir():  # no id, but a folder that isn't there
        raise ModelError(f"model {ref}: there is no such folder{_neighbour(folder) or '; check the path'}")
    return None


def _downloaded(ref: str) -> bool:
    """Whether a model of the hub lies in its client's cache; the hub is asked where it does not.

    Raises:
        ModelError: It is not there, and can't be got.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if isinstance(try_to_load_from_cache(ref, "config.json"), str):
            return True
    except HFValidationError:
        raise _refused(ref, "invalid") from None
    answer = hub.look(ref, "model")
    if answer != "there":
        raise _refused(ref, answer)
    return False


def _neighbour(folder: Path) -> str:
    """`, did you mean …?` with the model beside `folder` that has the nearest name; empty where none is near."""
    try:
        beside = [other.name for other in folder.parent.iterdir() if (other / "config.json").is_file()]
    except OSError:
        return ""
    near = nearest(folder.name, beside)
    return near if "did you mean" in near else ""


def _download(ref: str) -> Path:
    """The folder of a model of the hub in its client's cache, which alone is asked where the hub is silent."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    silent = hub.look(ref, "model") == "unreachable"
    try:
        with hub.quiet():
            return Path(
                snapshot_download(
                    ref,
                    allow_patterns=list(_HUB_FILES),
                    ignore_patterns=["*/*"],  # what lies below the top folder are copies in other formats
                    etag_timeout=hub.TIMEOUT,
                    local_files_only=silent,
                )
            )
    except HFValidationError:
        raise _refused(ref, "invalid") from None
    except GatedRepoError:
        raise _refused(ref, "gated") from None
    except RepositoryNotFoundError:
        raise _refused(ref, "missing") from None
    except LocalEntryNotFoundError:
        raise _refused(ref, "unreachable") from None
    except Exception as error:  # what its HTTP client raises has no root that two versions of it share
        raise ModelError(f"model {ref}: the download failed: {one_line(error)}; try again") from None


def _refused(ref: str, answer: Literal["invalid", "missing", "gated", "unreachable"]) -> ModelError:
    """What to say of a model that the hub does not give."""
    near = _neighbour(Path(ref))
    known = ", ".join(f"{assets.PREFIX}{name}" for name in assets.names("model"))
    lines = {
        "invalid": f"neither a folder nor an id on the hub; give a folder, or one of {known}",
        "missing": "neither a folder nor a model that the hub shows you"
        f"{near or f'; check the name, or use one of {known}'}",
        "gated": "its owner asks for your consent; accept the terms on its page, then run `hf auth login`",
        "unreachable": "not a folder, not downloaded before, and the hub can't be reached"
        f"{near or f'; give a folder, or one of {known}'}",
    }
    return ModelError(f"model {ref}: {lines[answer]}")


def one_line(error: Exception) -> str:
    """What an error says, on one line of 200 characters at most."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"
