"""A user's own data set, held to what a source is: whatever it answers is checked, and named where it is wrong."""

import operator
from collections.abc import Callable
from os import PathLike
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lrbench.errors import InputError
from lrbench.guard import guarded

T = TypeVar("T")

CLASSES = 100_000
"""The most classes: a label beyond is no label."""


class OwnSource:
    """A data set of the user's as a source: its length, class names and labels are read once, items as they are asked.

    Raises: InputError, here and for each item, that begins with what is wrong: `image 3 of train of ...`.
    """

    def __init__(self, source: Any, what: str) -> None:
        """Read what there is to read without an image; `what` names the set in errors."""
        self._source, self._what = source, what
        self._count = self._asked(lambda: len(source), "its length")
        self.classes = self._asked(lambda: _names(getattr(source, "classes", None)), "its classes")
        self.samples = self._asked(lambda: _files(source, self._count), "its samples")
        self.targets = self._asked(lambda: self._labels(getattr(source, "targets", None)), "its targets")

    def __len__(self) -> int:
        """How many images."""
        return self._count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """An image, whatever it is, with its label."""
        where = f"image {index} of {self._what}"
        with guarded(f"{where} cannot be read:"):
            item = self._source[index]
            if not isinstance(item, tuple | list) or len(item) < 2:
                raise InputError(f"{where} must be a pair (image, label), got {type(item).__name__}")
            image, label = item[0], label_of(item[1], f"the label of {where}")
        listed = self.targets[index] if self.targets is not None else label
        if label != listed:
            raise InputError(f"the label of {where} is {label}, but the set's targets say {listed}")
        return image, label

    def _asked(self, question: Callable[[], T], what: str) -> T:
        with guarded(f"{self._what} cannot be used, asking for {what} raised"):
            return question()

    def _labels(self, targets: Any) -> NDArray[np.int64] | None:
        if targets is None or self.samples is not None:
            return None
        values = np.asarray(targets)
        if values.shape != (self._count,) or values.dtype.kind not in "iu":
            raise InputError(
                f"the targets of {self._what} must be {self._count} whole numbers, one an image, "
                f"got {values.dtype} of shape {values.shape}"
            )
        return values.astype(np.int64)


def label_of(value: Any, what: str) -> int:
    """A label as it is, a whole number of Python, numpy or torch.

    Raises: InputError for anything else, True among it.
    """
    allowed = f"{what} must be a whole number in 0..{CLASSES - 1}"
    try:
        number = operator.index(value)
    except Exception as error:  # whatever the value's own code raises
        raise InputError(f"{allowed}, got {type(value).__name__}") from error
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")):
        raise InputError(f"{allowed}, got {type(value).__name__}")
    if not 0 <= number < CLASSES:
        raise InputError(f"{allowed}, got {number if abs(number) < 2**63 else 'more digits'}")
    return number


def _names(classes: Any) -> tuple[str, ...] | None:
    if classes is None:
        return None
    if isinstance(classes, str) or not hasattr(classes, "__iter__"):
        raise TypeError(f"classes must be a list of names, got {type(classes).__name__}")
    return tuple(str(name[0] if isinstance(name, tuple | list) else name) for name in classes)


def _files(source: Any, count: int) -> list[tuple[str, int]] | None:
    """Paths and labels, where `samples` are those of all images as torchvision's folders have them."""
    samples = getattr(source, "samples", None) or getattr(source, "_samples", None)
    if not isinstance(samples, list | tuple) or len(samples) != count:
        return None
    pairs = all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in samples)
    if not pairs or not all(isinstance(path, str | PathLike) for path, _ in samples):
        return None
    return [(str(path), label_of(label, f"the label of {path}")) for path, label in samples]
