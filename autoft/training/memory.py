"""Memory that is kept for the next step, where the system's allocator would give it back after every one.

glibc maps a large tensor anew each time it is made, and the kernel fills its pages with zeros. The gradient of MiniLM's
word embeddings alone is 47 MB, twelve thousand pages a step, which took a tenth of the step.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)
_KEPT = 1 << 29  # bytes of free memory at the end of the heap that the process may keep


@cache
def keep() -> bool:
    """Has this process keep freed memory for later tensors from now on; whether its allocator is one that can."""
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, _KEPT))
