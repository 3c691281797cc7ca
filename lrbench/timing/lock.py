"""One timing at a time on this machine, whoever runs it: a lock that all accounts share, and who has it."""

import fcntl
import json
import os
import pwd
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from lrbench.errors import InputError
from lrbench.progress import Progress
from lrbench.shown import said, shown

LOCK = Path("/tmp/lrbench-timing.lock")
"""The file whose lock a timing on this machine holds while it runs; the system frees it when its holder dies."""

WAIT_S = 2 * 3600.0
"""Seconds that a timing waits for another one before it gives up."""

POLL_S = 0.5
"""Seconds between two tries."""


class BusyError(InputError):
    """Another timing had this machine for longer than one waits."""


@contextmanager
def alone(
    progress: Progress,
    *,
    wait_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[None]:
    """Hold the lock for timings on this machine; wait until it is free, and say for whom and how long.

    Raises: BusyError after `wait_s` (`WAIT_S` by default); InputError when the lock cannot be used.
    """
    limit_s, begun, told = WAIT_S if wait_s is None else wait_s, clock(), ""
    number = _open()
    try:
        while not _try(number):
            if clock() - begun >= limit_s:
                raise BusyError(
                    f"no timing was possible: {holder()} had this machine for timings for {_words(limit_s)}. What is "
                    "finished is kept; the same command continues"
                )
            if (text := f"waiting up to {_words(limit_s)} for {holder()}, which times on this machine") != told:
                progress("latency", told := text, 0, 1)
            sleep(POLL_S)
        _sign(number)
        yield
    finally:
        os.close(number)


def busy() -> str | None:
    """Who times on this machine now, in words; None when nobody does.

    Raises: InputError when the lock cannot be used, so that timings would fail too.
    """
    number = _open()
    try:
        return None if _try(number) else holder()
    finally:
        os.close(number)


def holder() -> str:
    """Who has the lock, or had it last, in words."""
    with suppress(Exception):  # any account may write there
        facts = json.loads(LOCK.read_bytes()[:1000])
        return shown(f"process {int(facts['pid'])} of {str(facts['user'])[:40]} (since {str(facts['started'])[:40]})")
    return "another process"


def _open() -> int:
    """The open lock. A file of another account must not be opened as if to make it: Linux refuses that in /tmp."""
    try:
        for _ in range(2):
            for way in (os.O_RDWR, os.O_RDONLY):
                with suppress(FileNotFoundError, PermissionError):
                    return os.open(LOCK, way | os.O_NOFOLLOW | os.O_NONBLOCK)
            with suppress(FileExistsError):
                number = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
                os.fchmod(number, 0o666)  # whatever the umask: other accounts lock it too
                return number
    except OSError as error:
        raise InputError(f"{LOCK}, the lock of timings on this machine, cannot be used: {said(error)}") from error
    raise InputError(f"{LOCK}, the lock of timings on this machine, cannot be used: this account may not read it")


def _try(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InputError(f"{LOCK}, the lock of timings on this machine, cannot be used: {said(error)}") from error
    return True


def _sign(number: int) -> None:
    """Write who has the lock into it, where this account may."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # an account without a name
        user = f"account {os.getuid()}"
    facts = {"pid": os.getpid(), "user": user, "started": datetime.now(UTC).isoformat(timespec="seconds")}
    with suppress(OSError):
        os.ftruncate(number, 0)
        os.pwrite(number, json.dumps(facts).encode(), 0)


def _words(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"
