"""Where training in bfloat16 pays on a processor: steps of ResNet-18 in float32 and bfloat16, in turn.

    python bench/study_amp.py

Prints the table of docs/training.md, the median over pairs of steps. Takes a minute or two; let nothing else run.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
import torchvision
from torch.nn import functional

import lrbench
from lrbench.lowrank.layers import find_layers

CASES = ((32, 32, 16), (64, 64, 9), (32, 128, 6))
"""Images of a batch, their size in pixels, steps of each format."""

WARM = 3
"""Steps that are not counted."""


def stepper(scheme: str, images: torch.Tensor, dtype: torch.dtype | None) -> Callable[[], float]:
    """A step of training, which gives its seconds; factorized layers keep an eighth of their outputs as rank."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10).eval()
    if scheme != "dense":
        layers = find_layers(model, images.shape[1:])
        ranks = {layer.name: layer.shape.out_channels // 8 for layer in layers if layer.name.startswith("layer")}
        model = lrbench.compress(model, ranks, scheme=scheme)
    model.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    labels = torch.arange(len(images)) % 10

    def step() -> float:
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return time.perf_counter() - started

    return step


def main() -> None:
    for count, size, steps in CASES:
        images = torch.rand(count, 3, size, size).contiguous(memory_format=torch.channels_last)
        for scheme in ("dense", "channel", "spatial"):
            full, half = (stepper(scheme, images, dtype) for dtype in (None, torch.bfloat16))
            ratios = [full() / half() for _ in range(steps)]
            print(f"{count} images of {size} px, {scheme}: float32 / bfloat16 {median(ratios[WARM:]):.2f}", flush=True)


if __name__ == "__main__":
    main()
