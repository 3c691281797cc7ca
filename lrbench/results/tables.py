"""The tables of a results folder: tidy frames of raw values, views of its records; written, and read back."""

import re
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from lrbench.errors import InputError, reading
from lrbench.results import columns
from lrbench.results.checks import checked
from lrbench.results.columns.column import Table, Text
from lrbench.results.files import is_there, place_of, read_file
from lrbench.results.records import SCHEMA, Record, wrong_schema

ROWS_AT_ONCE = 500
"""How many rows of a table are read column by column; more would be work for Python's garbage collector."""


def build_tables(records: Sequence[Record]) -> dict[str, pd.DataFrame]:
    """All tables of a log. A trial that failed and was run again is its last outcome."""
    return {name: _build(table, records) for name, table in columns.TABLES.items()}


def _build(table: Table[Any], records: Sequence[Record]) -> pd.DataFrame:
    """One table. Cells stay Python's own, so that whole numbers stay whole beside empty ones."""
    cells: dict[str, list[Any]] = {name: [] for name in table.names}
    rows = iter(table.rows(records))
    while some := list(islice(rows, ROWS_AT_ONCE)):
        for column in table.columns:
            cells[column.name].extend(map(column.read, some))
    frame = pd.DataFrame(cells, dtype=object)
    frame.insert(0, "schema", SCHEMA)
    return frame


def load_table(folder: Path, name: str) -> pd.DataFrame:
    """One table of a results folder, `NAME.csv` or packed `NAME.csv.gz`, checked.

    Raises: InputError when the file is missing or damaged, is no table, lacks a column or is of another schema version.
    """
    plain = folder / f"{name}.csv"
    if not is_there(plain):
        raise InputError(
            f"{folder} is no results folder: it has no {name}.csv; lrbench sweep SPEC --out {folder} makes one"
        )
    return read_table(read_file(plain), columns.TABLES[name], path=place_of(plain))


def read_table(content: bytes, table: Table[Any], *, path: Path) -> pd.DataFrame:
    """A table from the content of its file, checked; errors name `path`.

    Raises: InputError as `load_table` does.
    """
    texts = [column.name for column in table.columns if isinstance(column.kind, Text)]
    frame = _read(content, path, table, texts)
    versions = [version for version in frame.get("schema", []) if version != SCHEMA]
    if versions:
        raise InputError(f"{path} cannot be read: {wrong_schema(versions[0])}")
    missing = [column for column in ("schema", *table.names) if column not in frame.columns]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}: an older lrbench wrote it, or a hand. The sweep's own "
            "command writes the tables anew, from records.jsonl"
        )
    with reading(path, "cannot be read as a table"):
        return checked(unguarded(frame, texts), table, path=path)


def as_csv(table: pd.DataFrame) -> bytes:
    """The content of a table's file."""
    return guarded(table).to_csv(index=False).encode()


def _read(content: bytes, path: Path, table: Table[Any], texts: Sequence[str]) -> pd.DataFrame:
    """The content of a file as it is, its columns named as they are now.

    Raises: InputError naming `path` when it cannot be read as a table, or ends within a line.
    """
    now = {column.formerly: column.name for column in table.columns if column.formerly}
    kept = {**dict.fromkeys(texts, str), **{then: str for then, name in now.items() if name in texts}}
    with reading(path, "cannot be read as a table"):
        frame = pd.read_csv(BytesIO(content), keep_default_na=False, na_values=[""], dtype=kept)
    if not content.endswith(b"\n"):
        raise InputError(
            f"{path} is cut short: its last line has no end; the next sweep into {path.parent} writes it anew"
        )
    return frame.rename(columns=now)


_FORMULA = re.compile(r"'*[=+\-@\t]")


def guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """A table fit for CSV and spreadsheets.

    Texts that would be taken for a formula begin with one more apostrophe; a carriage return, which ends a row where
    nobody quotes it, becomes a line feed.
    """
    cells = frame.infer_objects()
    return _mapped(cells, map(str, cells.select_dtypes(exclude=["number", "bool"])), _guard)


def _guard(text: str) -> str:
    text = text.replace("\r", "\n")
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(frame: pd.DataFrame, texts: Iterable[str]) -> pd.DataFrame:
    """A table with its texts as they were before `guarded`."""
    return _mapped(frame, texts, _unguard)


def _unguard(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text, 1) else text


def _mapped(frame: pd.DataFrame, columns: Iterable[str], change: Callable[[str], str]) -> pd.DataFrame:
    """A table whose texts in some columns are changed; itself where none changes, as nearly always."""
    changed = {}
    for column in columns:
        cells = frame[column].tolist()
        made = [change(cell) if isinstance(cell, str) else cell for cell in cells]
        if made != cells:
            changed[column] = made
    return frame.assign(**changed) if changed else frame
