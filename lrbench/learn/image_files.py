"""Image files as a source: those of a directory of classes, without what systems and tools leave there."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from lrbench.errors import InputError, reading
from lrbench.learn.images import read_image

SUFFIXES = (*IMG_EXTENSIONS, ".gif", ".jfif")
"""How names of images end."""

NOT_OURS = frozenset(("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"))
"""Folders of systems; like all names that begin with a dot they are left out."""

NAMED = 3
"""Files that are left out and named, of each kind."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFiles(Sequence[tuple[Any, int]]):
    """Image files, each with its label.

    Attributes:
        files: paths and labels.
        classes: names of the classes, in the order of the labels.
        left_out: what lies beside them and is not read, in words; "" when nothing does.
        read: reads a file.
    """

    files: tuple[tuple[str, int], ...]
    classes: tuple[str, ...]
    left_out: str = ""
    read: Callable[[str], Image.Image] = read_image

    def __len__(self) -> int:
        """How many images."""
        return len(self.files)

    def __getitem__(self, index: Any) -> Any:
        """An image with its label."""
        path, label = self.files[index]
        return self.read(path), label


def list_images(root: Path) -> ImageFiles:
    """The images in the folders of a directory: a class each, in the order of their names.

    Raises: InputError when there are no folders, or one without an image.
    """
    with reading(root):
        listed = sorted(root.iterdir(), key=lambda path: path.name)
        classes = [path.name for path in listed if path.is_dir() and not _is_hidden(path.name)]
        left_out = [(path.name, _why_not(path.name) or "outside the folders of classes") for path in listed]
        left_out = [(name, why) for name, why in left_out if name not in classes]
        files = []
        for label, name in enumerate(classes):
            for path in _files_below(root / name):
                hidden = [part for part in path.relative_to(root / name).parts if _is_hidden(part)]
                if hidden or (why := _why_not(path.name)):
                    left_out.append((hidden[0], "hidden") if hidden else (path.name, why))
                else:
                    files.append((str(path), label))
    if not classes:
        raise InputError(f"{root} has no folders: put one directory of images for each class into it")
    filled = {label for _, label in files}
    if empty := [name for label, name in enumerate(classes) if label not in filled]:
        suffixes = ", ".join(SUFFIXES)
        raise InputError(f"{root}: Found no valid file for the classes {', '.join(empty)}. Suffixes read: {suffixes}")
    return ImageFiles(files=tuple(files), classes=tuple(classes), left_out=_in_words(left_out))


def _files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, through links too, in torchvision's order."""
    for place, _, names in sorted(os.walk(folder, followlinks=True)):
        yield from (Path(place) / name for name in sorted(names))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in NOT_OURS


def _why_not(name: str) -> str:
    """Why a file is not read as an image; "" when it is."""
    if _is_hidden(name):
        return "hidden"
    return "" if name.lower().endswith(SUFFIXES) else "not images by their names"


def _in_words(left_out: Sequence[tuple[str, str]]) -> str:
    """What is left out, by kind: `4 hidden (._a.jpg, __MACOSX, ...); 1 not images by their names (a.txt)`."""
    kinds = Counter(why for _, why in left_out)

    def examples(kind: str) -> str:
        names = list(dict.fromkeys(name for name, why in left_out if why == kind))
        return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")

    return "; ".join(f"{count:,} {kind} ({examples(kind)})" for kind, count in kinds.items())
