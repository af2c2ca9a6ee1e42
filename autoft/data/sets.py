"""What the `datasets` library loads: folders that it saved, and data sets of the hub."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autoft import hub
from autoft.data.reading import Table, from_arrow
from autoft.data.splits import PARTS
from autoft.errors import DataError, InputError
from autoft.words import nearest

# What data sets call the part that chooses the winner.
_ALIASES = {"valid": "validation", "val": "validation", "dev": "validation"}


def saved(path: Path, key: str) -> dict[str, Table]:
    """A folder written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    if not any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        raise DataError(
            f"{key}: {path} is a folder that was not saved by datasets; give a file in it, "
            f"or a folder written by save_to_disk"
        )
    import datasets

    try:
        return _parts(datasets.load_from_disk(str(path)), str(path), key)
    except InputError:
        raise
    except Exception as error:  # a damaged folder fails in many ways, deep inside datasets and Arrow
        raise DataError(f"{key}: {path} can't be read by datasets: {_one_line(error)}; save it again") from None


def look(ref: str, key: str, config: str | None = None, near: str = "") -> str:
    """Asks the hub whether it has a data set, which is not fetched.

    Args:
        ref: Its id.
        key: Where the spec names it.
        config: Which of its configurations is wanted.
        near: `, did you mean …?` where a file here has nearly that name.

    Returns:
        Empty where the hub has it; else what to say where it can't be got from the hub or from the cache.

    Raises:
        DataError: The hub has none that can be read, or can't be reached and `datasets` has not kept it.
    """
    answer = hub.look(ref, "dataset")
    if answer == "there":
        return ""
    if answer != "unreachable":
        raise DataError(_refused(ref, key, near, gated=answer == "gated"))
    if near:
        silent = f"there is no file {ref}{near} As the id of a data set it can't be looked up: the hub can't be reached"
    elif config and _cached(ref):
        silent = (
            f"the configuration {config!r} of {ref} was not downloaded before, and the hub can't be reached; "
            f"check the network"
        )
    else:
        silent = f"{ref} is no file here, and the hub can't be reached; give a file or asset:NAME, or check the network"
    if not _cached(ref, config):
        raise DataError(f"{key}: {silent}")
    return f"{key}: {silent}"


def load(ref: str, key: str, config: str | None = None, near: str = "") -> dict[str, Table]:
    """The splits of a data set of the hub, from the cache of `datasets` where the hub can't be reached.

    Args:
        ref: As the others, as of `look`.
        key: Where the spec names it.
        config: Which of its configurations.
        near: As of `look`.

    Raises:
        DataError: One line that says why it can't be had.
    """
    import datasets

    unreachable = look(ref, key, config, near)
    try:
        with hub.quiet(), _alone(), hub.offline() if unreachable else contextlib.nullcontext():
            loaded = datasets.load_dataset(ref, config)  # runs no code of the data set: datasets has dropped that
    except Exception as error:  # the hub's client and datasets raise a dozen kinds, from ValueError to OSError
        if unreachable and isinstance(error, ConnectionError):
            raise DataError(unreachable) from None
        if isinstance(error, datasets.exceptions.DatasetNotFoundError):  # what is gated can be seen, and not be read
            raise DataError(_refused(ref, key, near, gated="gated" in str(error))) from None
        if "/" not in ref and (name := hub.full_name(ref, "dataset")) != ref:  # datasets no longer takes the short one
            raise DataError(f"{key}: {ref} is called {name} on the hub; write that") from None
        raise DataError(
            _misnamed(ref, config, str(error)) or f"{key}: {ref} can't be loaded from the hub: {_one_line(error)}"
        ) from None
    return _parts(loaded, ref if config is None else f"{ref} {config}", key)


def _refused(ref: str, key: str, near: str, *, gated: bool) -> str:
    if gated:
        return (
            f"{key}: {ref} is a data set whose owner asks for your consent; accept the terms on its page, "
            f"then run `hf auth login`"
        )
    return (
        f"{key}: {ref} is neither a file here nor a data set on the hub that can be read"
        f"{near or '; check its spelling'}"
    )


# How `datasets` begins its complaints of the configuration, online and offline; the names stand in what follows.
_NO_CONFIG = re.compile(
    r"Config name is missing.*?\[(?P<listed>[^\]]*)\]|There are multiple [^\n]* cache: (?P<kept>[^\n]*)", re.DOTALL
)
_WRONG_CONFIG = re.compile(r"BuilderConfig .* not found\. Available: \[(?P<listed>.*?)\]", re.DOTALL)


def _misnamed(ref: str, config: str | None, said: str) -> str:
    """A line where the configuration is missing, or another one; empty where something else is wrong."""
    if config is None and (match := _NO_CONFIG.search(said)):
        names = _names(match["listed"] or match["kept"])
        return (
            f"data.config: {ref} has the configurations {', '.join(names)}; name one, such as data.config: {names[0]}"
        )
    if config is not None and (match := _WRONG_CONFIG.search(said)):
        return f"data.config: {ref} has no configuration {config!r}{nearest(config, _names(match['listed']))}"
    return ""


def _names(listed: str) -> list[str]:
    return [name.strip(" '\"\n") for name in listed.split(",")]


def _cached(ref: str, config: str | None = None) -> bool:
    """Whether `datasets` has loaded a data set of the hub, or a configuration of it, before."""
    import datasets
    from datasets.naming import camelcase_to_snakecase

    *owner, name = ref.split("/")
    folder = "___".join([*owner, camelcase_to_snakecase(name)])
    return any(Path(datasets.config.HF_DATASETS_CACHE, folder).expanduser().glob(f"{config or '*'}/*/*"))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """No progress bars, and no word to the place that counts how often a data set is loaded."""
    import datasets

    shown = datasets.are_progress_bars_disabled() is False
    counted = datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        yield
    finally:
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counted
        if shown:
            datasets.enable_progress_bars()


def _parts(loaded: Any, where: str, key: str) -> dict[str, Table]:
    """The tables of a `Dataset` or a `DatasetDict`."""
    if not isinstance(loaded, Mapping):
        return {"train": _table(loaded, where, key)}
    if len(loaded) == 1:
        return {"train": _table(next(iter(loaded.values())), where, key)}
    found: dict[str, Table] = {}
    for name, split in loaded.items():
        part = _ALIASES.get(name, name)
        if part in PARTS and part not in found:  # others, such as `unsupervised`, hold nothing to learn from
            found[part] = _table(split, f"{where} ({name})", key)
    if "train" not in found:
        raise DataError(f"{key}: {where} has no split called train, only {', '.join(loaded)}; give one table")
    return {part: found[part] for part in PARTS if part in found}


def _table(split: Any, where: str, key: str) -> Table:
    if len(split) == 0:
        raise DataError(f"{key}: {where} has no rows")
    columns = from_arrow(split.with_format("arrow")[:])
    for name, feature in split.features.items():
        names = getattr(feature, "names", None)
        # A number that stands for a class is given its name, as people know it; -1 is "not labelled".
        if names and all(value is None or isinstance(value, int) for value in columns[name]):
            columns[name] = [names[v] if v is not None and v >= 0 else None for v in columns[name]]
    return Table(key, where, columns)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"
