"""Where a pretrained model lies: a folder, an asset, or the hub, and one line where it is nowhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

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
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    with hub.quiet(), _explained(ref):
        if isinstance(try_to_load_from_cache(ref, "config.json"), str):
            return True
        try:
            HfApi(endpoint=constants.ENDPOINT).model_info(ref, timeout=hub.TIMEOUT)
        except (HfHubHTTPError, OSError, ValueError):
            raise
        except Exception:  # of its HTTP client, which is another one in another version
            raise LocalEntryNotFoundError("no answer") from None
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
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    with hub.quiet(), _explained(ref):
        return Path(
            snapshot_download(
                ref,
                allow_patterns=list(_HUB_FILES),
                ignore_patterns=["*/*"],  # what lies below the top folder are copies in other formats
                etag_timeout=hub.TIMEOUT,
            )
        )


@contextlib.contextmanager
def _explained(ref: str) -> Iterator[None]:
    """Turns what the hub's client raises into a `ModelError`."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    known = ", ".join(f"{assets.PREFIX}{name}" for name in assets.names("model"))
    try:
        yield
    except HFValidationError:
        raise ModelError(
            f"model {ref}: neither a folder nor an id on the hub; give a folder, or one of {known}"
        ) from None
    except GatedRepoError:
        raise ModelError(
            f"model {ref}: its owner asks for your consent; accept the terms on its page, then run `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise ModelError(
            f"model {ref}: neither a folder nor a model that the hub shows you"
            f"{_neighbour(Path(ref)) or f'; check the name, or use one of {known}'}"
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        raise ModelError(
            f"model {ref}: not a folder, not downloaded before, and the hub can't be reached"
            f"{_neighbour(Path(ref)) or f'; give a folder, or one of {known}'}"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"model {ref}: the download failed: {one_line(error)}; try again") from None


def one_line(error: Exception) -> str:
    """What an error says, on one line of 200 characters at most."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"
