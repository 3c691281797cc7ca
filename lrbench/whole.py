"""How a file is written: whole or not at all, under a name of its own until then, flushed to disk.

A folder that strangers filled may hold links; nothing is written through them. What a killed writer left is swept away
by the next one in that folder.
"""

import ctypes
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from lrbench.errors import InputError
from lrbench.limits import writing

try:
    import fcntl
except ImportError:  # not on Windows, where a part that was left stays
    fcntl = None  # type: ignore[assignment]

_PART = re.compile(r"\.[0-9a-f]{16}\.part(\.\w+)?")
"""A name that only this file gives."""


@contextmanager
def replacing(path: Path, *errors: type[Exception], suffix: str = "") -> Iterator[Path]:
    """The name of a new, empty file beside `path`, which takes its place at the end; on any error it is removed.

    It is new and no link, has the rights that the umask leaves, and is flushed to disk together with its folder. A
    library may write to its name, or replace it.

    Args:
        path: what is written; what lies there stays until the end, a link is replaced itself.
        errors: a library's own errors that mean the same as OSError.
        suffix: the end of the name, where a library goes by that.

    Raises: InputError naming `path` when the disk refuses it; then what was there before still is.
    """
    _refuse_device(path)
    with writing(path, *errors), _writer_of(path.parent):
        part = path.parent / f".{token_hex(8)}.part{suffix}"
        new = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            mode = stat.S_IMODE(os.fstat(new).st_mode)
            os.close(new)
            yield part
            part.chmod(mode)  # some libraries let nobody else read what they write
            _flush(part)
            part.replace(path)
            flush_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file's content; see `replacing`.

    Raises: InputError when the disk refuses it; then what was there before still is.
    """
    with replacing(path) as part:
        part.write_bytes(content)


@contextmanager
def _writer_of(folder: Path) -> Iterator[None]:
    """A writer in a folder among others; before it begins, what dead ones left is swept away.

    Each writer shares a lock on the folder itself, which the system frees when it dies: who has it alone knows that
    every part is a dead one's.
    """
    if fcntl is None:
        yield
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # others write, or the file system has no such locks
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sweep(folder)
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_SH)
        yield
    finally:
        os.close(number)


@contextmanager
def new_folder(beside: Path) -> Iterator[Path]:
    """A new, empty folder beside a path, for what takes that path's place by `rename_whole`; it is gone at the end.

    Raises: InputError naming the path when the disk refuses it.
    """
    with writing(beside):
        beside.parent.mkdir(parents=True, exist_ok=True)
        with _writer_of(beside.parent):
            part = beside.parent / f".{token_hex(8)}.part"
            part.mkdir()
            try:
                yield part
            finally:
                shutil.rmtree(part, ignore_errors=True)


def rename_whole(folder: Path, target: Path) -> None:
    """Flush all files in a folder to disk, and give it the name `target`, which nothing but an empty folder has."""
    with writing(target):
        flush_files(folder)
        folder.rename(target)
        flush_folder(target.parent)


def flush_files(folder: Path) -> None:
    """Flush all files in a folder, and in those below it, to disk; raises OSError."""
    for root, _, files in os.walk(folder):
        for name in files:
            if not (Path(root) / name).is_symlink():
                _flush(Path(root) / name)
        flush_folder(Path(root))


def swap(new: Path, old: Path) -> None:
    """Let two folders, both there, change names: at once where the system can, so that each is whole at any moment.

    Raises: OSError.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):  # Linux
        if library.renameat2(AT_CWD, os.fsencode(new), AT_CWD, os.fsencode(old), EXCHANGE) == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    aside = free_name(old)
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)


AT_CWD, EXCHANGE = -100, 2
"""Of renameat2(2)."""


def free_name(path: Path) -> Path:
    """The first of `NAME.old-1`, `NAME.old-2`, ... that is free beside a path."""
    place = path.absolute()
    names = (place.with_name(f"{place.name}.old-{number}") for number in range(1, 10**6))
    return next(name for name in names if not os.path.lexists(name))


def make_room(path: Path, *, is_ours: bool) -> Path | None:
    """Move what lies at a path to a free name beside it, unless lrbench wrote it; gives that name, if any.

    Raises: InputError when it cannot be moved.
    """
    if is_ours or not os.path.lexists(path):
        return None
    _refuse_device(path)
    target = free_name(path)
    with writing(path):
        path.absolute().rename(target)
    return target


def begins(path: Path, *marks: bytes) -> bool:
    """Whether a plain file's first 4 kB hold one of some marks."""
    if not path.is_file():  # a pipe would wait for ever
        return False
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return any(mark in head for mark in marks)


def _refuse_device(path: Path) -> None:
    """Raises: InputError when a path is a device or pipe, which a file must not replace."""
    with suppress(OSError):
        kind = path.lstat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind)):
            raise InputError(f"{path} is no plain file, so nothing is written to it")


def _sweep(folder: Path) -> None:
    """Remove the parts in a folder, that of no living writer."""
    for part in [path for path in folder.iterdir() if _PART.fullmatch(path.name)]:
        with suppress(OSError):
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink()


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, where the system can do that."""
    if fcntl is not None:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # this file system has no such thing
                raise
        finally:
            os.close(number)


def refuse_links(folder: Path, *below: str) -> None:
    """Raises: InputError when a folder, or one of those `below` it, holds anything but plain files and folders.

    A link leads out of the folder, and a pipe waits for ever.
    """
    for place in (folder, *(folder / name for name in below)):
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in list(place.iterdir()):
                refuse_link(path)


def refuse_link(path: Path) -> None:
    """Raises: InputError when there is something at a path that is neither a plain file nor a folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        kind = path.lstat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            what = "a link" if stat.S_ISLNK(kind) else "no plain file"
            raise InputError(
                f"{path} is {what}, and a results folder may hold plain files and folders only. Nothing was changed; "
                "put the file itself there, or choose another folder"
            )
