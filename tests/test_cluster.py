"""Ray's lifetime: what it finds when it begins, and what it leaves behind."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from autoft.errors import ResourceError
from autoft.spec import Resources
from autoft.study import cluster

pytestmark = pytest.mark.slow


@pytest.fixture
def short():
    """A folder with a name short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="r"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_folder_of_a_ray_that_autoft_started_is_gone_after_it(monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    with cluster.ray_session(Resources(workers=1)):
        import ray

        folder = Path(tempfile.gettempdir(), "ray", ray.get_runtime_context().get_session_name())
        assert folder.is_dir()
    assert not folder.exists()
    assert (folder.parent / "session_latest").resolve() != folder


def test_a_process_has_imported_what_takes_seconds_before_it_is_given_anything():
    with cluster.ray_session(Resources(workers=1)):
        import ray

        modules = ray.get(ray.remote(lambda: list(sys.modules)).remote())
    assert {"torch", "autoft.study.trainable", "transformers.modeling_utils"} <= set(modules)


def test_a_place_that_the_user_named_is_kept(monkeypatch, short):
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    with cluster.ray_session(Resources(workers=1)):
        pass
    assert [path for path in short.rglob("session_*") if path.is_dir() and not path.is_symlink()]


def test_the_link_to_a_later_ray_is_left_alone(tmp_path):
    ours, theirs = tmp_path / "session_1", tmp_path / "session_2"
    ours.mkdir()
    theirs.mkdir()
    (tmp_path / "session_latest").symlink_to(theirs)
    cluster._forget(ours)
    assert not ours.exists()
    assert (tmp_path / "session_latest").resolve() == theirs


def test_a_ray_that_runs_on_this_machine_already_is_not_joined(monkeypatch):
    """Ray by itself would join it, and then refuse to be told the number of cores."""
    program = (
        "import ray\n"
        "context = ray.init('local', num_cpus=1, include_dashboard=False, log_to_driver=False)\n"
        "print(context.address_info['gcs_address'], flush=True)\n"
        "input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )  # fmt: skip
    try:
        address = other.stdout.readline().strip()
        assert address
        monkeypatch.setenv("RAY_ADDRESS", address)
        with cluster.ray_session(Resources(workers=1)):
            import ray

            assert ray.get_runtime_context().gcs_address != address
    finally:
        other.communicate("\n", timeout=120)
    assert other.returncode == 0


def test_a_cluster_that_is_not_there_is_one_line():
    with pytest.raises(ResourceError, match=r"no Ray cluster at 127\.0\.0\.1:9"):
        cluster.reachable("127.0.0.1:9")
