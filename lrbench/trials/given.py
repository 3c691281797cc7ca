"""The model as it was given, looked at before anything is trained: its accuracy, and how images are shown to it.

A wrong mean, size or order of classes raises nothing: it only makes every number too low.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lrbench.config.sections import DataChoice
from lrbench.errors import InputError
from lrbench.guard import guarded
from lrbench.learn.batches import test_batches
from lrbench.learn.classes import Source
from lrbench.learn.datasets import Dataset, Split, decode_some, fit_of
from lrbench.learn.models import NEW_HEAD
from lrbench.learn.presets import IMAGENET, applied, transforms_of
from lrbench.learn.sources import open_search, open_source
from lrbench.learn.train import batching
from lrbench.lowrank.copies import copy_of
from lrbench.measure.accuracy import predict
from lrbench.plan.run import Run

SHOWN = 2048
"""Test images on which the model as given is looked at, at most."""

JUDGED, FEWEST = 256, 20
"""Images on which other transforms are tried; with fewer nothing is said of them."""

ERRORS = 3
"""Standard errors by which other transforms must be better to be named."""

LISTED = 10
"""Classes that are named, at most."""


def look_at_given(run: Run, data: Dataset) -> Iterator[str]:
    """Sentences about the model with the weights given; none where there are none, or its head is a new one."""
    if not run.spec.model.has_weights or run.dense.note.endswith(NEW_HEAD):
        return
    model, choice = _Model(run), run.spec.data
    some = _some(data.test, SHOWN)
    right = model.right(data.test.images[some], data.test.labels[some], choice)
    of = f" of the {len(data.test):,}" if len(some) < len(data.test) else ""
    yield f"the model as given: {right.mean():.2%} of {len(some):,}{of} test images right"
    if data.class_names:
        yield f"its outputs are, in this order: {_order(data.class_names)}"
    chance = 1 / data.classes
    if right.mean() <= chance + ERRORS * (chance * (1 - chance) / len(some)) ** 0.5:
        yield (
            f"Warning: that is no better than guessing ({chance:.2%}): was it trained with its classes in this order, "
            "and with these data.mean, data.std and data.image_size?"
        )
    yield from _better_transforms(model, data, choice, _candidates(run))


def _order(names: Sequence[str]) -> str:
    listed = [f"{number} {name}" for number, name in enumerate(names)]
    return ", ".join(listed if len(listed) <= LISTED else [*listed[: LISTED - 1], "...", listed[-1]])


@dataclass(frozen=True)
class _Model:
    """The model of a run on its device."""

    run: Run

    def right(self, images: NDArray[np.uint8], labels: NDArray[np.int64], choice: DataChoice) -> NDArray[np.bool_]:
        """Which of some images (N, 3, S, S) it classifies correctly, normalised as a choice says."""
        how = batching(self.run.spec.baseline, choice)
        split = Split(images=images, labels=labels, indices=np.arange(len(labels)))
        with guarded(f"model.name={self.run.spec.model.name!r} cannot be evaluated, it raised"):
            logits, _ = predict(copy_of(self.run.dense.model).to(how.device), test_batches(split, how))
        right: NDArray[np.bool_] = logits.argmax(1).cpu().numpy() == labels
        return right


def _candidates(run: Run) -> Mapping[str, DataChoice]:
    """Other ways to make images ready, by what a user would write for them."""
    choice = run.spec.data
    unset = DataChoice(**{key: getattr(choice, key) for key in ("name", "root", "search")})
    ways = {'preset = "imagenet"': applied(IMAGENET, unset)}
    with suppress(InputError):  # they may carry none
        ways['preset = "weights"'] = applied(transforms_of(run.spec.model), unset)
    for mean, std in ((IMAGENET.mean, IMAGENET.std), ((0.5,) * 3, (0.5,) * 3), ((0.0,) * 3, (1.0,) * 3)):
        ways[f"mean = {list(mean)}, std = {list(std)}"] = choice.model_copy(update={"mean": mean, "std": std})
    return ways


def _some(split: Split, count: int) -> NDArray[np.int64]:
    """So many indices of a split, drawn as always the same; all where there are no more."""
    drawn = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:count].numpy()
    return np.sort(split.indices[drawn])


def _better_transforms(
    model: _Model, data: Dataset, choice: DataChoice, candidates: Mapping[str, DataChoice]
) -> Iterator[str]:
    """Name the way of making images ready that is significantly better than the spec's, if there is one."""
    split, source, name = _to_judge(data, choice)
    some = _some(split, JUDGED)
    if len(some) < FEWEST:
        return
    labels = split.labels[some]
    here = model.right(split.images[some], labels, choice)
    best, most = "", 0.0
    for words, other in candidates.items():
        try:
            images = split.images[some] if _alike(other, choice) else decode_some(source, some, other)
            gain = model.right(images, labels, other).astype(float) - here
        except InputError:
            continue  # not every model takes every size
        if gain.mean() > max(most, ERRORS * gain.std(ddof=1) / len(some) ** 0.5):
            best, most = words, float(gain.mean())
    if best:
        yield (
            f"Warning: of {len(some):,} {name} images the model as given has {here.mean():.1%} right as this spec "
            f"makes them ready, and {here.mean() + most:.1%} with {best}: check [data]"
        )


def _alike(one: DataChoice, other: DataChoice) -> bool:
    """Whether images are decoded alike."""
    return one.image_size == other.image_size and fit_of(one) == fit_of(other)


def _to_judge(data: Dataset, choice: DataChoice) -> tuple[Split, Source, str]:
    """Images that may decide something, their source, and what they are called."""
    if own := open_search(choice):
        return data.search, own, "search"
    train, _ = open_source(choice)
    return (data.search, train, "search") if len(data.search) else (data.train, train, "training")
