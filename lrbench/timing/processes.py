"""Where timings run: alone on this machine, each in a process of its own."""

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
"""What timings on this machine hold, one at a time."""


@contextmanager
def alone(progress: Progress) -> Iterator[None]:
    """Hold the one lock that timings on this machine take; wait for it."""
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
    """What a function returns (or raises) in a fresh process; an interrupt ends that process."""
    with ProcessPool(max_workers=1, max_tasks=1, context=get_context("spawn")) as pool:
        future = pool.schedule(work, args=arguments)
        try:
            result: T = future.result()
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise
        return result
