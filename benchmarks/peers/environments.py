"""A virtual environment for each contestant whose dependencies don't fit autoft's, pinned and made once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_READY = ".ready"


def requirements(name: str) -> Path:
    """The file that pins what is installed."""
    return _HERE / f"requirements-{name}.txt"


def python(name: str | None, work: Path) -> Path:
    """The interpreter of an environment, which is made first where it isn't there.

    Args:
        name: Its name; None for the environment that this process runs in.
        work: Folder of the benchmark's files, outside the repository.

    Raises:
        RuntimeError: pip could not install it.
    """
    if name is None:
        return Path(sys.executable)
    pins = requirements(name)
    # Other pins make another environment: a run never mixes the two.
    folder = work / "environments" / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    interpreter = folder / "bin" / "python"
    if not (folder / _READY).is_file():
        print(f"making the environment of {name}; it takes some minutes", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        command = [str(interpreter), "-m", "pip", "install", "--quiet", "--requirement", str(pins)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
            raise RuntimeError(f"{pins.name} can't be installed: {errors[0] if errors else done.stderr[-300:]}")
        (folder / _READY).touch()
    return interpreter
