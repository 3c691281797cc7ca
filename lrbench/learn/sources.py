"""Where images come from: embedded, downloaded, directories of classes, or the user's own callable.

A source is a function: choice -> (train, test), each a sequence of (image, label) as torchvision's datasets are. To
add one, write it and add one entry to `SOURCES`, and its name to `lrbench.config.names.SOURCES`.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torchvision.datasets import CIFAR10, ImageFolder, Imagenette

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError, reading
from lrbench.learn.imports import call_fitting, import_callable, source_digest, try_first
from lrbench.learn.own_source import CLASSES, OwnSource

T = TypeVar("T")

OFFICIAL = MappingProxyType({"digits": 10, "imagenette": 10, "cifar10": 10})
"""Sets whose content is fixed, with their number of classes: known without reading an image."""


class Source(Protocol):
    """A sequence of (PIL image or uint8 array (H, W[, 3]), label)."""

    def __len__(self) -> int:
        """How many images."""
        ...

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        """One image with its label."""
        ...


class _Digits(Sequence[tuple[Any, int]]):
    """Those of scikit-learn's 1,797 digits, 8 x 8 grey, that stand at some indices."""

    classes = tuple(map(str, range(10)))

    def __init__(self, indices: NDArray[np.int64]) -> None:
        images, labels = load_digits(return_X_y=True)
        self._images = np.round(images[indices] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
        self._labels = labels[indices]

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: Any) -> Any:
        return self._images[index], int(self._labels[index])


def read_image(path: str) -> Image.Image:
    """The image in a file, decoded, in its own mode.

    Raises: InputError naming the file, whatever its decoder raises.
    """
    with reading(path, "cannot be read as an image", hint="Replace or remove it."), Image.open(path) as image:
        return image.copy()


def _digits(_: DataChoice) -> tuple[Source, Source]:
    labels = load_digits(return_X_y=True)[1]
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    return _Digits(train), _Digits(test)


def _imagenette_size(choice: DataChoice) -> str:
    """The smallest official edition that need not be enlarged."""
    return "160px" if choice.image_size <= 160 else "320px" if choice.image_size <= 320 else "full"


def _imagenette(choice: DataChoice) -> tuple[Source, Source]:
    size = _imagenette_size(choice)

    def split(name: str) -> Imagenette:
        try:
            return Imagenette(choice.root, split=name, size=size, loader=read_image)
        except RuntimeError:
            return _downloaded(
                lambda: Imagenette(choice.root, split=name, size=size, download=True, loader=read_image), choice
            )

    return split("train"), split("val")


def _cifar10(choice: DataChoice) -> tuple[Source, Source]:
    return (
        _downloaded(lambda: CIFAR10(choice.root, train=True, download=True), choice),
        _downloaded(lambda: CIFAR10(choice.root, train=False, download=True), choice),
    )


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
    with reading(f"data.root={choice.root!r}"):
        train, test = (ImageFolder(root / name, loader=read_image) for name in ("train", "val"))
    if train.classes != test.classes:
        unmatched = sorted(set(train.classes) ^ set(test.classes))
        raise InputError(f"data.root={choice.root!r}: classes in only one of train/ and val/: {', '.join(unmatched)}")
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


def files_of(source: Source) -> list[tuple[str, int]] | None:
    """Paths and labels when the source reads image files, else None."""
    samples = getattr(source, "samples", None) or getattr(source, "_samples", None)
    return None if samples is None else [(str(path), int(label)) for path, label in samples]


def identify(choice: DataChoice) -> tuple[str, int]:
    """What identifies the images whatever directory they lie in, and their number of classes; decodes nothing.

    An official set is known by its name (and edition), files by their names and sizes, the user's own set by its
    callable, the file that defines it, `data.root` and its number of images.

    Raises: InputError as `open_source` does, and when there are no images.
    """
    if choice.name in OFFICIAL:
        edition = f"-{_imagenette_size(choice)}" if choice.name == "imagenette" else ""
        return choice.name + edition, OFFICIAL[choice.name]
    train, test = open_source(choice)
    listing = listing_of(train, test)
    if listing is not None:
        return listing, count_classes(train, test)
    own = f"{choice.name}:{len(train)}+{len(test)}:{choice.root}:{source_digest(choice.name, key='data.name')}"
    return own, count_classes(train, test)


def listing_of(train: Source, test: Source) -> str | None:
    """A digest of the names, classes and sizes of the image files, None when the images are not files."""
    digest = hashlib.sha256()
    for split, source in (("train", train), ("test", test)):
        files = files_of(source)
        if files is None:
            return None
        for path, label in files:
            with reading(path):
                size = Path(path).stat().st_size
            digest.update(f"{split}/{label}/".encode() + os.fsencode(Path(path).name) + f":{size}\n".encode())
    return digest.hexdigest()[:16]


def count_classes(train: Source, test: Source) -> int:
    """The number of classes: what the set itself says, or the largest label seen.

    Raises: InputError when a set is empty.
    """
    if not len(train) or not len(test):
        raise InputError(f"data must have training and test images, got {len(train)} and {len(test)}")
    named = getattr(train, "classes", None)
    labels = {"training": labels_of(train), "test": labels_of(test)}
    classes = len(named) if named is not None else 1 + max(int(values.max()) for values in labels.values())
    for split, values in labels.items():
        wrong = np.flatnonzero((values < 0) | (values >= min(classes, CLASSES)))
        if len(wrong):
            raise InputError(
                f"the label of {split} image {wrong[0]} must lie in 0..{min(classes, CLASSES) - 1}, "
                f"got {values[wrong[0]]}"
            )
    return classes


def names_of(source: Source) -> tuple[str, ...]:
    """The names of the classes, in the order of the labels; of several names the first. Empty where there are none."""
    named = getattr(source, "classes", None) or ()
    return tuple(str(name[0] if isinstance(name, tuple | list) else name) for name in named)


def labels_of(source: Source) -> NDArray[np.int64]:
    """The label of every image (N,), from a listing where there is one."""
    files = files_of(source)
    if files is not None:
        return np.array([label for _, label in files], dtype=np.int64)
    targets = getattr(source, "targets", None)
    values = targets if targets is not None else [source[i][1] for i in range(len(source))]
    return np.asarray(values, dtype=np.int64)
