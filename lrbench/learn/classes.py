"""Labels and classes of a source."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from lrbench.errors import InputError
from lrbench.learn.image_files import ImageFiles
from lrbench.learn.own_source import CLASSES, OwnSource

Labels = NDArray[np.int64]


class Source(Protocol):
    """A sequence of (PIL image or uint8 array (H, W[, C]), label)."""

    def __len__(self) -> int:
        """How many images."""
        ...

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        """One image with its label."""
        ...


def labels_of(source: Source) -> Labels:
    """The label of every image (N,): of our own lists of files without reading one, else from the items."""
    if isinstance(source, ImageFiles):
        return np.array([label for _, label in source.files], dtype=np.int64)
    return np.array([source[index][1] for index in range(len(source))], dtype=np.int64)


def require_images(train: Sequence[Any] | Source, test: Sequence[Any] | Source) -> None:
    """Raises: InputError when a set is empty."""
    if not len(train) or not len(test):
        raise InputError(f"data must have training and test images, got {len(train)} and {len(test)}")


def classes_of(train: Source, labels: Labels, test_labels: Labels) -> tuple[int, tuple[str, ...]]:
    """The number of classes, and their names, in the order of the labels (none where the set has no names).

    They are as many as the set names, else up to the largest label of an item.

    Raises: InputError for a label beyond the names.
    """
    named = train.classes_for(labels) if isinstance(train, OwnSource) else getattr(train, "classes", None)
    count = len(named) if named is not None else 1 + int(max(labels.max(), test_labels.max()))
    for split, values in (("training", labels), ("test", test_labels)):
        most = min(count, CLASSES) - 1
        wrong = np.flatnonzero((values < 0) | (values > most))
        if len(wrong):
            raise InputError(f"the label of {split} image {wrong[0]} must lie in 0..{most}, got {values[wrong[0]]}")
    return count, tuple(named or ())


def require_classes(search: ImageFiles, count: int, names: tuple[str, ...]) -> None:
    """Raises: InputError when images for choosing are not of the classes of the training images."""
    if len(search.classes) != count or (names and search.classes != names):
        unmatched = ", ".join(sorted(set(search.classes) ^ set(names)))
        raise InputError(
            f"data.search must have the {count} classes of the training images, got {len(search.classes)}"
            + (f"; only one of the two has {unmatched}" if names and unmatched else "")
        )


def hold_out(labels: Labels, *, share: float) -> tuple[Labels, Labels]:
    """Indices of the training and of the search split: each class gives about its share, always the same images.

    Raises: InputError when a class has too few images to give any.
    """
    everything = np.arange(len(labels))
    if share == 0:
        return everything, everything[:0]
    counts = np.unique(labels, return_counts=True)[1]
    taken = int(np.ceil(share * len(labels)))
    if counts.min() < 2 or not len(counts) <= taken <= len(labels) - len(counts):
        raise InputError(
            f"data.search_share={share} of {len(labels)} training images is {taken}, and each of the {len(counts)} "
            f"classes must have at least one there and one to train on (the smallest has {counts.min()}): "
            "take a larger share, 0 for no search split, or name other images by data.search"
        )
    kept, searched = train_test_split(everything, test_size=share, stratify=labels, random_state=0)
    return np.sort(kept), np.sort(searched)
