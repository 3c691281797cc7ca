"""Where timings run: each in a process of its own."""

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

from lrbench.errors import InputError

T = TypeVar("T")

GUARD = 'a script that calls lrbench.sweep must do so below `if __name__ == "__main__":`, for each process imports it'
"""What a script of the user's needs, since fresh processes import it again."""


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
