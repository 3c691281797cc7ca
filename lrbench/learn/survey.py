"""What a data set holds, told before anything runs: its identity, classes and splits, and what is left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrbench.config.sections import DataChoice
from lrbench.learn.classes import Labels, Source, classes_of, hold_out, labels_of, require_classes, require_images
from lrbench.learn.datasets import Dataset, held_labels
from lrbench.learn.image_files import ImageFiles
from lrbench.learn.own_source import OwnSource
from lrbench.learn.sources import OFFICIAL, identify, identity_of, open_search, open_source


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What identifies the images, as `identify` says, the number of classes, and what a user should know of them."""

    identity: str
    classes: int
    notes: tuple[str, ...] = ()


def survey(choice: DataChoice, *, cache: Path) -> Survey:
    """Look at a data set; of an official one nothing is read, since it may have to be downloaded first.

    Args:
        choice: the `[data]` section.
        cache: directory for decoded images; nothing is written there.

    Raises: InputError as `load_dataset` does, but for images that cannot be decoded.
    """
    if choice.name in OFFICIAL:
        identity, classes = identify(choice)
        return Survey(identity=identity, classes=classes)
    train, test = open_source(choice)
    require_images(train, test)
    labels, tested = (
        held_labels(source, (train, test), choice, cache=cache, what=what)
        if isinstance(source, OwnSource)
        else labels_of(source)
        for source, what in ((train, "train"), (test, "test"))
    )
    classes, names = classes_of(train, labels, tested)
    search = open_search(choice)
    if search is not None:
        require_classes(search, classes, names)
    searched = len(hold_out(labels, share=choice.search_share)[1] if search is None else search)
    told = _counts(labels, searched, len(tested), classes=classes, own_search=search is not None)
    return Survey(
        identity=identity_of(choice, train, test),
        classes=classes,
        notes=(told, *_left_out(train=train, test=test, search=search), *_unnamed(train, names)),
    )


def tell(data: Dataset, choice: DataChoice) -> str:
    """How many images of a loaded data set there are in each split."""
    everything = data.train.labels
    return _counts(everything, len(data.search), len(data.test), classes=data.classes, own_search=bool(choice.search))


def _counts(labels: Labels, searched: int, tested: int, *, classes: int, own_search: bool) -> str:
    counts = np.bincount(labels, minlength=classes)
    each = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    search = "data.search" if own_search else "set aside of these"
    return (
        f"data: {len(labels):,} training images of {classes:,} classes ({each} each); "
        f"{searched:,} search images ({search}); {tested:,} test images"
    )


def _left_out(**splits: Source | None) -> Iterator[str]:
    for split, source in splits.items():
        if isinstance(source, ImageFiles) and source.left_out:
            yield f"left out of the {split} images: {source.left_out}"


def _unnamed(train: Source, names: tuple[str, ...]) -> Iterator[str]:
    if isinstance(train, OwnSource) and train.named and not names:
        yield (
            "the names of the classes of the data set are not used: its targets or samples are not the labels of its "
            "items, which count"
        )
