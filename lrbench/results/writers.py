"""Who writes a results folder: one process at a time, which signs it for as long."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lrbench.errors import InputError
from lrbench.limits import writing
from lrbench.whole import refuse_links, write_whole

LOCK, WRITER = ".lock", ".writer"
"""The lock, which the system frees when its holder dies, and beside it who holds it."""

WRITTEN = ("figures",)
"""The folders in a results folder that are written to as well."""

HELD: set[FileLock] = set()
"""The locks of folders that this process has."""


def acquire(folder: Path) -> FileLock:
    """Take the lock of a folder, for `release` to give back.

    Raises: InputError naming process and host when another one holds it, or when the folder cannot be written.
    """
    refuse_links(folder, *WRITTEN)
    lock = FileLock(folder / LOCK)
    with writing(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            who = _writer(folder) or "another process"
            raise InputError(f"{folder} is being written by {who}; wait for it, or give another --out") from error
    HELD.add(lock)
    return lock


def release(lock: FileLock) -> None:
    """Give a lock of `acquire` back."""
    lock.release()
    HELD.discard(lock)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let nobody else write to a folder.

    Raises: InputError as `acquire` does.
    """
    lock = acquire(folder)
    try:
        yield
    finally:
        release(lock)


def sign(folder: Path) -> tuple[str, ...]:
    """Sign a folder as its writer; say so when the one before it ended without closing it."""
    dead = _writer(folder)
    facts = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_whole(folder / WRITER, f"{json.dumps(facts)}\n".encode())
    return (f"{dead} ended without closing {folder}: what it finished is kept",) if dead else ()


def unsign(folder: Path) -> None:
    """Take the writer's name away; the folder may be gone."""
    with suppress(OSError):
        (folder / WRITER).unlink(missing_ok=True)


def _writer(folder: Path) -> str | None:
    """Who wrote to a folder last without having closed it, in words; None when nobody, or when it cannot be read."""
    with suppress(Exception):  # a stranger's file may hold anything
        facts = json.loads((folder / WRITER).read_text(encoding="utf-8"))
        return f"process {int(facts['pid'])} on {facts['host']} since {facts['started']}"
    return None
