"""The results folder: append records to the log, read them back, resume, and keep the CSV tables true to the log."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from lrbench.errors import InputError
from lrbench.records import Record, from_line, to_line
from lrbench.tables import build_tables

LOG = "records.jsonl"


class Store:
    """A results folder opened by its one writer; use it as a context manager.

    A torn last line (the machine died while writing it) is moved to `records.jsonl.torn`.

    Raises: InputError when another process writes here, when the folder cannot be written, or when the log is
        damaged elsewhere than in its last line.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        """Name the folder, and whether it may be made; nothing is touched before `with`."""
        self.folder, self._create = folder, create
        self.records: list[Record] = []
        self._lock = FileLock(folder / ".lock")

    def __enter__(self) -> Self:
        """Create the folder if need be, take the lock, read the log."""
        if not self._create and not (self.folder / LOG).is_file():
            raise InputError(f"{self.folder} is no results folder: it has no {LOG}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"{self.folder} is being written by another process; wait for it, or give another --out"
            ) from error
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written: {error}") from error
        try:
            _cut_torn_line(self.folder / LOG)
            self.records = read_records(self.folder) if (self.folder / LOG).exists() else []
        except BaseException:
            self._lock.release()
            raise
        if self.records:
            self.write_tables()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        self._lock.release()

    def append(self, record: Record) -> None:
        """Write one record to disk, flushed, then rewrite the tables."""
        self.extend([record])

    def extend(self, records: Sequence[Record]) -> None:
        """Write records to disk, flushed, then rewrite the tables."""
        if not records:
            return
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write("".join(to_line(record) + "\n" for record in records))
            log.flush()
            os.fsync(log.fileno())
        self.records += records
        self.write_tables()

    def write_tables(self) -> None:
        """Rewrite every CSV table, each through a temporary name."""
        for name, table in build_tables(self.records).items():
            path = self.folder / f"{name}.csv"
            part = path.with_suffix(".csv.part")
            table.to_csv(part, index=False)
            part.replace(path)


def read_records(folder: Path) -> list[Record]:
    """Every record of a folder's log, in order.

    Raises: InputError naming file and line when there is no log or a line cannot be read.
    """
    path = folder / LOG
    records = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            records.append(from_line(line))
        except ValueError as error:
            raise InputError(f"{path}, line {number}, is no record of this version: {error}") from error
    return records


def _cut_torn_line(log: Path) -> None:
    """Move what stands behind the last line's end aside."""
    if not log.exists():
        return
    content = log.read_bytes()
    whole, newline, torn = content.rpartition(b"\n")
    if not torn:
        return
    with log.with_name(f"{LOG}.torn").open("ab") as aside:
        aside.write(torn + b"\n")
    with log.open("r+b") as file:
        file.truncate(len(whole) + len(newline))
