"""Decoded images on disk, with a note beside them of what they are and were made of: a foreign entry is never used."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.whole import write_whole

Files = Sequence[tuple[str, int]]
"""Paths of images with their labels."""


def note_of(array: Path) -> Path:
    """The file beside a decoded array that says what it is."""
    return array.with_suffix(".json")


def write_note(array: Path, files: Files, labels: NDArray[np.int64]) -> None:
    """Note what a decoded array is: its labels, its content and that of its images, with sizes and times."""
    note = {"content": digest_of(array), "images": _digest_all(files), "labels": labels.tolist()}
    _write(array, {**note, **_stamps(array, files)})


def _write(array: Path, note: Mapping[str, Any]) -> None:
    write_whole(note_of(array), json.dumps(note).encode())


def why_unusable(array: Path, files: Files, *, shape: tuple[int, ...]) -> str:
    """Why a decoded array is not to be used; "" when it is what its note says, of images that are as they were.

    Contents are read only where a size or a time has changed.
    """
    if not note_of(array).is_file():
        return "nothing says what it holds: an older lrbench wrote it, or something else"
    try:
        held: Any = np.load(array, mmap_mode="r")
        note = json.loads(note_of(array).read_text(encoding="utf-8"))
        content, images, stamps = note["content"], note["images"], (note["array"], note["files"])
        labels = np.array(note["labels"], dtype=np.int64)
    except Exception as error:  # numpy, json and the file system each raise their own
        return f"it cannot be read: {type(error).__name__}"
    if held.shape != shape or held.dtype != np.uint8:
        return f"it holds {held.dtype} of shape {held.shape}, not uint8 of shape {shape}"
    if len(labels) != len(held):
        return f"its note has {len(labels)} labels for {len(held)} images"
    now = _stamps(array, files)
    if now["array"] != stamps[0] and digest_of(array) != content:
        return "its content is not what was decoded"
    if now["files"] != stamps[1] and _digest_all(files) != images:
        return "its images have other contents now"
    if (now["array"], now["files"]) != stamps:
        _write(array, {**note, **now})
    return ""


def labels_of(array: Path) -> NDArray[np.int64]:
    """The labels of a decoded array that `why_unusable` has nothing against."""
    return np.array(json.loads(note_of(array).read_text(encoding="utf-8"))["labels"], dtype=np.int64)


def mapped(array: Path) -> NDArray[np.uint8]:
    """A decoded array, mapped from disk."""
    images: NDArray[np.uint8] = np.load(array, mmap_mode="r")
    return images


def digest_of(path: Path) -> str:
    """A digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_all(files: Files) -> str:
    """A digest of the contents of all images, in order."""
    return hashlib.sha256("".join(digest_of(Path(path)) for path, _ in files).encode()).hexdigest()


def _stamps(array: Path, files: Files) -> dict[str, Any]:
    """Sizes and times: of the array, and a digest of those of its images."""
    facts = "".join(f"{path} {label} {_stamp(Path(path))}\n" for path, label in files)
    return {"array": _stamp(array), "files": hashlib.sha256(facts.encode(errors="surrogateescape")).hexdigest()}


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
