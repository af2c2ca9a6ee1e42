"""From what the spec says of the data to one `Table` for each part that is given."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

from autoft import assets
from autoft.data import sets
from autoft.data.reading import Formats, Table, Unreadable, decoded, is_table, read_file
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


def read_sources(data: DataSpec, problems: list[str], formats: Formats) -> dict[str, Table]:
    """The tables that the spec names, by part; one that autoft has to split is `train`.

    What can't be read is missing from the result, and stands in `problems`.
    """
    found: dict[str, Table] = {}
    if data.source is not None:
        try:
            return read_source(data.source, data.encoding, formats=formats, config=data.config)
        except InputError as error:
            problems += error.problems
        return found
    for part in PARTS:
        ref: str | None = getattr(data, part)
        if ref is None:
            continue
        key = f"data.{part}"
        try:
            tables = read_source(ref, data.encoding, key, formats, data.config)
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
            reach &= ref is None or _within_reach(ref, f"data.{part}", formats, data.config)
        except InputError as error:
            problems += error.problems
            reach = False
    return reach


def _within_reach(ref: str, key: str, formats: Formats, config: str | None) -> bool:
    if assets.is_asset(ref):
        return assets.get(ref, "data") is not None and assets.cached(ref)
    if "://" in ref or Path(ref).expanduser().exists() or _is_path(ref, formats):
        return True
    sets.look(ref, key, config, _neighbour(Path(ref), formats))
    return False


def read_source(
    ref: str,
    encoding: str = "utf-8",
    key: str = "data.source",
    formats: Formats = MappingProxyType({}),
    config: str | None = None,
) -> dict[str, Table]:
    """The table or the named splits behind `ref`.

    Args:
        ref: A file, parallel files (`talks.{en,de}`), a folder saved by `datasets`, `asset:NAME`, or the id of a data
            set on the hub.
        encoding: Of text files.
        key: Where the spec names it.
        formats: What is read beside tables.
        config: Which configuration of a data set on the hub.

    Returns:
        Tables by part. A data set with one split only is `train`, whatever its name.

    Raises:
        DataError: There is no such thing, or it can't be read.
    """
    if found := _here(ref, encoding, key, formats):
        if config is not None:
            raise DataError(f"data.config: has no effect on {ref}, which is no data set of the hub; leave it out")
        return found
    return sets.load(ref, key, config, _neighbour(Path(ref), formats))


def _here(ref: str, encoding: str, key: str, formats: Formats) -> dict[str, Table] | None:
    """What `ref` names beside data sets of the hub; None where it can only be one of them."""
    if assets.is_asset(ref):
        table = read_file(assets.fetch(ref, kind="data"), key)
        return {"train": Table(key, ref, table.columns)}
    if "://" in ref:
        raise DataError(f"{key}: {public_uri(ref)} is an address; download the table, and give the file")
    path = Path(ref).expanduser()
    try:
        if path.is_dir():
            return sets.saved(path, key)
        if path.exists():
            return {"train": read_file(path, key, encoding, formats)}
    except (OSError, ValueError) as error:  # a name that no file can have
        raise DataError(f"{key}: {shown(ref)} can't be a file: {getattr(error, 'strerror', None) or error}") from None
    if braces := _PARALLEL.search(ref):
        return {"train": _parallel(ref, braces, encoding, key)}
    if _is_path(ref, formats):
        raise DataError(missing_file(key, path, formats))
    return None


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
