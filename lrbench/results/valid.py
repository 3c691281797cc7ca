"""Whether records can be read back, and their tables: nothing else may enter a log."""

from collections.abc import Iterable
from pathlib import Path

from lrbench.errors import InputError
from lrbench.results import columns
from lrbench.results.records import Record, from_line, to_line
from lrbench.results.tables import as_csv, build_tables, read_table


def require_readable(records: Iterable[Record]) -> None:
    """Raises: ValueError saying what a log, or a table of it, would refuse."""
    kept = list(records)
    for record in kept:
        from_line(to_line(record))
    try:
        for name, table in build_tables(kept).items():
            if len(table):
                read_table(as_csv(table), columns.TABLES[name], path=Path(f"{name}.csv"))
    except InputError as error:  # a mistake of what was observed, and not of the user
        raise ValueError(str(error)) from error
