"""The results folder: append records to the log, read them back, resume, and keep the CSV tables true to the log."""

import json
import os
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
from filelock import FileLock, Timeout

from lrbench.errors import InputError
from lrbench.limits import writing
from lrbench.results.records import Record, from_line, to_line
from lrbench.results.tables import build_tables, guarded

LOG = "records.jsonl"
LOCK, WRITER = ".lock", ".writer"
"""The lock, which the system frees when its holder dies, and beside it who holds it."""
TABLES_SHARE = 0.1
"""Of a writer's time that rewriting tables may take."""


class Store:
    """A results folder opened by its one writer; use it as a context manager.

    A torn last line (the machine died while writing it) is moved to `records.jsonl.torn`. `notices` says, once opened,
    what was found and mended.

    Raises: InputError when another process writes here, when the folder cannot be written, or when the log is
        damaged elsewhere than in its last line.
    """

    def __init__(self, folder: Path, *, create: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        """Name the folder, whether it may be made, and the clock (s); nothing is touched before `with`."""
        self.folder, self._create = folder, create
        self.records: list[Record] = []
        self.notices: tuple[str, ...] = ()
        self._lock = FileLock(folder / LOCK)
        self._size = 0
        self._clock, self._due_s, self._stale = clock, 0.0, False

    def __enter__(self) -> Self:
        """Create the folder if need be, take the lock, read the log."""
        if not self._create and not (self.folder / LOG).is_file():
            raise InputError(f"{self.folder} is no results folder: it has no {LOG}")
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            _acquire(self._lock, self.folder)
        try:
            with writing(self.folder):
                self.notices = (*_note_dead_writer(self.folder), *_cut_torn_line(self.folder / LOG))
            self.records = read_records(self.folder) if (self.folder / LOG).exists() else []
            self._size = (self.folder / LOG).stat().st_size if (self.folder / LOG).exists() else 0
            if self.records:
                self.write_tables()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Bring the tables up to date, and give the lock back."""
        try:
            if self._stale:
                self.write_tables()
        except InputError:
            if error is None:  # else the first reason is the one to tell
                raise
        finally:
            self._release()

    def _release(self) -> None:
        with suppress(OSError):  # the folder may be gone
            (self.folder / WRITER).unlink(missing_ok=True)
        self._lock.release()

    def append(self, record: Record) -> None:
        """Write one record to disk, flushed; see `extend`."""
        self.extend([record])

    def extend(self, records: Sequence[Record]) -> None:
        """Write records to disk, flushed, then rewrite the tables, unless that was done a moment ago.

        Tables of a long log take long to write: they follow it at most by `TABLES_SHARE` of the time, and to the last
        record once the folder is closed.

        Raises: InputError when the disk refuses them, in which case none of them is in the log, or when the log is not
            as this writer left it.
        """
        if not records:
            return
        path = self.folder / LOG
        with writing(path), path.open("ab", buffering=0) as log:
            found = os.fstat(log.fileno()).st_size
            if found != self._size:
                raise InputError(
                    f"{path} was changed by something else while this command wrote it: it should hold {self._size:,} "
                    f"bytes, and holds {found:,}. Nothing was added; the same command continues from what is there"
                )
            try:
                rest = memoryview("".join(to_line(record) + "\n" for record in records).encode())
                while rest:
                    rest = rest[log.write(rest) :]
                os.fsync(log.fileno())
            except OSError:
                log.truncate(found)
                raise
            self._size = os.fstat(log.fileno()).st_size
        self.records += records
        self._stale = True
        if self._clock() >= self._due_s:
            self.write_tables()

    def keep(self, records: Iterator[Record], tell: Callable[[Record], None]) -> None:
        """Append records as they come, and tell of each once it is on disk; what makes them is closed, come what may.

        Raises: InputError as `extend` does, and whatever making the records raises.
        """
        with closing(records) if isinstance(records, Generator) else nullcontext():
            for record in records:
                self.append(record)
                tell(record)

    def write_tables(self) -> None:
        """Rewrite every CSV table, each through a temporary name."""
        started = self._clock()
        for name, table in build_tables(self.records).items():
            write_table(table, self.folder / f"{name}.csv")
        ended = self._clock()
        self._stale, self._due_s = False, ended + (ended - started) / TABLES_SHARE


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV through a temporary name, so that a reader never sees half of it."""
    part = path.with_suffix(".csv.part")
    with writing(path):
        guarded(table).to_csv(part, index=False)
        part.replace(path)


def read_records(folder: Path) -> list[Record]:
    """Every record of a folder's log, in order; a line that is still being written is left out.

    Raises: InputError naming file and line when there is no log or a line cannot be read.
    """
    path = folder / LOG
    try:
        *lines, _ = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(from_line(line.decode()))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}, is no record of this version: {error}. Nothing was changed. Put back a whole "
                "copy of the file, or delete that line: what it held is then run again"
            ) from error
    return records


def set_aside(folder: Path) -> Path | None:
    """Move a results folder to the first free `NAME.old-N` beside it; None when there is nothing to move.

    Raises: InputError when another process writes there, or the folder cannot be moved.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    lock = FileLock(folder / LOCK)
    with writing(folder):
        _acquire(lock, folder)
        try:
            (folder / WRITER).unlink(missing_ok=True)
            names = (folder.with_name(f"{folder.absolute().name}.old-{number}") for number in range(1, 10**6))
            target = next(name for name in names if not name.exists())
            folder.absolute().rename(target.absolute())
        finally:
            lock.release()
    return target


def _acquire(lock: FileLock, folder: Path) -> None:
    """Take the lock of a folder and say who holds it.

    Raises: InputError naming process and host when another one holds it.
    """
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{folder} is being written by {_writer(folder) or 'another process'}; wait for it, or give another --out"
        ) from error


def _writer(folder: Path) -> str | None:
    """Who wrote to a folder last without having closed it, in words; None when nobody, or when it cannot be read."""
    try:
        facts = json.loads((folder / WRITER).read_text(encoding="utf-8"))
        return f"process {int(facts['pid'])} on {facts['host']} since {facts['started']}"
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _note_dead_writer(folder: Path) -> tuple[str, ...]:
    """Sign a folder as its writer; say so when the one before it ended without closing it."""
    dead = _writer(folder)
    facts = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (folder / WRITER).write_text(json.dumps(facts) + "\n", encoding="utf-8")
    return (f"{dead} ended without closing {folder}: what it finished is kept",) if dead else ()


def _cut_torn_line(log: Path) -> tuple[str, ...]:
    """Move what stands behind the last line's end aside, and say so."""
    if not log.exists():
        return ()
    content = log.read_bytes()
    whole, newline, torn = content.rpartition(b"\n")
    if not torn:
        return ()
    aside = log.with_name(f"{LOG}.torn")
    with aside.open("ab") as file:
        file.write(torn + b"\n")
    with log.open("r+b") as file:
        file.truncate(len(whole) + len(newline))
    return (f"the last line of {log} was torn ({len(torn)} bytes): moved to {aside}, its trial runs again",)
