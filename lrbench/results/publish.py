"""Make a results folder small enough to be published: its log and its tables packed where they are large."""

from pathlib import Path

from lrbench.results import columns
from lrbench.results.files import pack
from lrbench.results.log import LOG
from lrbench.results.writers import locked


def pack_folder(folder: Path, *, least_bytes: int) -> tuple[Path, ...]:
    """Pack the log and those tables of a folder that have at least so many bytes; gives the plain files that went.

    Readers see what they saw before; a command that writes to the folder unpacks the log and writes plain tables.

    Raises: InputError when another process writes there, when a file cannot be read or written, or when a packed one
        beside it differs.
    """
    with locked(folder):
        plain = (folder / name for name in (LOG, *(f"{name}.csv" for name in columns.TABLES)))
        large = tuple(path for path in plain if path.is_file() and path.stat().st_size >= least_bytes)
        for path in large:
            pack(path)
    return large
