"""Freed memory kept by the process, so that training steps do not fetch theirs from the system again and again.

glibc gives large blocks back when they are freed. A training step frees all its activations, and the next step takes
as many pages anew, each of which the kernel has to clear first.
"""

import ctypes
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

NUMBERS = {"mmap_threshold": -3, "trim_threshold": -1, "top_pad": -2}
"""Of mallopt(3): what can be set, by its name there."""

KEPT = {"mmap_threshold": 2**30, "trim_threshold": 2**31 - 1, "top_pad": 2**28}
"""In bytes: nothing is given back."""

USUAL = {"mmap_threshold": 2**25, "trim_threshold": 2**26, "top_pad": 2**17}
"""In bytes: where glibc's own adjustment ends in a process that has freed large blocks."""

_state = {"kept": ""}


def keep_freed_memory() -> str:
    """Let this process keep freed memory from now on; does nothing where the C library is not glibc.

    Returns: what was set, in words: `mmap_threshold=1073741824 ...`; "" when nothing was.
    """
    if not _state["kept"]:
        _state["kept"] = _set(KEPT)
    return kept_memory()


def kept_memory() -> str:
    """What is set in this process; "" when nothing is."""
    return _state["kept"]


@contextmanager
def given_back() -> Iterator[None]:
    """Meanwhile let this process give freed memory back as any other does."""
    before = kept_memory()
    if before:
        _set(USUAL)
    try:
        yield
    finally:
        if before:
            _set(KEPT)


def _set(values: Mapping[str, int]) -> str:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    done = [f"{name}={value}" for name, value in values.items() if mallopt and mallopt(NUMBERS[name], value)]
    return " ".join(done)
