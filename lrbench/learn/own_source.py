"""A user's own data set, held to what a source is: its items are what counts, checked and named where they are wrong.

Attributes such as `samples` and `targets` are not: who wraps, filters or edits a data set seldom renews them.
"""

import operator
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from lrbench.errors import InputError
from lrbench.guard import guarded

T = TypeVar("T")

CLASSES = 100_000
"""The most classes: a label beyond is no label."""


class OwnSource:
    """A data set of the user's as a source: its length is read once, items as they are asked.

    Raises: InputError, here and for each item, that begins with what is wrong: `image 3 of train of ...`.
    """

    def __init__(self, source: Any, what: str) -> None:
        """Read what there is to read without an image; `what` names the set in errors."""
        self._source, self._what = source, what
        self._count = self._asked(lambda: len(source), "its length")
        self.named = self._asked(lambda: _names(getattr(source, "classes", None)), "its classes")
        self._listed = self._asked(lambda: getattr(source, "targets", None), "its targets")
        self.files = self._asked(lambda: _files(source), "its samples")
        """Paths that it names with their labels: when these change its images may have changed; no more than that."""

    def __len__(self) -> int:
        """How many images."""
        return self._count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """An image, whatever it is, with its label: the same each time, also where chance has a part in it."""
        where = f"image {index} of {self._what}"
        with guarded(f"{where} cannot be read:"), _seeded(index):
            item = self._source[index]
            if not isinstance(item, tuple | list) or len(item) < 2:
                raise InputError(f"{where} must be a pair (image, label), got {type(item).__name__}")
            return item[0], label_of(item[1], f"the label of {where}")

    def classes_for(self, labels: Any) -> tuple[str, ...] | None:
        """The names of its classes; None where it has none, or lists other labels than those (N,) of its items."""
        listed = self._listed if self._listed is not None else [label for _, label in self.files]
        lists = self._listed is not None or self.files
        return None if lists and not _agree(listed, labels) else self.named

    def _asked(self, question: Callable[[], T], what: str) -> T:
        with guarded(f"{self._what} cannot be used, asking for {what} raised"):
            return question()


def _agree(listed: Any, labels: Any) -> bool:
    try:
        return bool(np.array_equal(np.asarray(listed), labels))
    except Exception:  # of targets that are no numbers
        return False


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Every generator that a data set may draw from starts at a seed, and is afterwards as it was."""
    python, tensors = random.getstate(), torch.default_generator.get_state()
    numbers = np.random.get_state()  # noqa: NPY002 - a user's code may draw from it
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002
        torch.default_generator.set_state(tensors)


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


def _files(source: Any) -> tuple[tuple[str, int], ...]:
    """Paths and labels in `samples`, where they are as torchvision's folders have them."""
    samples = getattr(source, "samples", None)
    if not isinstance(samples, list | tuple) or not all(isinstance(p, tuple | list) and len(p) == 2 for p in samples):
        return ()
    named = all(isinstance(path, str | PathLike) and isinstance(label, int) for path, label in samples)
    return tuple((str(path), label) for path, label in samples if Path(path).is_file()) if named else ()
