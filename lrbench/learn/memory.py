"""Freed memory kept by the process, so that training steps do not fetch theirs from the system again and again.

glibc gives large blocks back when they are freed. A training step frees all its activations, and the next step takes
as many pages anew, each of which the kernel has to clear first.
"""

import ctypes
import sys

SETTINGS = {"mmap_threshold": (-3, 2**30), "trim_threshold": (-1, 2**31 - 1), "top_pad": (-2, 2**28)}
"""What is set: by the name that mallopt(3) has for it, its number there and its value in bytes."""

_state = {"kept": ""}


def keep_freed_memory() -> str:
    """Let this process keep freed memory from now on; does nothing where the C library is not glibc.

    Returns: what was set, in words: `mmap_threshold=1073741824 ...`; "" when nothing was.
    """
    if not _state["kept"] and sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            done = [f"{name}={value}" for name, (number, value) in SETTINGS.items() if mallopt(number, value)]
            _state["kept"] = " ".join(done)
    return kept_memory()


def kept_memory() -> str:
    """What was set in this process; "" when nothing was."""
    return _state["kept"]
