"""Where the images of a batch come from: this machine's memory, or a GPU's own when they fit into it.

On a GPU a copy of a batch costs more than its forward pass: all images are put there once, and a data set that is too
large is copied batch after batch by a thread that runs ahead, from pinned memory.
"""

import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.learn.datasets import Split

Indices = NDArray[np.int64]
Batch = tuple[Tensor, Tensor]
"""Images (N, 3, S, S) uint8 and labels (N,)."""

SHARE = 0.5
"""Share of a GPU's free memory that images may fill."""

AHEAD = 2
"""Batches that a thread prepares ahead."""

COPIED = 1024
"""Images that are copied to a device at a time."""

_resident: dict[tuple[int, torch.device], Tensor] = {}


def gathered(split: Split, chunks: Sequence[Indices], device: torch.device) -> Iterator[Batch]:
    """The images and labels at some indices, one batch for each chunk, on a device."""
    if device.type == "cpu":
        yield from (_pick(split, chunk) for chunk in chunks)
        return
    images = resident(split.images, device)
    if images is None:
        yield from prefetched(split, chunks, device)
        return
    order = torch.from_numpy(np.concatenate(chunks) if chunks else np.empty(0, np.int64)).to(device)
    labels, start = torch.from_numpy(split.labels).to(device), 0
    for chunk in chunks:
        places = order[start : start + len(chunk)]
        yield images[places], labels[places]
        start += len(chunk)


def _pick(split: Split, chunk: Indices) -> Batch:
    return torch.from_numpy(split.images[chunk]), torch.from_numpy(split.labels[chunk])


def resident(images: NDArray[np.uint8], device: torch.device) -> Tensor | None:
    """All images on a device, copied there once and kept as long as the array; None when they do not fit."""
    key = (id(images), device)
    if key not in _resident:
        if device.type == "cuda" and images.nbytes > SHARE * torch.cuda.mem_get_info(device)[0]:
            return None
        held = torch.empty(images.shape, dtype=torch.uint8, device=device)
        for start in range(0, len(images), COPIED):
            held[start : start + COPIED] = torch.from_numpy(np.array(images[start : start + COPIED]))
        _resident[key] = held
        weakref.finalize(images, _resident.pop, key, None)
    return _resident[key]


def prefetched(split: Split, chunks: Sequence[Indices], device: torch.device) -> Iterator[Batch]:
    """Batches copied from pinned memory while the ones before them are used."""
    pins = device.type == "cuda"

    def prepare(chunk: Indices) -> Batch:
        images, labels = (part.pin_memory() if pins else part for part in _pick(split, chunk))
        return images, labels

    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = [pool.submit(prepare, chunk) for chunk in chunks[:AHEAD]]
        for number in range(len(chunks)):
            images, labels = coming.pop(0).result()
            if number + AHEAD < len(chunks):
                coming.append(pool.submit(prepare, chunks[number + AHEAD]))
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
