"""Images as uint8 arrays: read once from the embedded, downloaded or user's own set, then kept in memory or mapped.

A source is a function: choice -> (train, test), each a sequence of (image, label) as torchvision's datasets are. To
add one, write it and add one entry to `SOURCES`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torchvision.datasets import CIFAR10, ImageFolder, Imagenette

from lrbench.choices import DataChoice
from lrbench.errors import InputError, nearest
from lrbench.learn.imports import import_callable

Report = Callable[[str, int, int], None]
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


@dataclass(frozen=True, kw_only=True)
class Split:
    """The images (N, 3, H, W) uint8, perhaps mapped from disk, and labels (N,) int64, at some indices (K,) of N."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        """How many images, K."""
        return len(self.indices)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Three splits: train to learn from, search to choose by, test to report on (no choice ever sees it)."""

    train: Split
    search: Split
    test: Split
    classes: int


class _Digits(Sequence[tuple[Any, int]]):
    """Half of scikit-learn's 1,797 digits, 8 x 8 grey, 0..16."""

    def __init__(self, indices: NDArray[np.int64]) -> None:
        images, labels = load_digits(return_X_y=True)
        self._images = np.round(images[indices] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
        self._labels = labels[indices]

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: Any) -> Any:
        return self._images[index], int(self._labels[index])


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
            return Imagenette(choice.root, split=name, size=size)
        except RuntimeError:
            return _downloaded(lambda: Imagenette(choice.root, split=name, size=size, download=True), choice)

    return split("train"), split("val")


def _cifar10(choice: DataChoice) -> tuple[Source, Source]:
    return (
        _downloaded(lambda: CIFAR10(choice.root, train=True, download=True), choice),
        _downloaded(lambda: CIFAR10(choice.root, train=False, download=True), choice),
    )


def _downloaded(load: Callable[[], T], choice: DataChoice) -> T:
    try:
        return load()
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"data.name={choice.name!r} could not be downloaded to data.root={choice.root!r}: {error}. Put the files "
            f"there yourself, or point data.name='folder' at a directory with train/CLASS/ and val/CLASS/ images."
        ) from error


def _folder(choice: DataChoice) -> tuple[Source, Source]:
    root = Path(choice.root)
    missing = [name for name in ("train", "val") if not (root / name).is_dir()]
    if missing:
        raise InputError(
            f"data.root={choice.root!r} has no {' and no '.join(f'{name}/' for name in missing)}: put one directory of "
            f"images for each class into train/ and val/, such as train/cat/1.jpg"
        )
    try:
        train, test = ImageFolder(root / "train"), ImageFolder(root / "val")
    except FileNotFoundError as error:
        raise InputError(f"data.root={choice.root!r}: {error}") from error
    if train.classes != test.classes:
        odd = sorted(set(train.classes) ^ set(test.classes))
        raise InputError(f"data.root={choice.root!r}: classes in only one of train/ and val/: {', '.join(odd)}")
    return train, test


def _own(choice: DataChoice) -> tuple[Source, Source]:
    train, test = import_callable(choice.name, key="data.name")(choice)
    return train, test


SOURCES: Mapping[str, Callable[[DataChoice], tuple[Source, Source]]] = MappingProxyType(
    {"digits": _digits, "imagenette": _imagenette, "cifar10": _cifar10, "folder": _folder}
)


def open_source(choice: DataChoice) -> tuple[Source, Source]:
    """The training and test images of a choice, not decoded yet.

    Raises: InputError when the name is unknown, the directory is not as it must be, or a download fails.
    """
    if choice.name in SOURCES:
        return SOURCES[choice.name](choice)
    if ":" in choice.name:
        return _own(choice)
    raise InputError(f"unknown data.name={choice.name!r}: {nearest(choice.name, SOURCES)}, or package.module:callable")


def _files(source: Source) -> list[tuple[str, int]] | None:
    """Paths and labels when the source reads image files, else None."""
    samples = getattr(source, "samples", None) or getattr(source, "_samples", None)
    return None if samples is None else [(str(path), int(label)) for path, label in samples]


def identify(choice: DataChoice) -> tuple[str, int]:
    """What identifies the images whatever directory they lie in, and their number of classes; decodes nothing.

    An official set is known by its name (and edition), files by their names and sizes, the user's own set by its
    callable and its number of images.

    Raises: InputError as `open_source` does, and when there are no images.
    """
    if choice.name in OFFICIAL:
        edition = f"-{_imagenette_size(choice)}" if choice.name == "imagenette" else ""
        return choice.name + edition, OFFICIAL[choice.name]
    train, test = open_source(choice)
    listing = _listing(train, test)
    return listing or f"{choice.name}:{len(train)}+{len(test)}", count_classes(train, test)


def _listing(train: Source, test: Source) -> str | None:
    """A digest of the names, classes and sizes of the image files, None when the images are not files."""
    digest = hashlib.sha256()
    for split, source in (("train", train), ("test", test)):
        files = _files(source)
        if files is None:
            return None
        for path, label in files:
            digest.update(f"{split}/{label}/{Path(path).name}:{Path(path).stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def count_classes(train: Source, test: Source) -> int:
    """The number of classes: what the set itself says, or the largest label seen.

    Raises: InputError when a set is empty.
    """
    if not len(train) or not len(test):
        raise InputError(f"data must have training and test images, got {len(train)} and {len(test)}")
    named = getattr(train, "classes", None)
    return len(named) if named is not None else 1 + max(int(y) for s in (train, test) for y in _labels(s))


def _labels(source: Source) -> NDArray[np.int64]:
    files = _files(source)
    if files is not None:
        return np.array([label for _, label in files], dtype=np.int64)
    targets = getattr(source, "targets", None)
    values = targets if targets is not None else [source[i][1] for i in range(len(source))]
    return np.asarray(values, dtype=np.int64)


def decode(image: Any, size: int) -> NDArray[np.uint8]:
    """An image as (3, size, size) uint8 RGB: the shorter side resized, the centre kept."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
    fitted = ImageOps.fit(picture.convert("RGB"), (size, size), method=Image.Resampling.BILINEAR)
    return np.asarray(fitted, dtype=np.uint8).transpose(2, 0, 1)


def _decode_all(source: Source, size: int, *, into: NDArray[np.uint8], what: str, report: Report) -> None:
    files = _files(source)

    def one(index: int) -> None:
        try:
            into[index] = decode(source[index][0], size)
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            name = files[index][0] if files else f"image {index} of {what}"
            raise InputError(f"{name} cannot be read as an image: {error}. Replace or remove it.") from error

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(one, range(len(source))), start=1):
            if done % 100 == 0 or done == len(source):
                report(what, done, len(source))


def _split(source: Source, choice: DataChoice, *, cache: Path | None, what: str, report: Report) -> Split:
    """Decode a source, into `cache` (mapped from there) when given."""
    labels, size = _labels(source), choice.image_size
    everything = np.arange(len(labels))
    shape = (len(source), 3, size, size)
    if cache is None:
        images = np.empty(shape, dtype=np.uint8)
        _decode_all(source, size, into=images, what=what, report=report)
        return Split(images=images, labels=labels, indices=everything)
    path = cache / f"{what}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        mapped = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        _decode_all(source, size, into=mapped, what=what, report=report)
        mapped.flush()
        part.replace(path)
    return Split(images=np.load(path, mmap_mode="r"), labels=labels, indices=everything)


def load_dataset(choice: DataChoice, *, cache: Path, report: Report = lambda what, done, total: None) -> Dataset:
    """Read a data set; image files are decoded once into `cache` and mapped from there afterwards.

    Args:
        choice: the `[data]` section.
        cache: directory for decoded images.
        report: called with (split, images decoded, images in all).

    Raises: InputError for an unknown set, a wrong directory, a corrupt image (named), or classes without images.
    """
    train, test = open_source(choice)
    classes = count_classes(train, test)
    listing = _listing(train, test)
    folder = cache / f"{listing}-{choice.image_size}px" if listing else None
    whole = _split(train, choice, cache=folder, what="train", report=report)
    held = _split(test, choice, cache=folder, what="test", report=report)
    kept, searched = carve(whole.labels, share=choice.search_share)
    return Dataset(
        train=replace(whole, indices=kept), search=replace(whole, indices=searched), test=held, classes=classes
    )


def carve(labels: NDArray[np.int64], *, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training and of the search split: each class gives about its share, always the same images.

    Raises: InputError when a class is too small to give any.
    """
    everything = np.arange(len(labels))
    if share == 0:
        return everything, everything[:0]
    try:
        kept, searched = train_test_split(everything, test_size=share, stratify=labels, random_state=0)
    except ValueError as error:
        raise InputError(f"data.search_share={share} cannot be carved from {len(labels)} images: {error}") from error
    return np.sort(kept), np.sort(searched)
