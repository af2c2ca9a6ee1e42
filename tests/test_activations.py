"""The store of hidden states: built once, by whoever is there; never half; never larger than it may be."""

import json
import math
import os
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autoft.training import activations, entries
from autoft.training.activations import Layout, Store, real, spread
from autoft.training.batching import token_batches
from autoft.training.entries import NoRoom

LENGTHS = np.array([3, 7, 1, 5, 2, 9, 4, 4], dtype=np.int64)
WIDTH = 6
NOW = 0.0  # a deadline that is over: one batch at a time


def layout_of(lengths=LENGTHS, tokens=10):
    return Layout(token_batches(lengths, tokens), lengths)


def states_of(row, length, dtype=torch.float32):
    generator = torch.Generator().manual_seed(int(row))
    return torch.randn(int(length), WIDTH, generator=generator).to(dtype)


class Work:
    """Computes hidden states that can be recognised, and counts the batches."""

    def __init__(self, lengths=LENGTHS, dtype=torch.float32):
        self.lengths, self.dtype, self.batches = lengths, dtype, 0

    def __call__(self, rows):
        self.batches += 1
        return torch.cat([states_of(row, self.lengths[row], self.dtype) for row in rows])


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=60), tokens=st.integers(1, 200))
def test_batches_hold_every_row_once_and_no_more_tokens_than_they_may(lengths, tokens):
    lengths = np.array(lengths)
    batches = token_batches(lengths, tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= tokens for batch in batches)
    longest = [int(lengths[batch].max()) for batch in batches]
    assert longest == sorted(longest, reverse=True)


@pytest.mark.parametrize("left", [False, True])
def test_spread_and_real_are_each_others_opposite(left):
    sizes = torch.tensor([2, 5, 1])
    starts = torch.tensor([0, 2, 7])
    places, mask = spread(starts, sizes, 6, left=left), real(sizes, 6, left=left)
    assert places[mask].tolist() == list(range(8))
    assert mask.sum(1).tolist() == [2, 5, 1]
    assert mask[:, -1 if left else 0].all()
    assert mask[:, 0 if left else -1].tolist() == [False, False, False]
    assert places[2].unique().tolist() == [7]  # padding repeats the row's own states


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_was_computed_is_read_back_row_by_row(tmp_path, dtype):
    store, work = Store(tmp_path), Work(dtype=dtype)
    found = store.build("k", layout_of(), work, math.inf)
    assert found.states.shape == (LENGTHS.sum(), WIDTH)
    assert found.states.dtype == dtype
    for row, length in enumerate(LENGTHS):
        start = int(found.starts[row])
        assert torch.equal(found.states[start : start + length], states_of(row, length, dtype))
    assert work.batches == len(layout_of().batches)
    assert (tmp_path / "k" / "states.bin").stat().st_size == LENGTHS.sum() * WIDTH * dtype.itemsize
    header = json.loads((tmp_path / "k" / "header.json").read_text())
    assert header == {"dtype": str(dtype)[6:], "width": WIDTH, "states": int(LENGTHS.sum()), "format": 1}


@pytest.mark.parametrize("left", [False, True])
def test_padded_rows_hold_their_states_and_the_memory_is_used_again(tmp_path, left):
    found = Store(tmp_path).build("k", layout_of(), Work(), math.inf)
    rows = np.array([5, 2, 3])
    batch = found.padded(rows, 11, left=left)
    assert batch.shape == (3, 11, WIDTH)
    for states, row in zip(batch, rows, strict=True):
        length = LENGTHS[row]
        text = states[11 - length :] if left else states[:length]
        assert torch.equal(text, states_of(row, length))
        edge = states_of(row, length)[0 if left else -1]
        assert (states[: 11 - length] == edge).all() if left else (states[length:] == edge).all()
    assert found.padded(np.array([0]), 4, left=left).data_ptr() == batch.data_ptr()


def test_states_that_were_first_read_during_an_evaluation_can_be_trained_on(tmp_path):
    found = Store(tmp_path).build("k", layout_of(), Work(), math.inf)
    with torch.inference_mode():
        found.padded(np.arange(8), 9, left=False)
    layer = torch.nn.Linear(WIDTH, 1)
    layer(found.padded(np.array([1, 2]), 7, left=False)).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_the_memory_is_the_files_own(tmp_path):
    found = Store(tmp_path).build("k", layout_of(), Work(), math.inf)
    with (tmp_path / "k" / "states.bin").open("r+b") as file:
        file.write(np.full(WIDTH, 7, dtype=np.float32).tobytes())
    assert (found.states[0] == 7).all()


# Building bit by bit


def test_a_build_stops_at_the_deadline_and_goes_on(tmp_path):
    store, work = Store(tmp_path), Work()
    for done in range(1, len(layout_of().batches)):
        assert store.build("k", layout_of(), work, NOW) is None
        assert work.batches == done
        assert store.open("k", layout_of()) is None
    assert store.build("k", layout_of(), work, NOW) is not None
    assert work.batches == len(layout_of().batches)


def test_an_entry_that_is_there_is_not_computed(tmp_path):
    Store(tmp_path).build("k", layout_of(), Work(), math.inf)
    work = Work()
    assert Store(tmp_path).build("k", layout_of(), work, NOW) is not None
    assert Store(tmp_path).open("k", layout_of()) is not None
    assert work.batches == 0
    assert Store(tmp_path / "other").open("k", layout_of()) is None


def forget():
    """What another process would not know."""
    activations._proceeding.clear()


def test_another_worker_takes_over_what_is_there(tmp_path):
    alone = tmp_path / "alone"
    Store(alone).build("k", layout_of(), Work(), math.inf)
    shared, first, second = tmp_path / "shared", Work(), Work()
    while Store(shared).build("k", layout_of(), first, NOW) is None:
        forget()
        if Store(shared).build("k", layout_of(), second, NOW) is not None:
            break
        forget()
    assert first.batches > 0 < second.batches
    assert first.batches + second.batches == len(layout_of().batches)
    assert content(shared) == content(alone)


DAMAGES = {
    "half a batch behind the last whole one": lambda part: append(part / "states.bin", b"half"),
    "the last batch is not there": lambda part: cut(part / "states.bin", 40),
    "a flipped bit": lambda part: flip(part / "states.bin"),
    "a torn line": lambda part: cut(part / "progress", 4),
    "more lines than batches": lambda part: append(part / "progress", b"00000000\n" * 99),
    "no header": lambda part: (part / "header.json").unlink(),
    "half a header": lambda part: cut(part / "header.json", 9),
    "another format": lambda part: (part / "header.json").write_text('{"format": 99}'),
    "no states": lambda part: (part / "states.bin").unlink(),
    "no progress": lambda part: (part / "progress").unlink(),
}


def append(path, more):
    path.write_bytes(path.read_bytes() + more)


def cut(path, count):
    path.write_bytes(path.read_bytes()[:-count])


def flip(path):
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


@pytest.mark.faults
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_a_dead_worker_left_is_gone_on_with_or_thrown_away(tmp_path, damage):
    for _ in range(3):
        assert Store(tmp_path).build("k", layout_of(), Work(), NOW) is None
    damage(tmp_path / "k.part")
    forget()
    found = Store(tmp_path).build("k", layout_of(), Work(), math.inf)
    assert all(
        torch.equal(found.states[int(found.starts[row]) :][:length], states_of(row, length))
        for row, length in enumerate(LENGTHS)
    )
    assert {path.name for path in tmp_path.iterdir()} == {"k", "k.lock", "room.lock"}
    assert {path.name for path in (tmp_path / "k").iterdir()} == {"header.json", "states.bin", "digest"}


LATE_DAMAGES = {
    "half a header": lambda entry: cut(entry / "header.json", 3),
    "a part of the states": lambda entry: cut(entry / "states.bin", 3),
    "a flipped bit": lambda entry: flip(entry / "states.bin"),
    "another digest": lambda entry: (entry / "digest").write_text("0" * 32),
    "no digest": lambda entry: (entry / "digest").unlink(),
}


@pytest.mark.faults
@pytest.mark.parametrize("damage", LATE_DAMAGES.values(), ids=LATE_DAMAGES)
def test_an_entry_that_is_not_whole_is_built_again(tmp_path, damage):
    Store(tmp_path).build("k", layout_of(), Work(), math.inf)
    damage(tmp_path / "k")
    entries._sound.clear()  # as in another process
    assert Store(tmp_path).open("k", layout_of()) is None
    work = Work()
    assert Store(tmp_path).build("k", layout_of(), work, math.inf) is not None
    assert work.batches == len(layout_of().batches)


SCRIPT = """
    import math, sys, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from test_activations import Work, layout_of
    from autoft.training.activations import Store

    class Slow(Work):
        def __call__(self, rows):
            print("batch", self.batches, flush=True)
            time.sleep(0.05)
            return super().__call__(rows)

    store, work, found = Store(Path(sys.argv[2])), Slow(), None
    print("ready", flush=True)
    sys.stdin.readline()
    while found is None:
        found = store.build("k", layout_of(), work, time.monotonic() + float(sys.argv[3]))
    print("computed", work.batches, flush=True)
    sys.stdin.readline()
"""


def worker(folder, seconds):
    from pathlib import Path

    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(Path(__file__).parent), str(folder), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def computed(process):
    for line in process.stdout:
        if line.startswith("computed"):
            return int(line.split()[1])
    raise AssertionError("the worker died")


def end(*processes):
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [60.0, 0.06])
def test_workers_that_want_the_same_at_once_build_it_once(tmp_path, seconds):
    # With a short slice they take turns, with a long one the other waits.
    workers = [worker(tmp_path, seconds) for _ in range(2)]
    try:
        for process in workers:
            assert process.stdout.readline() == "ready\n"
        for process in workers:
            tell(process)
        assert sum(computed(process) for process in workers) == len(layout_of().batches)
    finally:
        end(*workers)


@pytest.mark.faults
def test_a_worker_killed_in_the_middle_leaves_nothing_that_counts(tmp_path):
    process = worker(tmp_path, 60.0)
    try:
        tell(process)
        while process.stdout.readline() != "batch 2\n":
            pass
    finally:
        end(process)
    assert Store(tmp_path).open("k", layout_of()) is None
    work = Work()
    found = Store(tmp_path).build("k", layout_of(), work, math.inf)
    assert work.batches == len(layout_of().batches) - 2  # those that were whole are kept
    assert torch.equal(found.states[int(found.starts[6]) :][:4], states_of(6, 4))


# Room

SIZE = int(LENGTHS.sum()) * WIDTH * 4


def build(folder, key, limit):
    return Store(folder, limit).build(key, layout_of(), Work(), math.inf)


def there(folder):
    return {path.name for path in folder.iterdir() if path.is_dir()}


def at(folder, key, seconds):
    os.utime(folder / key / "header.json", (seconds, seconds))


def test_the_least_recently_used_goes_first(tmp_path):
    for i, key in enumerate("abc"):
        build(tmp_path, key, 3 * SIZE)
        at(tmp_path, key, 1000 + i)
    assert Store(tmp_path).open("a", layout_of()) is not None  # is used now
    build(tmp_path, "d", 3 * SIZE)
    assert there(tmp_path) == {"a", "c", "d"}
    at(tmp_path, "d", 999)
    build(tmp_path, "e", 2 * SIZE)
    assert len(there(tmp_path)) == 2
    assert {"a", "e"} == there(tmp_path)


def test_what_is_open_stays_also_in_another_process(tmp_path):
    process = worker(tmp_path, 60.0)
    try:
        tell(process)
        computed(process)
        at(tmp_path, "k", 1000)
        here = build(tmp_path, "mine", 2 * SIZE)
        with pytest.raises(NoRoom, match=r"what is in use leaves no room for it"):
            build(tmp_path, "more", 2 * SIZE)
        assert there(tmp_path) == {"k", "mine"}
        assert torch.equal(here.states[int(here.starts[6]) :][:4], states_of(6, 4))
    finally:
        end(process)
    build(tmp_path, "more", 2 * SIZE)
    assert there(tmp_path) == {"mine", "more"}


def test_an_entry_that_is_too_large_is_refused_before_anything_goes(tmp_path):
    build(tmp_path, "a", SIZE)
    with pytest.raises(NoRoom, match=r"it would take 0\.0 MiB, and the cache may hold 0\.0 MiB"):
        build(tmp_path, "b", SIZE - 1)
    assert there(tmp_path) == {"a"}


def test_a_build_that_nobody_goes_on_with_counts_in_full_and_can_go(tmp_path):
    assert Store(tmp_path, 2 * SIZE).build("left", layout_of(), Work(), NOW) is None
    at(tmp_path, "left.part", 1000)
    build(tmp_path, "a", 2 * SIZE)
    assert there(tmp_path) == {"left.part", "a"}
    build(tmp_path, "b", 2 * SIZE)
    assert "left.part" not in there(tmp_path)


def test_a_build_whose_beginning_was_evicted_begins_again(tmp_path):
    store, work = Store(tmp_path, SIZE), Work()
    assert store.build("k", layout_of(), work, NOW) is None
    build(tmp_path, "other", SIZE)
    assert there(tmp_path) == {"other"}
    found = store.build("k", layout_of(), work, math.inf)
    assert work.batches == len(layout_of().batches) + 1
    assert torch.equal(found.states[int(found.starts[1]) :][:7], states_of(1, 7))


@pytest.mark.parametrize(("free", "bound"), [(100 << 30, 8 << 30), (4 << 30, 1 << 30)])
def test_without_a_bound_it_is_a_quarter_of_the_free_disk_and_eight_gib_at_the_most(tmp_path, monkeypatch, free, bound):
    monkeypatch.setattr(entries.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    entries.make_room(tmp_path, bound, None)
    with pytest.raises(NoRoom):
        entries.make_room(tmp_path, bound + 1, None)


def test_a_bound_above_what_the_disk_has_left_does_not_help(tmp_path, monkeypatch):
    monkeypatch.setattr(entries.shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(NoRoom):
        entries.make_room(tmp_path, 101, 1000)


def test_where_there_are_no_locks_nothing_is_cached(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(OSError, match="no locks that can be shared"):
        Store(tmp_path).build("k", layout_of(), Work(), math.inf)


def test_an_error_while_computing_leaves_the_lock_free(tmp_path):
    class Broken(Work):
        def __call__(self, rows):
            if self.batches == 2:
                raise RuntimeError("no memory")
            return super().__call__(rows)

    with pytest.raises(RuntimeError, match="no memory"):
        Store(tmp_path).build("k", layout_of(), Broken(), math.inf)
    Store(tmp_path).discard("k")
    assert there(tmp_path) == set()
    assert build(tmp_path, "k", None) is not None


def test_waiting_for_another_worker_ends_at_the_deadline(tmp_path):
    Store(tmp_path).build("k", layout_of(), Work(), NOW)
    held = entries.lock(tmp_path, "k", shared=False)
    try:
        before = time.monotonic()
        work, store = Work(), Store(tmp_path)
        assert store.build("k", layout_of(), work, before + 0.1) is None
        assert work.batches == 0
        assert 0 < store.waited <= time.monotonic() - before
        assert time.monotonic() >= before + 0.1
    finally:
        held.close()
    assert Store(tmp_path).build("k", layout_of(), Work(), math.inf) is not None
