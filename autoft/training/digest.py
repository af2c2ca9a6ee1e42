"""What tells a file from the same one after a disk has damaged it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import xxhash


def of_file(path: Path) -> str:
    """XXH3 of a file, 128 bits in hexadecimal: against damage, not against an attacker, who could change that too.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
