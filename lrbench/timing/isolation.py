"""Where timings run: one at a time on this machine, each in a process of its own."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from pebble import ProcessExpired, ProcessPool

from lrbench.errors import InputError
from lrbench.progress import Progress

T = TypeVar("T")

LOCK = Path(tempfile.gettempdir()) / "lrbench-timing.lock"
"""The lock that a timing on this machine holds while it runs."""

GUARD = 'a script that calls lrbench.sweep must do so below `if __name__ == "__main__":`, for each process imports it'
"""What a script of the user's needs, since fresh processes import it again."""


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


class ProcessLostError(InputError):
    """A fresh process could not be started, or ended before its work did."""


def in_fresh_process(work: Callable[..., T], *arguments: object, timeout_s: float | None = None) -> T:
    """Call a function in a fresh process and return its result (or raise its error); an interrupt ends the process.

    Raises: ProcessLostError (an InputError) when the process could not be started, or ended before the function did;
        TimeoutError after `timeout_s`.
    """
    with ProcessPool(max_workers=1, max_tasks=1, context=get_context("spawn")) as pool:
        future = pool.schedule(work, args=arguments, timeout=timeout_s)
        try:
            result: T = future.result()
        except (ProcessExpired, BrokenProcessPool) as error:
            raise ProcessLostError(
                f"a process for timings ended too early ({error}). Finished results are kept; the same command "
                f"continues. Memory may have run out; and {GUARD}"
            ) from error
        except TimeoutError as error:
            raise TimeoutError(f"not finished after {timeout_s:g} s") from error
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise
        return result
