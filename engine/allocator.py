"""The process's memory on a CPU: kept when it is freed, where glibc would give it back to the system.

Without gradients a network frees each activation as soon as the next one is there. glibc returns blocks of that size to
the system and has them back page by page, zeroed: half the time of a mobile network's forward pass.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from functools import cache

KEEP_MEMORY = "KDZOO_KEEP_MEMORY"
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = -1


@cache
def keep_freed_memory() -> tuple[bool, str]:
    """Have this process keep the memory that it frees, from now on; where that is not to be had, nothing changes.

    No result depends on it. Peak memory can grow, because free blocks of one size may not fit another
    (docs/performance.md has both measured).

    Returns:
        Whether freed memory is kept, and by what, or why not.
    """
    if os.environ.get(KEEP_MEMORY, "").lower() in ("0", "false", "no"):
        return False, f"{KEEP_MEMORY}={os.environ[KEEP_MEMORY]}"
    if sys.platform != "linux":
        return False, "not on Linux"
    with contextlib.suppress(ValueError, OSError, AttributeError):
        library = os.confstr("CS_GNU_LIBC_VERSION")  # a ValueError with musl
        mallopt = ctypes.CDLL(None).mallopt
        # No block of its own for a large one, which would be unmapped when freed; the heap's free end stays.
        if mallopt(_M_MMAP_MAX, 0) == mallopt(_M_TRIM_THRESHOLD, _NEVER) == 1:
            return True, str(library)
    return False, "the C library is not glibc"
