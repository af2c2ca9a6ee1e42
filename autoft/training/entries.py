"""The folder of a cache of hidden states: the header of an entry, its lock, and which entries have to go."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import torch

from autoft.training import digest

LARGEST = 8 << 30  # bytes of a cache for which no bound was given
FORMAT = 1
HEADER, STATES, DIGEST, PROGRESS, PART = "header.json", "states.bin", "digest", "progress", ".part"
NAP = 0.02  # seconds between two looks at something that another worker holds


class NoRoom(OSError):  # noqa: N818 - caught with what the disk itself may say
    """The entry doesn't fit into the cache."""


@dataclass(frozen=True)
class Header:
    """What an entry holds.

    Attributes:
        dtype: Of the hidden states, a name that torch knows.
        width: Numbers in a hidden state.
        states: Number of hidden states.
    """

    dtype: str
    width: int
    states: int
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Size of the hidden states."""
        return self.states * self.size

    @property
    def size(self) -> int:
        """Bytes of one hidden state."""
        return self.width * int(getattr(torch, self.dtype).itemsize)

    @classmethod
    def read(cls, folder: Path) -> Header | None:
        """The header in the folder of an entry, where there is one that makes sense."""
        try:
            header = cls(**json.loads((folder / HEADER).read_text(encoding="utf-8")))
            return header if header.format == FORMAT and header.bytes >= 0 else None
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def write(self, folder: Path) -> None:
        """Writes it into the folder of an entry."""
        (folder / HEADER).write_text(json.dumps(asdict(self)), encoding="utf-8")


# Files of hidden states that this process has found to be as they were written: device, inode, time of the last change.
_sound: set[tuple[int, int, int]] = set()


def seal(folder: Path) -> None:
    """Writes down what the hidden states of a finished build are."""
    file = folder / STATES
    (folder / DIGEST).write_text(digest.of_file(file), encoding="ascii")
    _sound.add(_identity(file.stat()))  # nobody has to read it again


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_dev, found.st_ino, found.st_mtime_ns


def whole(folder: Path, states: int) -> Header | None:
    """The header of an entry of that many hidden states, where all of them are there as they were written."""
    header, file = Header.read(folder), folder / STATES
    try:
        found = file.stat()
        right = header is not None and (header.states, header.bytes) == (states, found.st_size)
        if right and _identity(found) not in _sound:
            right = digest.of_file(file) == (folder / DIGEST).read_text(encoding="ascii", errors="replace")
            if right:
                _sound.add(_identity(found))
    except OSError:
        right = False
    return header if right else None


def lock(folder: Path, name: str, *, shared: bool) -> IO[bytes] | None:
    """The lock `name` as a file to be closed; None where somebody has it.

    The system frees it when the process dies.

    Raises:
        OSError: The system or the disk has no such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError("this system has no locks that can be shared") from None
    file = (folder / f"{name}.lock").open("ab")
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    return file


def make_room(folder: Path, needed: int, limit: int | None) -> None:
    """Evicts the entries that were used least recently until another one fits; those that are open stay.

    Args:
        folder: Of the cache.
        needed: Bytes of the new entry.
        limit: Bytes that all entries may take; None: a quarter of the free disk, 8 GiB at the most.

    Raises:
        NoRoom: It doesn't fit.
    """
    while (alone := lock(folder, "room", shared=False)) is None:  # or two would count the same room as free
        time.sleep(NAP)
    with alone:
        entries = sorted(
            (header.stat().st_mtime_ns, path, _planned(path))
            for path in folder.iterdir()
            if (header := path / HEADER).is_file()
        )
        used = sum(size for _, _, size in entries)
        free = shutil.disk_usage(folder).free
        bound = min(LARGEST, (free + used) // 4) if limit is None else limit
        if needed > bound:
            raise NoRoom(f"it would take {_amount(needed)}, and the cache may hold {_amount(bound)}")
        for _, path, size in entries:
            if used + needed <= bound and needed <= free:
                break
            if (own := lock(folder, path.name.removesuffix(PART), shared=False)) is not None:
                with own:
                    shutil.rmtree(path, ignore_errors=True)
                used, free = used - size, free + size
        if used + needed > bound or needed > free:
            raise NoRoom(f"it would take {_amount(needed)}, and what is in use leaves no room for it")


def _planned(folder: Path) -> int:
    header = Header.read(folder)  # also of a build, which hasn't got its full size yet
    return 0 if header is None else header.bytes


def _amount(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**29 else f"{size / 2**20:.1f} MiB"
