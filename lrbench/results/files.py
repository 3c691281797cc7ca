"""Files of a results folder: each is there whole or not at all, and lies as it is or packed by gzip, as `NAME.gz`.

Published studies are packed. Readers name the plain file and get its content either way; writers leave it plain.
"""

import gzip
from io import BytesIO
from pathlib import Path

from lrbench.errors import InputError, reading
from lrbench.limits import writing
from lrbench.whole import refuse_link, write_whole


def packed(path: Path) -> Path:
    """What a file is called once it is packed."""
    return path.with_name(f"{path.name}.gz")


def place_of(path: Path) -> Path:
    """Where a file's content lies: the file itself, or where only that is there, the packed one."""
    return packed(path) if packed(path).is_file() and not path.is_file() else path


def is_there(path: Path) -> bool:
    """Whether a file is there, as it is or packed."""
    return place_of(path).is_file()


def read_file(path: Path) -> bytes:
    """The content of a file, as it is or packed. Where both are there, as a kill may leave them, they must agree.

    Raises: InputError when it cannot be read, is a link, when the packed one is damaged, or when the two differ.
    """
    for form in (path, packed(path)):
        refuse_link(form)
    with reading(path):
        if not packed(path).is_file():
            return path.read_bytes()
        content = _unpacked(packed(path))
        plain = path.read_bytes() if path.is_file() else content
    if plain != content:
        raise InputError(
            f"{path} ({len(plain):,} bytes) and {packed(path).name} beside it ({len(content):,} bytes unpacked) "
            "differ, so which one counts is not known. Nothing was changed; remove the one that is out of date"
        )
    return content


def _unpacked(path: Path) -> bytes:
    """The content of a packed file.

    Raises: InputError when it is no gzip file, is cut short, or fails its checksum.
    """
    hint = "Nothing was changed. Put back a whole copy of it; a table may also be removed: the sweep's own command"
    with reading(path, "is damaged", hint=f"{hint} writes it anew, from the log"):
        raw = path.read_bytes()
        if not raw:
            raise EOFError("it is empty")
        return gzip.decompress(raw)


def pack(path: Path) -> None:
    """Put a file's packed form in its place: the same bytes for the same content, whenever and wherever it lies.

    Raises: InputError as `read_file` and `write_whole` do.
    """
    content, packing = read_file(path), BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packing, mtime=0) as file:
        file.write(content)
    write_whole(packed(path), packing.getvalue())
    with writing(path):
        path.unlink(missing_ok=True)


def unpack(path: Path) -> bool:
    """Put a packed file's content in its place, as the plain file `path`; says whether there was a packed one.

    The packed file goes last, so that one of them is whole at any moment.

    Raises: InputError as `read_file` and `write_whole` do.
    """
    if not packed(path).is_file():
        return False
    write_whole(path, read_file(path))
    with writing(path):
        packed(path).unlink()
    return True
