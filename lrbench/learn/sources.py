"""Where images come from: embedded, downloaded, directories of classes, or the user's own callable.

A source is a function: choice -> (train, test), each a sequence of (image, label) as torchvision's datasets are. To
add one, write it and add one entry to `SOURCES`, and its name to `lrbench.config.names.SOURCES`.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torchvision.datasets import CIFAR10, Imagenette

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError, reading
from lrbench.learn.classes import Source, classes_of, labels_of, require_classes, require_images
from lrbench.learn.image_files import ImageFiles, list_images
from lrbench.learn.images import read_as_stored, read_image
from lrbench.learn.imports import call_fitting, import_callable, try_first
from lrbench.learn.own_code import code_digest
from lrbench.learn.own_source import OwnSource

__all__ = ["SOURCES", "Source", "identify", "open_source", "read_image"]

T = TypeVar("T")

OFFICIAL = MappingProxyType({"digits": 10, "imagenette": 10, "cifar10": 10})
"""Sets whose content is fixed, with their number of classes: known without reading an image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays(Sequence[tuple[Any, int]]):
    """Images (N, H, W[, 3]) uint8 in memory, with labels (N,) and the names of the classes."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """How many images."""
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        """An image with its label."""
        return self.images[index], int(self.labels[index])


def _digits(_: DataChoice) -> tuple[Source, Source]:
    images, labels = load_digits(return_X_y=True)
    levels = np.round(images * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    names = tuple(map(str, range(10)))
    first, second = (Arrays(images=levels[some], labels=labels[some], classes=names) for some in (train, test))
    return first, second


def _imagenette_size(choice: DataChoice) -> str:
    """The smallest official edition that need not be enlarged."""
    return "160px" if choice.image_size <= 160 else "320px" if choice.image_size <= 320 else "full"


def _imagenette(choice: DataChoice) -> tuple[Source, Source]:
    size = _imagenette_size(choice)

    def split(name: str) -> ImageFiles:
        try:
            listed = Imagenette(choice.root, split=name, size=size)
        except RuntimeError:
            listed = _downloaded(lambda: Imagenette(choice.root, split=name, size=size, download=True), choice)
        files = tuple((str(path), int(label)) for path, label in listed._samples)
        return ImageFiles(files=files, classes=tuple(name for name, *_ in listed.classes), read=read_as_stored)

    return split("train"), split("val")


def _cifar10(choice: DataChoice) -> tuple[Source, Source]:
    def split(train: bool) -> Arrays:
        held = _downloaded(lambda: CIFAR10(choice.root, train=train, download=True), choice)
        return Arrays(images=held.data, labels=np.array(held.targets), classes=tuple(held.classes))

    return split(True), split(False)


@contextmanager
def safe_archives() -> Iterator[None]:
    """Refuse members of tar archives that would land elsewhere, or are not plain files; Python does so from 3.14 on.

    torchvision names no filter of its own. zipfile drops `..` and absolute paths by itself.
    """
    before = tarfile.TarFile.extraction_filter
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before


def _downloaded(load: Callable[[], T], choice: DataChoice) -> T:
    hint = "Put the files there yourself, or point data.name='folder' at a directory of train/CLASS/ and val/CLASS/"
    what = f"data.name={choice.name!r}"
    with reading(what, f"could not be downloaded to data.root={choice.root!r}", hint=hint), safe_archives():
        return load()


def _folder(choice: DataChoice) -> tuple[Source, Source]:
    root = Path(choice.root)
    missing = [name for name in ("train", "val") if not (root / name).is_dir()]
    if missing:
        raise InputError(
            f"data.root={choice.root!r} has no {' and no '.join(f'{name}/' for name in missing)}: put one directory of "
            f"images for each class into train/ and val/, such as train/cat/1.jpg"
        )
    train, test = (list_images(root / name) for name in ("train", "val"))
    if train.classes != test.classes:
        unmatched = ", ".join(sorted(set(train.classes) ^ set(test.classes)))
        raise InputError(f"data.root={choice.root!r}: classes in only one of train/ and val/: {unmatched}")
    return train, test


def _own(choice: DataChoice) -> tuple[Source, Source]:
    what = f"data.name={choice.name!r}"

    def load() -> tuple[Source, Source]:
        function = import_callable(choice.name, key="data.name")
        pair = call_fitting(function, choice, word="choice", name=choice.name, key="data.name")
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError(f"{what} must return (train, test), got {type(pair).__name__}")
        return OwnSource(pair[0], f"train of {what}"), OwnSource(pair[1], f"test of {what}")

    try_first(lambda: [source[0] for source in load()], choice.name, choice.root, key="data.name")
    return load()


SOURCES: Mapping[str, Callable[[DataChoice], tuple[Source, Source]]] = MappingProxyType(
    {"digits": _digits, "imagenette": _imagenette, "cifar10": _cifar10, "folder": _folder}
)


def open_source(choice: DataChoice) -> tuple[Source, Source]:
    """The training and test images of a choice, not decoded yet.

    Raises: InputError when the directory lacks what it needs, a download fails, or a callable cannot be used.
    """
    return _own(choice) if ":" in choice.name else SOURCES[choice.name](choice)


def open_search(choice: DataChoice) -> ImageFiles | None:
    """The images in the directory `data.search`; None where the choice has none.

    Raises: InputError when it is not there.
    """
    if not choice.search:
        return None
    if not Path(choice.search).is_dir():
        raise InputError(
            f"data.search={choice.search!r} is not a directory: put one directory of images for each class into it"
        )
    return list_images(Path(choice.search))


def files_of(source: Source) -> tuple[tuple[str, int], ...]:
    """Paths and labels of the files that a source reads, or names; none where it reads no files."""
    return source.files if isinstance(source, ImageFiles | OwnSource) else ()


def identify(choice: DataChoice) -> tuple[str, int]:
    """What identifies the images whatever directory they lie in, and their number of classes.

    Of the user's own set all items are read for their labels; of the others no image is.

    Raises: InputError as `open_source` does, and when there are no images.
    """
    if choice.name in OFFICIAL:
        return identity_of(choice), OFFICIAL[choice.name]
    train, test = open_source(choice)
    require_images(train, test)
    classes, names = classes_of(train, labels_of(train), labels_of(test))
    if search := open_search(choice):
        require_classes(search, classes, names)
    return identity_of(choice, train, test), classes


def identity_of(choice: DataChoice, *splits: Source) -> str:
    """What identifies the images of a choice: an official set its name (and edition), files their names and sizes.

    The user's own set has its callable, its number of images, `data.root`, the code behind the callable and the files
    that it names; a directory `data.search` its files.
    """
    listing = listing_of(splits)
    if choice.name in OFFICIAL:
        identity = f"imagenette-{_imagenette_size(choice)}" if choice.name == "imagenette" else choice.name
    elif ":" in choice.name:
        code, counts = code_digest(choice.name, key="data.name"), "+".join(str(len(split)) for split in splits)
        identity = ":".join((choice.name, counts, choice.root, code, *filter(None, (listing,))))
    else:
        identity = listing
    search = open_search(choice)
    return f"{identity}+{listing_of((search,))}" if search else identity


def listing_of(splits: Sequence[Source]) -> str:
    """A digest of the names, classes and sizes of the files of the splits; "" when one reads no files."""
    digest = hashlib.sha256()
    for split, source in zip(("train", "test"), splits, strict=False):
        if not files_of(source):
            return ""
        for path, label in files_of(source):
            with reading(path):
                size = Path(path).stat().st_size
            digest.update(f"{split}/{label}/".encode() + os.fsencode(Path(path).name) + f":{size}\n".encode())
    return digest.hexdigest()[:16]
