"""How processes end: with their parent, in words, and how a copy of this one ends that tries something."""

import ctypes
import faulthandler
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing import parent_process
from threading import Thread

GUARD = 'a script that calls lrbench.sweep must do so below `if __name__ == "__main__":`, for each process imports it'
"""What a script of the user's needs, since fresh processes import it again."""

PR_SET_PDEATHSIG = 1


def describe_exit(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return f"its process could not be started or did not answer; {GUARD}"
    if code >= 0:
        return f"its process ended with exit code {code}"
    name = {number.value: number.name for number in signal.Signals}.get(-code, "unknown")
    hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"its process was ended by signal {-code} ({name}){hint}"


def end_with_parent(parent: int) -> None:
    """End this process when its parent process `parent` ends, even when that was killed, and whatever runs here."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before this was asked for
            os._exit(1)
    elif (process := parent_process()) is not None:

        def watch() -> None:
            process.join()
            os._exit(1)

        Thread(target=watch, daemon=True).start()


def how_it_ends(work: Callable[[], object], *, limit_s: float) -> int | None:
    """How a copy of this process ends that does some work: 0, whatever the work returns or raises; else its exit code.

    Returns: None when nothing is known, where no copies are made.

    Raises: TimeoutError when the copy had not ended after the limit, and was ended.
    """
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the copy does not have
        copy = os.fork()
    if copy == 0:
        _try(work, parent)
    end = time.monotonic() + limit_s
    try:
        while time.monotonic() < end:
            ended, status = os.waitpid(copy, os.WNOHANG)
            if ended:
                copy = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
    finally:
        if copy:
            os.kill(copy, signal.SIGKILL)
            os.waitpid(copy, 0)
    raise TimeoutError(f"not finished after {limit_s:g} s")


def _try(work: Callable[[], object], parent: int) -> None:
    """In the copy: do the work silently, without a dump of its memory, and end."""
    import resource

    try:
        end_with_parent(parent)
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        silence = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(silence, stream)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        work()
    finally:
        os._exit(0)
