"""What `lrbench regress` times: by name, a function that builds a call, from the public functions of any lrbench.

`BOUNDS` says how long a workload may take at most beside its reference, where there is no other version to compare to.
"""

from collections.abc import Callable
from functools import partial

import torch
import torchvision
from torch import nn
from torch.nn import functional

import lrbench

torch.set_grad_enabled(False)
CONVS = [f"layer{stage}.{block}.conv{number}" for stage in (1, 2, 3, 4) for block in (0, 1) for number in (1, 2)]
"""The sixteen 3 x 3 convolutions of ResNet-18."""

Call = Callable[[], object]


def layer(scheme: str, rank: int) -> Call:
    """One 3 x 3 convolution of 128 channels on 28 x 28 as its factors; "dense": as it is."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1))
    made = model if scheme == "dense" else lrbench.compress(model, {"0": rank}, scheme=scheme)
    made.eval().to(memory_format=torch.channels_last)
    images = torch.rand(1, 128, 28, 28).contiguous(memory_format=torch.channels_last)
    return partial(made, images)


def resnet(share: float) -> nn.Module:
    """ResNet-18 with its 3 x 3 convolutions at this share of their channels as rank; 1: dense."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10).eval()
    ranks = {name: int(share * model.get_submodule(name).weight.shape[0]) for name in CONVS}
    made = model if share == 1 else lrbench.compress(model, ranks, scheme="channel")
    return made.to(memory_format=torch.channels_last)


def forward(share: float) -> Call:
    """A forward pass of one image of 64 px."""
    model = resnet(share)
    images = torch.rand(1, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    return partial(model, images)


def training_step(share: float) -> Call:
    """A step of SGD on four images of 32 px."""
    model = resnet(share).train()
    images = torch.rand(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    @torch.enable_grad()
    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def compress() -> Call:
    """Decompose and cut the four convolutions of ResNet-18's first stage."""
    model = torchvision.models.resnet18(num_classes=10).eval()
    return partial(lrbench.compress, model, dict.fromkeys(CONVS[:4], 16), scheme="channel")


def svd() -> Call:
    """What `compress` cannot do without, done plainly: one SVD for each of the four layers."""
    model = torchvision.models.resnet18(num_classes=10).eval()
    matrices = [model.get_submodule(name).weight.flatten(1) for name in CONVS[:4]]
    return lambda: [torch.linalg.svd(matrix, full_matrices=False).S for matrix in matrices]


WORKLOADS = {
    "layer dense": partial(layer, "dense", 0),
    "layer channel": partial(layer, "channel", 32),
    "layer spatial": partial(layer, "spatial", 32),
    "layer weight": partial(layer, "weight", 32),
    "layer tucker2": partial(layer, "tucker2", 32),
    "forward dense": partial(forward, 1),
    "forward channel": partial(forward, 0.25),
    "training step dense": partial(training_step, 1),
    "training step channel": partial(training_step, 0.25),
    "svd": svd,
    "compress": compress,
}

BOUNDS = {
    "layer channel": ("layer dense", 0.7),
    "layer spatial": ("layer dense", 0.7),
    "layer weight": ("layer dense", 0.7),
    "layer tucker2": ("layer dense", 0.7),
    "forward channel": ("forward dense", 0.9),
    "training step channel": ("training step dense", 1.2),
    "compress": ("svd", 3.0),
}
