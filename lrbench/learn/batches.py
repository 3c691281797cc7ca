"""From uint8 images to normalised batches. Shapes: N images of a batch, (N, 3, S, S) float32."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.config.sections import CalibrationChoice, DataChoice
from lrbench.learn.augment import AUGMENTATIONS, augmented
from lrbench.learn.datasets import Dataset, Split
from lrbench.learn.device_images import gathered

EVALUATED_PIXELS = {"cpu": 2**19}
"""Pixels of a batch that is only evaluated: on a processor as many as its caches like."""

EVALUATED_PIXELS_ELSEWHERE = 2**23
"""On a GPU as many as keep it busy."""


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How batches are made: images a batch, normalisation and augmentation, device, memory format."""

    size: int
    data: DataChoice
    device: torch.device
    memory_format: torch.memory_format

    @property
    def evaluated(self) -> int:
        """Images of a batch that is only evaluated; the results are the same for any number, to rounding."""
        pixels = EVALUATED_PIXELS.get(self.device.type, EVALUATED_PIXELS_ELSEWHERE)
        return max(1, pixels // self.data.image_size**2)


def training_batches(split: Split, how: Batching) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order, augmented; both drawn from torch's global generator.

    A last batch of one image is left out: batch norm cannot train on it.
    """
    order = split.indices[torch.randperm(len(split)).numpy()]
    order = order[: len(order) - (len(order) % how.size == 1)]
    draw = AUGMENTATIONS[how.data.augment]
    windows = draw(len(order), how.data.image_size).to(how.device) if draw else None
    normalised = normaliser(how)
    start = 0
    for images, labels in gathered(split, _chunks(order, how.size), how.device):
        stop = start + len(labels)
        pixels = augmented(images, windows.take(start, stop)) if windows else images.float()
        yield normalised(pixels), labels
        start = stop


def training_steps(split: Split, how: Batching) -> int:
    """How many batches `training_batches` yields."""
    return len(split) // how.size + (len(split) % how.size > 1)


def test_batches(split: Split, how: Batching) -> Iterator[tuple[Tensor, Tensor]]:
    """All images in order, never augmented."""
    normalised = normaliser(how)
    for images, labels in gathered(split, _chunks(split.indices, how.evaluated), how.device):
        yield normalised(images.float()), labels


def calibration_batches(data: Dataset, how: Batching, choice: CalibrationChoice) -> Iterator[Tensor]:
    """Images to look at, without labels, always the same; from the training split where the search split is empty.

    Batches hold as many as the choice says or fewer, never one alone.
    """
    split = data.search if choice.split == "search" and len(data.search) else data.train
    order = split.indices[
        torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[: choice.images].numpy()
    ]
    normalised = normaliser(how)
    chosen = [chunk for chunk in _chunks(order, choice.batch_size) if len(chunk) > 1]
    for pixels, _ in gathered(split, chosen, how.device):
        yield normalised(pixels.float())


def _chunks(indices: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def normaliser(how: Batching) -> Callable[[Tensor], Tensor]:
    """Scales grey levels to 0..1 (in place), subtracts the mean and divides by the standard deviation by channel."""
    mean, std = (torch.tensor(values, device=how.device).view(3, 1, 1) for values in (how.data.mean, how.data.std))
    return lambda pixels: pixels.div_(255).sub_(mean).div_(std).contiguous(memory_format=how.memory_format)
