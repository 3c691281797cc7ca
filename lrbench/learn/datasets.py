"""Images as uint8 arrays: decoded once from their source, then kept in memory or mapped from disk."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sklearn.model_selection import train_test_split

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.guard import guarded
from lrbench.learn import decoded
from lrbench.learn.decoded import why_unusable, write_note
from lrbench.learn.imports import source_digest
from lrbench.learn.sources import Source, count_classes, files_of, labels_of, listing_of, names_of, open_source
from lrbench.limits import put_aside, require_disk, require_memory, writing
from lrbench.progress import Progress, silent
from lrbench.whole import replacing


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
    """Three splits: train to learn from, search to choose by, test to report on (no choice ever sees it).

    `class_names` are in the order of the labels, empty when the set has none.
    """

    train: Split
    search: Split
    test: Split
    classes: int
    class_names: tuple[str, ...] = ()


EIGHT_BITS = frozenset(("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"))
"""Modes of PIL whose channels are grey levels in 0..255; others would be cut off at 255."""


def decode(image: Any, size: int) -> NDArray[np.uint8]:
    """An image as (3, size, size) uint8 RGB: the shorter side resized, the centre kept.

    Raises: InputError, whose text goes on from a name, for anything else than an image of 8 bits a channel.
    """
    if isinstance(image, Image.Image):
        picture, got = image, f"mode {image.mode}"
    else:
        pixels = np.asarray(image)
        if (
            pixels.dtype != np.uint8
            or pixels.ndim not in (2, 3)
            or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4))
        ):
            raise InputError(f"{MUST_BE}, got {type(image).__name__}, {pixels.dtype} of shape {pixels.shape}")
        picture, got = Image.fromarray(pixels), f"shape {pixels.shape}"
    if picture.mode not in EIGHT_BITS or 0 in picture.size:
        raise InputError(f"{MUST_BE}, got {type(image).__name__} of {got} and size {picture.size}")
    fitted = ImageOps.fit(picture.convert("RGB"), (size, size), method=Image.Resampling.BILINEAR)
    return np.asarray(fitted, dtype=np.uint8).transpose(2, 0, 1)


MUST_BE = "must be a PIL image or a uint8 array (H, W) or (H, W, 3), of 8 bits a channel and no side 0"


def _decode_all(source: Source, size: int, *, into: NDArray[np.uint8], what: str, progress: Progress) -> None:
    files = files_of(source)

    def decode_one(index: int) -> None:
        name = files[index][0] if files else f"image {index} of {what}"
        with guarded(f"{name} cannot be read as an image:"):
            image = source[index][0]
            try:
                into[index] = decode(image, size)
            except InputError as error:
                raise InputError(f"{name} {error}") from error

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(decode_one, range(len(source))), start=1):
            if done % 100 == 0 or done == len(source):
                progress("images", what, done, len(source))


def _split(source: Source, choice: DataChoice, *, cache: Path | None, what: str, progress: Progress) -> Split:
    """Decode a source, into `cache` (mapped from there) when given."""
    labels, size = labels_of(source), choice.image_size
    everything = np.arange(len(labels))
    shape = (len(source), 3, size, size)
    if cache is None:
        require_memory(int(np.prod(shape)), what=f"the decoded {what} images")
        images = np.empty(shape, dtype=np.uint8)
        _decode_all(source, size, into=images, what=what, progress=progress)
        return Split(images=images, labels=labels, indices=everything)
    path = cache / f"{what}.npy"
    with writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{what}.lock"):  # another sweep may want the same images: one decodes, the other waits
        files = files_of(source) or ()
        if path.exists() and (why := why_unusable(path, files, shape=shape)):
            progress(f"{put_aside(path)} is not used ({why}): decoded anew", what, 0, len(source))
        if not path.exists():
            require_disk(cache, int(np.prod(shape)), what=f"the decoded {what} images")
            with replacing(path) as part:
                mapped = _allocate(part, shape)
                _decode_all(source, size, into=mapped, what=what, progress=progress)
                mapped.flush()
            write_note(path, files)
    return Split(images=decoded.mapped(path), labels=labels, indices=everything)


def _allocate(path: Path, shape: tuple[int, ...]) -> "np.memmap[Any, np.dtype[np.uint8]]":
    """A new array on disk with its blocks taken: writing into a hole of a full disk would end the process."""
    with writing(path):
        mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return mapped


def load_dataset(choice: DataChoice, *, cache: Path, progress: Progress = silent) -> Dataset:
    """Read a data set; image files are decoded once into `cache` and mapped from there afterwards.

    Args:
        choice: the `[data]` section.
        cache: directory for decoded images.
        progress: told of the images decoded, split by split.

    Raises: InputError for an unknown set, a wrong directory, a corrupt image (named), or classes without images.
    """
    train, test = open_source(choice)
    classes = count_classes(train, test)
    listing = listing_of(train, test)
    code = f"-{source_digest(choice.name, key='data.name')}" if ":" in choice.name else ""  # it may transform images
    folder = cache / f"{listing}-{choice.image_size}px{code}" if listing else None
    train_split = _split(train, choice, cache=folder, what="train", progress=progress)
    test_split = _split(test, choice, cache=folder, what="test", progress=progress)
    kept, searched = hold_out(train_split.labels, share=choice.search_share)
    return Dataset(
        train=replace(train_split, indices=kept),
        search=replace(train_split, indices=searched),
        test=test_split,
        classes=classes,
        class_names=names_of(train),
    )


def hold_out(labels: NDArray[np.int64], *, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training and of the search split: each class gives about its share, always the same images.

    Raises: InputError when a class has too few images to give any.
    """
    everything = np.arange(len(labels))
    if share == 0:
        return everything, everything[:0]
    try:
        kept, searched = train_test_split(everything, test_size=share, stratify=labels, random_state=0)
    except ValueError as error:
        raise InputError(f"data.search_share={share} cannot be taken from {len(labels)} images: {error}") from error
    return np.sort(kept), np.sort(searched)
