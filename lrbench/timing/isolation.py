"""Where timings run: one at a time on this machine, each in a process of its own."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from lrbench.children import ChildLostError, run_in_child
from lrbench.errors import InputError
from lrbench.processes import GUARD
from lrbench.progress import Progress

T = TypeVar("T")

LOCK = Path(tempfile.gettempdir()) / "lrbench-timing.lock"
"""The lock that a timing on this machine holds while it runs."""


@contextmanager
def alone(progress: Progress) -> Iterator[None]:
    """Hold the lock for timings on this machine; wait until it is free."""
    lock = FileLock(LOCK, mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("latency", "waiting for another timing on this machine", 0, 1)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def needs_child(model: str, data: str = "") -> bool:
    """Whether a model, or a data set, is a user's own code: it may crash or hang, so it runs in child processes."""
    return ":" in model or ":" in data


class ProcessLostError(InputError):
    """A fresh process could not be started, or ended before its work did."""


def in_fresh_process(work: Callable[..., T], *arguments: object, timeout_s: float | None = None) -> T:
    """Call a function in a fresh process and return its result (or raise its error); an interrupt ends the process.

    Raises: ProcessLostError (an InputError) when the process could not be started, or ended before the function did;
        TimeoutError after `timeout_s`.
    """
    try:
        result: T = run_in_child(work, *arguments, timeout_s=timeout_s)
    except ChildLostError as error:
        raise ProcessLostError(
            f"a process for timings ended too early ({error}). Finished results are kept; the same command continues. "
            f"Memory may have run out; and {GUARD}"
        ) from error
    return result
