"""The results folder: append records to the log, read them back, resume, and keep the CSV tables true to the log."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
from filelock import FileLock

from lrbench.errors import InputError, reading
from lrbench.guard import user_code
from lrbench.limits import writing
from lrbench.results import columns
from lrbench.results.files import is_there, packed, read_file, unpack
from lrbench.results.records import Record, SpecRecord, from_line, to_line
from lrbench.results.tables import build_tables, guarded
from lrbench.results.writers import acquire, locked, release, sign, unsign
from lrbench.whole import flush_folder, free_name, refuse_link, replacing

LOG = "records.jsonl"
SPEC = "spec.toml"
"""Beside the log, the spec that it was last swept by, whole: every key with its value."""
TABLES_SHARE = 0.1
"""Of a writer's time that rewriting tables may take."""


class Store:
    """A results folder opened by its one writer; use it as a context manager.

    A packed log (`records.jsonl.gz`, of a published study) is unpacked, so that it can be appended to. A torn last line
    (the machine died while writing it) is moved to `records.jsonl.torn`. `notices` says, once opened, what was found
    and mended.

    Raises: InputError when another process writes here, when the folder cannot be written, or when the log is
        damaged elsewhere than in its last line.
    """

    def __init__(self, folder: Path, *, create: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        """Name the folder, whether it may be made, and the clock (s); nothing is touched before `with`."""
        self.folder, self._create = folder.absolute(), create
        self.records: list[Record] = []
        self.notices: tuple[str, ...] = ()
        self._lock: FileLock | None = None
        self._size = 0
        self._clock, self._due_s, self._stale = clock, 0.0, False

    def __enter__(self) -> Self:
        """Create the folder if need be, take the lock, read the log."""
        if not is_there(self.folder / LOG):
            if not self._create:
                raise InputError(f"{self.folder} is no results folder: it has no {LOG}")
            require_own(self.folder)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = acquire(self.folder)
        try:
            with writing(self.folder):
                mended = (sign(self.folder), _unpack_log(self.folder / LOG), _cut_torn_line(self.folder / LOG))
            self.notices = tuple(note for notes in mended for note in notes)
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
        unsign(self.folder)
        if self._lock is not None:
            release(self._lock)

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
            if not found:
                flush_folder(self.folder)  # the log's name, which is new
            self._size = os.fstat(log.fileno()).st_size
        self.records += records
        self._stale = True
        if self._clock() >= self._due_s:
            self.write_tables()

    def keep(self, records: Iterator[Record], tell: Callable[[Record], None]) -> None:
        """Append records as they come, and tell of each once it is on disk; what makes them is closed, come what may.

        A user's code may run as they are made.

        Raises: InputError as `extend` does, and whatever making the records raises.
        """
        with user_code(), closing(records) if isinstance(records, Generator) else nullcontext():
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
    """Write a table as CSV through a temporary name, so that a reader never sees half of it; a packed one goes."""
    with replacing(path) as part:
        guarded(table).to_csv(part, index=False)
    with writing(path):
        packed(path).unlink(missing_ok=True)


def require_own(folder: Path) -> None:
    """Raises: InputError when a folder without a log holds files that a sweep would replace: they are somebody's."""
    refuse_link(folder / LOG)
    names = (SPEC, "figures", *(f"{name}.csv" for name in columns.TABLES))
    if found := [name for name in names if (folder / name).exists()]:
        raise InputError(
            f"{folder} is no results folder, for it has no {LOG}, but it holds {found[0]}, which would be replaced. "
            "Nothing was changed; choose another folder with --out, or move that away"
        )


def read_records(folder: Path) -> list[Record]:
    """Every record of a folder's log, packed or not, in order; a line that is still being written is left out.

    Raises: InputError naming file and line when there is no log, it cannot be unpacked, or a line cannot be read.
    """
    return [_read_line(number, line, folder) for number, line in _numbered_lines(folder)]


def last_spec(folder: Path) -> SpecRecord | None:
    """The spec that a folder was last swept by; None where there is no log, or none in it. Other lines are not read.

    Raises: InputError as `read_records` does.
    """
    lines = _numbered_lines(folder) if is_there(folder / LOG) else []
    noted = (_read_line(number, line, folder) for number, line in reversed(lines) if b'"kind":"spec"' in line)
    return next((record for record in noted if isinstance(record, SpecRecord)), None)


def _numbered_lines(folder: Path) -> list[tuple[int, bytes]]:
    """The whole lines of a log, from 1."""
    *lines, _ = read_file(folder / LOG).split(b"\n")
    return list(enumerate(lines, start=1))


def _read_line(number: int, line: bytes, folder: Path) -> Record:
    hint = "Nothing was changed. Put back a whole copy of the file, or delete that line: what it held is then run again"
    with reading(f"{folder / LOG}, line {number},", "is no record of this version", hint=hint):
        return from_line(line.decode())


def set_aside(folder: Path) -> Path | None:
    """Move a results folder to the first free `NAME.old-N` beside it; None when there is nothing to move.

    Raises: InputError when another process writes there, or the folder cannot be moved.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    with locked(folder), writing(folder):
        unsign(folder)
        target = free_name(folder)
        folder.absolute().rename(target)
    return folder.with_name(target.name)


def _unpack_log(log: Path) -> tuple[str, ...]:
    """Unpack a packed log, and say so."""
    return (f"{packed(log)} was unpacked, to be appended to",) if unpack(log) else ()


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
