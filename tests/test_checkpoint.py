"""A checkpoint is whole or it isn't there, and damage is always noticed."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from autoft.training import checkpoint


def write(folder, step, **options):
    groups = {
        "weights": {"a": torch.full((300, 7), float(step)), "b.bias": torch.arange(5)},
        "rng": {"cpu": torch.get_rng_state()},
    }
    return checkpoint.save(folder, groups, {"step": step, "loss": 0.1 + step}, **options)


def numbers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    path = write(tmp_path / "trial", 3)
    found = checkpoint.load_latest(tmp_path / "trial")
    assert (found.folder, found.state, found.groups) == (path, {"step": 3, "loss": 3.1}, ("weights", "rng"))
    assert torch.equal(found.tensors("weights")["a"], torch.full((300, 7), 3.0))
    assert torch.equal(found.tensors("weights")["b.bias"], torch.arange(5))
    assert torch.equal(found.tensors("rng")["cpu"], torch.get_rng_state())


@pytest.mark.parametrize("filled", [0, 1, 9_999, 10_000, 30_000])
def test_a_large_matrix_comes_back_bit_for_bit_and_takes_the_room_of_its_rows(tmp_path, filled):
    torch.manual_seed(0)
    matrix = torch.zeros(30_000, 40)
    matrix[torch.randperm(30_000)[:filled]] = torch.randn(filled, 40)
    checkpoint.save(tmp_path, {"optimizer": {"exp_avg": matrix, "weight": matrix[::2].contiguous()}}, {})
    found = checkpoint.load_latest(tmp_path)
    assert found.tensors("optimizer").keys() == {"exp_avg", "weight"}
    assert torch.equal(found.tensors("optimizer")["exp_avg"], matrix)
    assert torch.equal(found.tensors("optimizer")["weight"], matrix[::2])
    size = (found.folder / "optimizer.safetensors").stat().st_size
    written = filled if filled < 15_000 else 30_000
    assert size < written * 160 + 15_000 * 160 + 40_000


def test_nothing_is_found_where_nothing_was_saved(tmp_path):
    assert checkpoint.load_latest(tmp_path / "none") is None
    assert checkpoint.load_latest(tmp_path) is None


def test_the_one_before_stays_and_older_ones_go(tmp_path):
    for step in range(4):
        write(tmp_path, step)
    assert numbers(tmp_path) == ["000003", "000004"]
    write(tmp_path, 4, keep=1)
    assert numbers(tmp_path) == ["000005"]
    assert checkpoint.load_latest(tmp_path).state["step"] == 4


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def tear(path):
    path.write_bytes(path.read_bytes()[:-10])


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


FILES = ("weights.safetensors", "rng.safetensors", "state.json", "manifest.json")


@pytest.mark.faults
@pytest.mark.parametrize("damage", [flip_a_bit, tear, empty, remove])
@pytest.mark.parametrize("name", FILES)
def test_damage_to_the_newest_leads_back_to_the_one_before(tmp_path, name, damage):
    write(tmp_path, 1)
    damage(write(tmp_path, 2) / name)
    assert checkpoint.load_latest(tmp_path).state["step"] == 1


@pytest.mark.faults
def test_two_damaged_checkpoints_are_none_at_all(tmp_path):
    for step in (1, 2):
        flip_a_bit(write(tmp_path, step) / "weights.safetensors")
    assert checkpoint.load_latest(tmp_path) is None


@pytest.mark.faults
@pytest.mark.parametrize(
    "manifest", ["[]", "null", '{"format": 1}', '{"format": 3, "groups": [], "digests": {}}', "\x00", '{"digests": 3}']
)
def test_a_manifest_of_any_other_shape_is_no_manifest(tmp_path, manifest):
    write(tmp_path, 1)
    (write(tmp_path, 2) / "manifest.json").write_text(manifest)
    assert checkpoint.load_latest(tmp_path).state["step"] == 1


@pytest.mark.faults
def test_a_manifest_that_leaves_out_a_file_is_refused(tmp_path):
    write(tmp_path, 1)
    path = write(tmp_path, 2) / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["digests"]["weights.safetensors"]
    path.write_text(json.dumps(manifest))
    assert checkpoint.load_latest(tmp_path).state["step"] == 1


def test_what_json_has_no_word_for_is_refused_and_leaves_nothing(tmp_path):
    write(tmp_path, 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoint.save(tmp_path, {}, {"loss": float("nan")})
    assert numbers(tmp_path) == ["000001"]


@pytest.mark.faults
def test_a_disk_that_fills_up_leaves_the_checkpoint_before_as_it_was(tmp_path):
    # The process is limited to small files, so that writing the large tensor fails half-way as on a full disk.
    write(tmp_path, 1)
    script = """
        import resource, signal, sys
        from pathlib import Path
        import torch
        from autoft.training import checkpoint
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            checkpoint.save(Path(sys.argv[1]), {"weights": {"a": torch.zeros(1_000_000)}}, {"step": 2})
        except OSError:
            print("refused")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("refused")
    assert checkpoint.load_latest(tmp_path).state["step"] == 1
    write(tmp_path, 3)
    assert numbers(tmp_path) == ["000001", "000002"]
    assert checkpoint.load_latest(tmp_path).state["step"] == 3


@pytest.mark.faults
def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    script = """
        import sys
        from pathlib import Path
        import torch
        from autoft.training import checkpoint
        step = 0
        while True:
            step += 1
            checkpoint.save(Path(sys.argv[1]), {"weights": {"a": torch.full((200_000,), float(step))}}, {"step": step})
            print(step, flush=True)
    """
    done = 0
    for lines in (1, 3, 6):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(lines):
            done = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        done = int(rest[-1]) if rest else done
        found = checkpoint.load_latest(tmp_path)
        # The one being written may have been finished just before the kill, without a word of it.
        assert found.state["step"] in (done, done + 1)
        assert torch.equal(found.tensors("weights")["a"], torch.full((200_000,), float(found.state["step"])))


def test_nothing_is_ever_unpickled():
    import inspect

    from autoft.training import finetune

    for module in (checkpoint, finetune):
        source = inspect.getsource(module)
        assert "torch.load" not in source
        assert "import pickle" not in source
