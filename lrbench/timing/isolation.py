"""Where timings run: one at a time on this machine, each in a process of its own."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from pebble import ProcessPool

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


def in_fresh_process(work: Callable[..., T], *arguments: object) -> T:
    """Call a function in a fresh process and return its result (or raise its error); an interrupt ends the process."""
    with ProcessPool(max_workers=1, max_tasks=1, context=get_context("spawn")) as pool:
        future = pool.schedule(work, args=arguments)
        try:
            result: T = future.result()
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise
        return result
