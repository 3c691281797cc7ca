"""What the machine allows: writing, free disk, free memory, CPUs. Each error names the place and how much is left."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lrbench.errors import InputError


@contextmanager
def writing(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn an error of the file system while `path` is written into an InputError that names it.

    `errors` are a library's own errors that mean the same as OSError.
    """
    refusals: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield
    except refusals as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path} cannot be written: {reason}. Finished results are kept; the same command continues from them"
        ) from error


def require_writable(folder: Path) -> None:
    """Make a directory where there is none, and check that files can be written to it.

    Raises: InputError when it cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def put_aside(path: Path) -> Path:
    """Move a file that cannot be used to the first free `NAME.bad-N` beside it, so that nothing is lost or used."""
    names = (path.with_name(f"{path.name}.bad-{number}") for number in range(1, 10**6))
    target = next(name for name in names if not name.exists())
    with writing(target):
        path.replace(target)
    return target


def require_disk(folder: Path, size_bytes: int, *, what: str, free: Callable[[Path], int] | None = None) -> None:
    """Raises: InputError when the file system of an existing directory has less space left than is needed."""
    left = shutil.disk_usage(folder).free if free is None else free(folder)
    if left < size_bytes:
        raise InputError(
            f"{folder} has {in_words(left)} of free disk space, but {what} need about {in_words(size_bytes)}: "
            "free some space or choose another directory"
        )


def require_memory(size_bytes: int, *, what: str, left: int | None = None) -> None:
    """Raises: InputError when this machine (or container) has less memory left than is needed."""
    left = memory_left() if left is None else left
    if left < size_bytes:
        raise InputError(f"{in_words(left)} of memory is free, but {what} need at least {in_words(size_bytes)}")


def memory_left() -> int:
    """Bytes that may still be taken, by the machine and by its container (cgroup 2)."""
    left = psutil.virtual_memory().available
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        left = min(left, int(limit.read_text()) - int(used.read_text()))
    return left


def usable_cpus() -> int:
    """How many logical CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def require_cpus(threads: int, *, what: str = "threads") -> None:
    """Raises: InputError when there are more threads than logical CPUs that this process may run on."""
    if threads > usable_cpus():
        raise InputError(f"{what} must lie in 1..{usable_cpus()}, the CPUs that this process may use, got {threads}")


def in_words(size_bytes: float) -> str:
    """`1.5 GB`: decimal units, two figures and more."""
    for unit in ("bytes", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.1f} GB"
