"""Random changes of training images, drawn for each image on its own and made for a whole batch at once.

Every change is a window of the image, resized to the image's size and perhaps mirrored: two small matrices an image, so
that one product of matrices does it on any device. Shapes: N images, C channels, S height and width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log
from types import MappingProxyType

import torch
from torch import Tensor

VERSION = 2
"""In the key of what was trained on changed images. Version 1 drew in another order, and rounded to grey levels."""

AREA = (0.35, 1.0)
"""Share of an image's area that `resized-crop-flip` keeps."""

ASPECT = (3 / 4, 4 / 3)
"""Width over height of what it keeps, as in torchvision's RandomResizedCrop (Szegedy et al. 2014, arXiv 1409.4842)."""

TRIES = 10
"""Windows drawn for an image, of which the first that fits is taken; the whole image when none does."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """What N images show afterwards, each (N,): windows in pixels, perhaps beyond the image, and mirrored or not."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    mirrored: Tensor

    def take(self, start: int, stop: int) -> "Windows":
        """Those of some images."""
        return Windows(**{name: values[start:stop] for name, values in vars(self).items()})

    def to(self, device: torch.device) -> "Windows":
        """The same on a device."""
        return Windows(**{name: values.to(device) for name, values in vars(self).items()})


def _windows(top: Tensor, left: Tensor, height: Tensor, width: Tensor, *, mirrored: float) -> Windows:
    drawn = torch.rand(len(top)) < mirrored if mirrored else torch.zeros(len(top), dtype=torch.bool)
    return Windows(top=top.float(), left=left.float(), height=height.float(), width=width.float(), mirrored=drawn)


def _flip(count: int, size: int) -> Windows:
    zero, whole = torch.zeros(count), torch.full((count,), size)
    return _windows(zero, zero, whole, whole, mirrored=0.5)


def _shift(count: int, size: int, *, mirrored: float) -> Windows:
    reach, whole = size // 8, torch.full((count,), size)
    top, left = torch.randint(-reach, reach + 1, (2, count))
    return _windows(top, left, whole, whole, mirrored=mirrored)


def _resized_crop_flip(count: int, size: int) -> Windows:
    area = torch.empty(count, TRIES).uniform_(*AREA) * size**2
    aspect = torch.empty(count, TRIES).uniform_(*map(log, ASPECT)).exp()
    height, width = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()
    fits = (height >= 1) & (height <= size) & (width >= 1) & (width <= size)
    first = fits.int().argmax(1, keepdim=True)
    any_fits = fits.any(1)
    height, width = (torch.where(any_fits, sides.gather(1, first)[:, 0], size) for sides in (height, width))
    top, left = ((torch.rand(count) * (size - side + 1)).floor() for side in (height, width))
    return _windows(top, left, height, width, mirrored=0.5)


AUGMENTATIONS: Mapping[str, Callable[[int, int], Windows] | None] = MappingProxyType(
    {
        "none": None,
        "flip": _flip,
        "crop": lambda count, size: _shift(count, size, mirrored=0),
        "crop-flip": lambda count, size: _shift(count, size, mirrored=0.5),
        "resized-crop-flip": _resized_crop_flip,
    }
)
"""By name, draws the windows of N images of S pixels from torch's global generator."""


def augmented(images: Tensor, windows: Windows) -> Tensor:
    """The windows of images (N, C, S, S) uint8, as (N, C, S, S) float32 in 0..255; beyond the image is black.

    Resized linearly with antialias, as torchvision does it, but not rounded to whole grey levels.
    """
    count, channels, size, _ = images.shape
    rows = _sampling(windows.top, windows.height, size)
    columns = _sampling(windows.left, windows.width, size)
    columns = torch.where(windows.mirrored[:, None, None], columns.flip(1), columns)
    wide = torch.bmm(images.float().view(count, channels * size, size), columns.mT)
    turned = wide.view(count, channels, size, size).mT.reshape(count, channels * size, size)
    return torch.bmm(turned, rows.mT).view(count, channels, size, size).mT


def _sampling(start: Tensor, length: Tensor, size: int) -> Tensor:
    """The share of each pixel (columns) of a line of S in each pixel (rows) of its window resized to S, (N, S, S)."""
    pixels = torch.arange(size, device=start.device) + 0.5
    start, scale = start[:, None, None], (length / size)[:, None, None]
    distance = pixels - (start + pixels[:, None] * scale)
    shares = (1 - distance.abs() / scale.clamp(min=1)).clamp(min=0)
    shares = shares * ((pixels > start) & (pixels < start + scale * size))
    return shares / shares.sum(2, keepdim=True).clamp(min=torch.finfo(shares.dtype).eps)
