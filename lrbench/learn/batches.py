"""From uint8 images to normalised batches. Shapes: N images of a batch, (N, 3, H, W) float32."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import v2

from lrbench.config.sections import DataChoice
from lrbench.learn.datasets import Dataset, Split

AUGMENTATIONS: Mapping[str, Callable[[int], v2.Transform]] = MappingProxyType(
    {
        "none": lambda size: v2.Identity(),
        "flip": lambda size: v2.RandomHorizontalFlip(),
        "crop": lambda size: v2.RandomCrop(size, padding=size // 8),
        "crop-flip": lambda size: v2.Compose([v2.RandomCrop(size, padding=size // 8), v2.RandomHorizontalFlip()]),
        "resized-crop-flip": lambda size: v2.Compose(
            [v2.RandomResizedCrop(size, scale=(0.35, 1.0), antialias=True), v2.RandomHorizontalFlip()]
        ),
    }
)
"""By name, a transform of one uint8 image (3, H, W) for an image size. `resized-crop` keeps 35-100 % of the area."""


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How batches are made: images a batch, normalisation and augmentation, device, memory format."""

    size: int
    data: DataChoice
    device: torch.device
    memory_format: torch.memory_format


def training_batches(split: Split, how: Batching) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order, augmented; both drawn from torch's global generator.

    A last batch of one image is left out: batch norm cannot train on it.
    """
    order = split.indices[torch.randperm(len(split)).numpy()]
    transform = AUGMENTATIONS[how.data.augment](how.data.image_size)
    for chosen in _chunks(order, how.size):
        if len(chosen) > 1:
            images = torch.from_numpy(split.images[chosen])
            if how.data.augment != "none":
                images = torch.stack([transform(image) for image in images])
            yield _batch(images, split.labels[chosen], how)


def training_steps(split: Split, how: Batching) -> int:
    """How many batches `training_batches` yields."""
    return len(split) // how.size + (len(split) % how.size > 1)


def test_batches(split: Split, how: Batching) -> Iterator[tuple[Tensor, Tensor]]:
    """All images in order, never augmented."""
    for chosen in _chunks(split.indices, how.size):
        yield _batch(torch.from_numpy(split.images[chosen]), split.labels[chosen], how)


def calibration_batches(data: Dataset, how: Batching, *, images: int, size: int) -> Iterator[Tensor]:
    """Images to look at, without labels: always the same of the search split, or of the training split if it is empty.

    Batches hold `size` images or fewer, never one alone.
    """
    split = data.search if len(data.search) else data.train
    order = split.indices[torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:images].numpy()]
    for chosen in _chunks(order, size):
        if len(chosen) > 1:
            yield _batch(torch.from_numpy(split.images[chosen]), split.labels[chosen], how)[0]


def _chunks(indices: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


def _batch(images: Tensor, labels: NDArray[np.int64], how: Batching) -> tuple[Tensor, Tensor]:
    """Scale to 0..1, then subtract the mean and divide by the standard deviation of each channel."""
    pixels = images.to(how.device).float().div_(255)
    mean = torch.tensor(how.data.mean, device=how.device).view(3, 1, 1)
    std = torch.tensor(how.data.std, device=how.device).view(3, 1, 1)
    pixels = pixels.sub_(mean).div_(std).contiguous(memory_format=how.memory_format)
    return pixels, torch.from_numpy(labels).to(how.device)
