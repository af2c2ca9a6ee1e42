"""From what the spec says of the data to one `Table` for each part that is given."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from autoft import assets, hub
from autoft.data.reading import Formats, Table, Unreadable, decoded, from_arrow, is_table, read_file
from autoft.data.splits import PARTS
from autoft.errors import DataError, InputError
from autoft.spec import DataSpec
from autoft.words import nearest, public_uri, shown

_PARALLEL = re.compile(r"\{([\w-]+(?:,[\w-]+)+)\}")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
# Ends of names that people give to files, and nobody to a data set on the hub.
_FILE = re.compile(
    r".*\.(txt|text|dat|data|xlsx?|ods|xml|html?|ya?ml|toml|pkl|pickle|npz?|pt|orc|db|sqlite3?|pdf|docx?|md"
    r"|zip|gz|bz2|xz|zst|7z|tar|tgz|[ct]sv\w*|\w*json\w*|parq\w*)",
    re.IGNORECASE,
)
# What data sets call the part that chooses the winner.
_ALIASES = {"valid": "validation", "val": "validation", "dev": "validation"}


def read_sources(data: DataSpec, problems: list[str], formats: Formats) -> dict[str, Table]:
    """The tables that the spec names, by part; one that autoft has to split is `train`.

    What can't be read is missing from the result, and stands in `problems`.
    """
    found: dict[str, Table] = {}
    if data.source is not None:
        try:
            return read_source(data.source, data.encoding, formats=formats)
        except InputError as error:
            problems += error.problems
        return found
    for part in PARTS:
        ref: str | None = getattr(data, part)
        if ref is None:
            continue
        key = f"data.{part}"
        try:
            tables = read_source(ref, data.encoding, key, formats)
        except InputError as error:
            problems += error.problems
            continue
        if len(tables) == 1:
            found[part] = next(iter(tables.values()))
        elif part in tables:  # the user means this part of a data set that has them all
            found[part] = tables[part]
        else:
            problems.append(f"{key}: {ref} holds the splits {', '.join(tables)} and none is {part}; name one table")
    return found


def within_reach(data: DataSpec, problems: list[str], formats: Formats) -> bool:
    """Whether all that the spec names can be read without fetching anything; what nobody has stands in `problems`."""
    reach = True
    for part in ("source", *PARTS):
        ref: str | None = getattr(data, part)
        try:
            reach &= ref is None or _within_reach(ref, f"data.{part}", formats)
        except InputError as error:
            problems += error.problems
            reach = False
    return reach


def _within_reach(ref: str, key: str, formats: Formats) -> bool:
    if assets.is_asset(ref):
        return assets.get(ref, "data") is not None and assets.cached(ref)
    if "://" in ref or Path(ref).expanduser().exists() or _is_path(ref, formats):
        return True
    _look(ref, key, formats)
    return False


def read_source(
    ref: str, encoding: str = "utf-8", key: str = "data.source", formats: Formats = MappingProxyType({})
) -> dict[str, Table]:
    """The table or the named splits behind `ref`.

    Args:
        ref: A file, parallel files (`talks.{en,de}`), a folder saved by `datasets`, `asset:NAME`, or the id of a data
            set on the hub.
        encoding: Of text files.
        key: Where the spec names it.
        formats: What is read beside tables.

    Returns:
        Tables by part. A data set with one split only is `train`, whatever its name.

    Raises:
        DataError: There is no such thing, or it can't be read.
    """
    if assets.is_asset(ref):
        table = read_file(assets.fetch(ref, kind="data"), key)
        return {"train": Table(key, ref, table.columns)}
    if "://" in ref:
        raise DataError(f"{key}: {public_uri(ref)} is an address; download the table, and give the file")
    path = Path(ref).expanduser()
    try:
        if path.is_dir():
            return _saved(path, key)
        if path.exists():
            return {"train": read_file(path, key, encoding, formats)}
    except (OSError, ValueError) as error:  # a name that no file can have
        raise DataError(f"{key}: {shown(ref)} can't be a file: {getattr(error, 'strerror', None) or error}") from None
    if braces := _PARALLEL.search(ref):
        return {"train": _parallel(ref, braces, encoding, key)}
    if _is_path(ref, formats):
        raise DataError(missing_file(key, path, formats))
    return _hub(ref, key, formats)


def _is_path(ref: str, formats: Formats) -> bool:
    """Whether what is not there can only have been meant as a path, not as an id on the hub."""
    path = Path(ref).expanduser()
    if is_table(path, formats) or _FILE.fullmatch(path.name) or path.is_absolute() or ref.startswith((".", "~")):
        return True
    return _HUB_ID.fullmatch(ref) is None or ("/" in ref and path.parent.is_dir())


def _parallel(ref: str, braces: re.Match[str], encoding: str, key: str) -> Table:
    """Files of as many lines as each other, a column each; empty lines count, for they hold the place."""
    columns: dict[str, list[Any]] = {}
    for name in braces[1].split(","):
        path = Path(ref[: braces.start()] + name + ref[braces.end() :]).expanduser()
        if not path.is_file():
            raise DataError(f"{key}: there is no file {path}, one of the parallel files {ref}; check the path")
        try:
            # Not splitlines: it also breaks at what a text may hold, such as U+2028.
            columns[name] = decoded(path, encoding).replace("\r\n", "\n").removesuffix("\n").split("\n")
        except Unreadable as problem:
            raise DataError(f"{key}: {path.name}: {problem}") from None
    lengths = {name: len(lines) for name, lines in columns.items()}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{name} has {count:,}" for name, count in lengths.items())
        raise DataError(f"{key}: {ref} are no parallel files, for their lines differ in number: {counted}")
    if not any(line for lines in columns.values() for line in lines):
        raise DataError(f"{key}: {ref} are empty; files with texts are needed")
    return Table(key, Path(ref).name, columns)


def missing_file(key: str, path: Path, formats: Formats = MappingProxyType({})) -> str:
    """A line about a file that is not there, with the table in its folder that has the nearest name."""
    if not path.parent.is_dir():
        return f"{key}: there is no file {path}, nor the folder {path.parent}; check the path"
    return f"{key}: there is no file {path}{_neighbour(path, formats) or '; check the path'}"


def _neighbour(path: Path, formats: Formats) -> str:
    """`, did you mean …?` with the table beside `path` that has the nearest name; empty where none is near."""
    try:
        names = [other.name for other in path.parent.iterdir() if is_table(other, formats)]
    except OSError:
        return ""
    same = [name for name in names if Path(name).stem == path.name]  # only the ending was left out
    hint = nearest(path.name, same or names)
    return hint if "did you mean" in hint else ""


def _saved(path: Path, key: str) -> dict[str, Table]:
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


def _look(ref: str, key: str, formats: Formats) -> str:
    """Asks the hub for a data set; what to say where it can't be reached after all.

    Raises:
        DataError: It has none that can be read, or can't be reached and `datasets` has not kept it.
    """
    answer = hub.look(ref)
    near = _neighbour(Path(ref), formats)
    if answer == "missing":
        raise DataError(
            f"{key}: {ref} is neither a file here nor a data set on the hub that can be read"
            f"{near or '; check its spelling'}"
        )
    if answer == "gated":
        raise DataError(
            f"{key}: {ref} is a data set whose owner asks for your consent; accept the terms on its page, "
            f"then run `hf auth login`"
        )
    if near:
        silent = f"there is no file {ref}{near} As the id of a data set it can't be looked up: the hub can't be reached"
    else:
        silent = f"{ref} is no file here, and the hub can't be reached; give a file or asset:NAME, or check the network"
    if answer == "unreachable" and not _cached(ref):
        raise DataError(f"{key}: {silent}")
    return f"{key}: {silent}"


def _hub(ref: str, key: str, formats: Formats) -> dict[str, Table]:
    import datasets

    unreachable = _look(ref, key, formats)
    try:
        with hub.quiet(), _no_bars():
            loaded = datasets.load_dataset(ref)  # runs no code of the data set: datasets has dropped that
    except Exception as error:  # the hub's client and datasets raise a dozen kinds, from ValueError to OSError
        if isinstance(error, ConnectionError):
            raise DataError(unreachable) from None
        if "Config name is missing" in str(error):
            what = "has several configurations; save the wanted one with save_to_disk, and give that folder"
        elif isinstance(error, datasets.exceptions.DatasetNotFoundError):
            what = "is neither a file here nor a data set on the hub that can be read; check its spelling"
        else:
            what = f"can't be loaded from the hub: {_one_line(error)}"
        raise DataError(f"{key}: {ref} {what}") from None
    return _parts(loaded, ref, key)


def _cached(ref: str) -> bool:
    """Whether `datasets` has loaded a data set of the hub before."""
    import datasets
    from datasets.naming import camelcase_to_snakecase

    *owner, name = ref.split("/")
    folder = "___".join([*owner, camelcase_to_snakecase(name)])
    return any(Path(datasets.config.HF_DATASETS_CACHE, folder).expanduser().glob("*/*/*"))


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    import datasets

    shown = datasets.are_progress_bars_disabled() is False
    datasets.disable_progress_bars()
    try:
        yield
    finally:
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
