"""Training and evaluation loops, each in a process of its own: one pass over the images for each line that it reads.

    echo | python bench/train_loops.py train lrbench --augment resized-crop-flip

Prints the seconds of each pass. `plain` is the loop that everybody writes, over the same images, never augmented;
`lrbench` is that of this package as its trials run it; `lrbench-default-memory` the same, freed memory given back.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional

from lrbench.config.recipes import Recipe
from lrbench.config.sections import DataChoice
from lrbench.learn.batches import test_batches
from lrbench.learn.datasets import Split
from lrbench.learn.memory import keep_freed_memory
from lrbench.learn.precision import resolve
from lrbench.learn.train import batching, pick_device, train_
from lrbench.measure.accuracy import evaluate

Pass = Callable[[], object]


def model_of(device: torch.device) -> nn.Module:
    """ResNet-18 with random weights, channels last."""
    torch.manual_seed(0)
    model: nn.Module = torchvision.models.resnet18(num_classes=10)
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def plain(split: Split, recipe: Recipe, device: torch.device, dtype: torch.dtype | None) -> dict[str, Pass]:
    """The loops that everybody writes: all images on the device, shuffled, scaled, no augmentation."""
    model = model_of(device)
    images, labels = torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=5e-4)

    def scaled(chosen: torch.Tensor) -> torch.Tensor:
        return chosen.float().div(255).sub(0.5).div(0.5).contiguous(memory_format=torch.channels_last)

    def train() -> float:
        model.train()
        total = torch.zeros((), device=device)
        for chosen in torch.randperm(len(images), device=device).split(recipe.batch_size):
            optimizer.zero_grad()
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                loss = functional.cross_entropy(model(scaled(images[chosen])), labels[chosen])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total)

    @torch.inference_mode()
    def evaluation() -> int:
        model.eval()
        parts = zip(images.split(recipe.batch_size), labels.split(recipe.batch_size), strict=True)
        return int(sum((model(scaled(chosen)).argmax(1) == right).sum() for chosen, right in parts))

    return {"train": train, "evaluate": evaluation}


def ours(split: Split, recipe: Recipe, data: DataChoice, device: torch.device) -> dict[str, Pass]:
    """The loops of lrbench."""
    model, how = model_of(device), batching(recipe, data)
    epochs: Iterator[object] = train_(model, split, recipe=recipe, how=how, stage="baseline", seed=0)
    return {"train": lambda: next(epochs), "evaluate": lambda: evaluate(model, test_batches(split, how))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "evaluate"])
    parser.add_argument("loop", choices=["plain", "lrbench", "lrbench-default-memory"])
    parser.add_argument("--augment", default="none")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    device = pick_device(options.device)
    generator = np.random.default_rng(0)
    shape = (options.images, 3, options.size, options.size)
    split = Split(
        images=generator.integers(0, 256, shape, dtype=np.uint8),
        labels=generator.integers(0, 10, options.images),
        indices=np.arange(options.images),
    )
    wanted = Recipe(epochs=10_000, batch_size=options.batch, schedule="constant", device=options.device)
    recipe = resolve(wanted, device, (), image_size=options.size)
    if options.loop == "lrbench":
        keep_freed_memory()
    if options.loop == "plain":
        loops = plain(split, recipe, device, torch.bfloat16 if recipe.amp == "bfloat16" else None)
    else:
        loops = ours(split, recipe, DataChoice(image_size=options.size, augment=options.augment), device)
    for _ in sys.stdin:
        started = time.perf_counter()
        loops[options.what]()
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
