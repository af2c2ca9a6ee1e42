"""Hidden states on the disk, computed once and read by every epoch, trial and worker.

    FOLDER/KEY/header.json   dtype, width, number of tokens
               states.bin    shape (tokens, width): the rows one after another at their true length, longest first
               digest        XXH3 of it
           KEY.part/         the same while it is being built, and how far that is
           KEY.lock          shared by those who read the entry, held alone by whoever builds or evicts it
           KEY.good          the suffix of a model was found to give what the whole model gives, and with which token

An entry is a pure function of what its key stands for: its batches are always the same ones, whoever computes
them. So a build may stop after any of them and be taken up by another worker. It counts as soon as it is whole,
when its folder gets its name.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import time
import warnings
import weakref
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from autoft.training.batching import Rows
from autoft.training.entries import HEADER, NAP, PART, PROGRESS, STATES, Header, lock, make_room, seal, whole

Compute = Callable[[Rows], torch.Tensor]
GOOD = ".good"


@dataclass(frozen=True)
class Layout:
    """Which rows an entry holds, and in which batches they are computed.

    Attributes:
        batches: Row indices of each batch; every row stands in exactly one.
        sizes: Shape (rows,), hidden states kept of each row.
    """

    batches: Sequence[Rows]
    sizes: NDArray[np.int64]

    @property
    def ends(self) -> NDArray[np.int64]:
        """Shape (batches + 1,), hidden states before each batch, and all of them."""
        counts = [int(self.sizes[batch].sum()) for batch in self.batches]
        return np.cumsum([0, *counts])

    @property
    def starts(self) -> NDArray[np.int64]:
        """Shape (rows,), place of the first hidden state of each row."""
        order = np.concatenate(list(self.batches))
        starts = np.empty_like(self.sizes)
        starts[order] = np.cumsum(self.sizes[order]) - self.sizes[order]
        return starts


def spread(starts: torch.Tensor, sizes: torch.Tensor, tokens: int, *, left: bool) -> torch.Tensor:
    """Where the hidden states of a padded batch stand among those of rows without padding.

    Nothing reads what stands at the padding. It gets the nearest state of its row, which is a number that a
    model has met before.

    Args:
        starts: Shape (batch,), place of the first state of each row.
        sizes: Shape (batch,), states of each row, at least one.
        tokens: Length to pad to.
        left: Whether the padding stands before the text.

    Returns:
        Shape (batch, tokens), int64.
    """
    offsets = torch.arange(tokens) - ((tokens - sizes) if left else torch.zeros_like(sizes)).unsqueeze(1)
    return starts.unsqueeze(1) + torch.minimum(offsets.clamp(min=0), sizes.unsqueeze(1) - 1)


def real(sizes: torch.Tensor, tokens: int, *, left: bool) -> torch.Tensor:
    """Where in a padded batch there is text; shape (batch, tokens), bool, arguments as for `spread`."""
    offsets = torch.arange(tokens) - ((tokens - sizes) if left else torch.zeros_like(sizes)).unsqueeze(1)
    return (offsets >= 0) & (offsets < sizes.unsqueeze(1))


class Activations:
    """An entry that is open: it can't be evicted as long as this object lives.

    Attributes:
        states: Shape (states, width), read from the disk as they are needed.
        starts: Shape (rows,), place of the first hidden state of each row.
        sizes: Shape (rows,), hidden states of each row.
    """

    def __init__(self, folder: Path, header: Header, layout: Layout, lock: IO[bytes]) -> None:
        self.starts, self.sizes = torch.from_numpy(layout.starts), torch.from_numpy(layout.sizes)
        self._lock = lock
        with (folder / STATES).open("rb") as file, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given buffer is not writable")  # nobody writes to it
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            flat = torch.frombuffer(mapped, dtype=getattr(torch, header.dtype))
        self.states = flat.view(header.states, header.width)
        self._scratch = torch.empty(0, dtype=self.states.dtype)

    def padded(self, rows: Rows, tokens: int, *, left: bool) -> torch.Tensor:
        """The hidden states of some rows as a batch, in memory that the next call uses again.

        Args:
            rows: Shape (batch,), row indices.
            tokens: Length to pad to.
            left: Whether the padding stands before the text.

        Returns:
            Shape (batch, tokens, width).
        """
        at = torch.from_numpy(rows)
        places = spread(self.starts[at], self.sizes[at], tokens, left=left)
        needed = places.numel() * self.states.shape[1]
        if self._scratch.numel() < needed:
            with torch.inference_mode(False):  # what is made in that mode can't be trained on later
                self._scratch = torch.empty(needed, dtype=self.states.dtype)
        found = self._scratch[:needed].view(places.numel(), -1)
        torch.index_select(self.states, 0, places.flatten(), out=found)
        return found.view(*places.shape, -1)


class Store:
    """A folder of entries under a bound on their size; the least recently used ones go first.

    Args:
        folder: Is made where it isn't there yet.
        limit: Bytes; None takes a quarter of the disk's free space, 8 GiB at the most.

    Attributes:
        waited: Seconds for which it waited for what another worker built.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self._folder, self._limit = folder, limit
        self.waited = 0.0

    def open(self, key: str, layout: Layout) -> Activations | None:
        """The entry, where it is there and whole."""
        path = self._folder / key
        known = _opened.get(str(path))
        if known is not None:
            return known
        if not path.is_dir() or (own := lock(self._folder, key, shared=True)) is None:
            return None
        header = whole(path, int(layout.sizes.sum()))
        if header is None:
            own.close()
            return None
        os.utime(path / HEADER)
        found = _opened[str(path)] = Activations(path, header, layout, own)
        return found

    def build(self, key: str, layout: Layout, compute: Compute, deadline: float) -> Activations | None:
        """Opens the entry, or builds it batch by batch; waits while another worker does.

        Args:
            key: Stands for everything that the hidden states depend on.
            layout: At least one row.
            compute: Gives the hidden states of a batch's rows one after another, shape (states, width), on the CPU.
            deadline: As `time.monotonic` counts. At least one batch is computed where nobody else is at it.

        Returns:
            The entry; None where the time was over before it was whole.

        Raises:
            OSError: The disk is full or not writable, or the entry doesn't fit.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            if (found := self.open(key, layout)) is not None:
                return found
            own = lock(self._folder, key, shared=False)
            if own is not None:
                with own:
                    path = self._folder / key
                    there = whole(path, int(layout.sizes.sum())) is not None
                    finished = there or self._proceed(path, layout, compute, deadline)
                if finished:
                    continue
            elif time.monotonic() < deadline:
                time.sleep(NAP)
                self.waited += NAP
                continue
            return None

    def settled(self, key: str, *, alone: bool) -> tuple[int | None] | None:
        """What `settle` has kept, in this process or in another one; None where it has kept nothing.

        Args:
            key: As `settle` got it.
            alone: Whether a single token can be all that is needed.
        """
        possible = {json.dumps(token): token for token in ((None, 0, -1) if alone else (None,))}
        try:
            kept = (self._folder / f"{key}{GOOD}").read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        return (possible[kept],) if kept in possible else None

    def settle(self, key: str, token: int | None) -> None:
        """Keeps which token of a text is needed, None for all; a disk that takes nothing any more keeps nothing."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = self._folder / f"{key}{GOOD}.{os.getpid()}"
            draft.write_text(json.dumps(token), encoding="ascii")
            draft.replace(self._folder / f"{key}{GOOD}")

    def discard(self, key: str) -> None:
        """Throws away what was built of an entry that can't be finished, unless somebody else is at it."""
        if (own := lock(self._folder, key, shared=False)) is not None:
            with own:
                shutil.rmtree(self._folder / f"{key}{PART}", ignore_errors=True)

    def _proceed(self, path: Path, layout: Layout, compute: Compute, deadline: float) -> bool:
        """Goes on with a build; whether it is finished."""
        part, ends, first = path.with_name(path.name + PART), layout.ends, None
        header, done = _progress(part, ends)
        if header is None:
            shutil.rmtree(part, ignore_errors=True)
            first = compute(layout.batches[0])
            header = Header(str(first.dtype).removeprefix("torch."), first.shape[1], int(ends[-1]))
            make_room(self._folder, header.bytes, self._limit)
            part.mkdir()
            header.write(part)
            (part / STATES).touch()
            done = 0
        size = header.size
        with (part / STATES).open("r+b") as states, (part / PROGRESS).open("a", encoding="ascii") as progress:
            states.truncate(int(ends[done]) * size)
            states.seek(0, os.SEEK_END)
            for i in range(done, len(layout.batches)):
                if i > done and time.monotonic() >= deadline:
                    return False
                found = compute(layout.batches[i]) if first is None else first
                first = None
                content = found.contiguous().view(torch.uint8).numpy().tobytes()
                states.write(content)
                states.flush()
                progress.write(f"{zlib.crc32(content):08x}\n")
                progress.flush()
                _proceeding[str(part)] = (os.fstat(states.fileno()).st_ino, i + 1)
            os.fsync(states.fileno())
        seal(part)
        (part / PROGRESS).unlink()
        shutil.rmtree(path, ignore_errors=True)  # a damaged one
        part.rename(path)
        _proceeding.pop(str(part), None)
        return True


# Entries that are open in this process are opened only once.
_opened: weakref.WeakValueDictionary[str, Activations] = weakref.WeakValueDictionary()
# How far this process itself got with a build: what another one wrote is read again before it is trusted.
_proceeding: dict[str, tuple[int, int]] = {}


def _progress(part: Path, ends: NDArray[np.int64]) -> tuple[Header | None, int]:
    """The header of a build that can be gone on with, and how many of its batches are as they were written."""
    header = Header.read(part)
    if header is None or header.states != ends[-1] or not (part / STATES).is_file():
        return None, 0
    inode, done = _proceeding.get(str(part), (0, 0))
    path = part / PROGRESS
    sums = path.read_text(encoding="ascii", errors="replace").split() if path.is_file() else []
    if len(sums) >= len(ends):
        return None, 0
    if inode == (part / STATES).stat().st_ino and done == len(sums):
        return header, done
    size = header.size
    with (part / STATES).open("rb") as file:
        for i, line in enumerate(sums):
            content = file.read(int(ends[i + 1] - ends[i]) * size)
            if f"{zlib.crc32(content):08x}" != line:
                return None, 0
    return header, len(sums)
