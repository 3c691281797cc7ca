"""Images as uint8 arrays: decoded once from their source, then kept in memory or mapped from disk."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.guard import guarded
from lrbench.learn import decoded
from lrbench.learn.classes import Labels, Source, classes_of, hold_out, labels_of, require_classes, require_images
from lrbench.learn.decoded import why_unusable, write_note
from lrbench.learn.image_files import ImageFiles
from lrbench.learn.images import VERSION, Fit, decode
from lrbench.learn.own_source import OwnSource
from lrbench.learn.sources import files_of, identity_of, listing_of, open_search, open_source
from lrbench.limits import put_aside, require_disk, require_memory, writing
from lrbench.progress import Progress, silent
from lrbench.results.keys import digest
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


SPOTS = 16
"""Items of a user's own data set that are read anew and compared before decoded ones are used again."""


def _decode_all(
    source: Source, choice: DataChoice, *, into: NDArray[np.uint8], what: str, progress: Progress
) -> Labels:
    """Decode all images into an array; give their labels (N,).

    Several at a time where they are ours; the user's own in order, since their code may not bear more.
    """
    files = source.files if isinstance(source, ImageFiles) else ()

    def decode_one(index: int) -> int:
        name = files[index][0] if files else f"image {index} of {what}"
        with guarded(f"{name} cannot be read as an image:"):
            image, label = source[index]
            try:
                into[index] = decode(image, choice.image_size, fit_of(choice))
            except InputError as error:
                raise InputError(f"{name} {error}") from error
        return label

    labels = np.empty(len(source), dtype=np.int64)
    with ThreadPoolExecutor() as pool:
        everyone = range(len(source))
        decoded_labels = map(decode_one, everyone) if isinstance(source, OwnSource) else pool.map(decode_one, everyone)
        for done, label in enumerate(decoded_labels, start=1):
            labels[done - 1] = label
            if done % 100 == 0 or done == len(source):
                progress("images", what, done, len(source))
    return labels


def _split(source: Source, choice: DataChoice, *, cache: Path | None, what: str, progress: Progress) -> Split:
    """Decode a source, into `cache` (mapped from there) when given."""
    shape = (len(source), 3, choice.image_size, choice.image_size)
    everything = np.arange(len(source))
    if cache is None:
        require_memory(int(np.prod(shape)), what=f"the decoded {what} images")
        images = np.empty(shape, dtype=np.uint8)
        labels = _decode_all(source, choice, into=images, what=what, progress=progress)
        return Split(images=images, labels=labels, indices=everything)
    path = cache / f"{what}.npy"
    with writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{what}.lock"):  # another sweep may want the same images: one decodes, the other waits
        if path.exists() and (why := _why_unusable(path, source, choice, shape=shape)):
            progress(f"{_out_of_the_way(path, source)} is not used ({why}): decoded anew", what, 0, len(source))
        if not path.exists():
            require_disk(cache, int(np.prod(shape)), what=f"the decoded {what} images")
            with replacing(path) as part:
                mapped = _allocate(part, shape)
                labels = _decode_all(source, choice, into=mapped, what=what, progress=progress)
                mapped.flush()
            write_note(path, files_of(source), labels)
    return Split(images=decoded.mapped(path), labels=decoded.labels_of(path), indices=everything)


def _out_of_the_way(path: Path, source: Source) -> Path:
    """Make room for decoded images: what a user's own data set gave is removed, since it may differ each time."""
    if not isinstance(source, OwnSource):
        return put_aside(path)
    path.unlink()
    return path


def fit_of(choice: DataChoice) -> Fit:
    """How a choice brings images to its size."""
    return Fit(resize=choice.resize, interpolation=choice.interpolation)


def decode_some(source: Source, indices: Labels, choice: DataChoice) -> NDArray[np.uint8]:
    """Some images of a source (N, 3, S, S) as a choice has them."""
    return np.stack([decode(source[int(index)][0], choice.image_size, fit_of(choice)) for index in indices])


def _why_unusable(path: Path, source: Source, choice: DataChoice, *, shape: tuple[int, ...]) -> str:
    """Why decoded images are not to be used; "" when they are what their note says, and what a source gives now."""
    if why := why_unusable(path, files_of(source), shape=shape):
        return why
    if isinstance(source, OwnSource):
        images, labels = decoded.mapped(path), decoded.labels_of(path)
        for index in map(int, np.linspace(0, len(source) - 1, min(SPOTS, len(source)))):
            image, label = source[index]
            same = np.array_equal(decode(image, choice.image_size, fit_of(choice)), images[index])
            if label != labels[index] or not same:
                return f"item {index} of the data set is another one now"
    return ""


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
    require_images(train, test)
    folder = _folder(choice, train, test, cache=cache)
    train_split = _split(train, choice, cache=folder, what="train", progress=progress)
    test_split = _split(test, choice, cache=folder, what="test", progress=progress)
    classes, names = classes_of(train, train_split.labels, test_split.labels)
    if (search := open_search(choice)) is None:
        kept, searched = hold_out(train_split.labels, share=choice.search_share)
        train_split, search_split = (replace(train_split, indices=some) for some in (kept, searched))
    else:
        require_classes(search, classes, names)
        of_search = cache / f"{listing_of((search,))}-{_made(choice)}"
        search_split = _split(search, choice, cache=of_search, what="search", progress=progress)
    return Dataset(train=train_split, search=search_split, test=test_split, classes=classes, class_names=names)


def held_labels(source: Source, splits: tuple[Source, Source], choice: DataChoice, *, cache: Path, what: str) -> Labels:
    """The labels of one of two splits: those that were kept with its decoded images where these can be used."""
    folder = _folder(choice, *splits, cache=cache)
    path = folder / f"{what}.npy" if folder else None
    shape = (len(source), 3, choice.image_size, choice.image_size)
    if path is not None and path.exists() and not _why_unusable(path, source, choice, shape=shape):
        return decoded.labels_of(path)
    return labels_of(source)


def _folder(choice: DataChoice, train: Source, test: Source, *, cache: Path) -> Path | None:
    """Where decoded images are kept: under what decides them. None for arrays, which are quickly decoded."""
    if ":" not in choice.name:
        listing = listing_of((train, test))
        return cache / f"{listing}-{_made(choice)}" if listing else None
    given = {**choice.model_dump(mode="json"), "root": str(Path(choice.root).absolute())}
    return cache / f"own-{digest([identity_of(choice, train, test), given])}-{_made(choice)}"


def _made(choice: DataChoice) -> str:
    """How images are decoded, for the name of a directory."""
    fit = fit_of(choice)
    how = "" if fit == Fit() else f"-{fit.resize}-{fit.interpolation}"
    return f"{choice.image_size}px{how}-v{VERSION}"
