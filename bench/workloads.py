"""What `lrbench regress` times: by name, a function that builds a call, from the functions of any lrbench.

`BOUNDS` gives the largest ratio of a workload to its reference, for when there is no other version to compare with.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional

import lrbench

torch.set_grad_enabled(False)
RANKS = {f"{number}.0": 16 for number in (1, 2, 3, 4)}
"""Of the four convolutions of `net`."""

Call = Callable[[], object]


def layer(scheme: str, rank: int) -> Call:
    """One 3 x 3 convolution of 128 channels on 28 x 28 as its factors; "dense": as it is."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1))
    network = model if scheme == "dense" else lrbench.compress(model, {"0": rank}, scheme=scheme)
    network.eval().to(memory_format=torch.channels_last)
    images = torch.rand(1, 128, 28, 28).contiguous(memory_format=torch.channels_last)
    return partial(network, images)


def net() -> nn.Module:
    """Four 3 x 3 convolutions of 64 channels and a head: small enough that memory stays in place."""
    torch.manual_seed(0)
    convs = [nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()) for _ in range(4)]
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1), *convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    )


def forward(model: nn.Module) -> Call:
    """A forward pass of one image of 32 px, as timing sessions run it.

    Imported here, so that where a version lacks these functions only this workload fails in it, and is new.
    """
    from lrbench.config.axes import Setting
    from lrbench.measure.side_by_side import prepare

    threads = torch.get_num_threads()
    setting = Setting(device="cpu", batch_size=1, threads=threads, memory_format="contiguous")
    return prepare(model, setting, shape=(3, 32, 32)).call


def training_step(model: nn.Module) -> Call:
    """A step of SGD on four images of 16 px."""
    images, labels = torch.rand(4, 3, 16, 16), torch.arange(4)
    optimizer = torch.optim.SGD(model.train().parameters(), lr=1e-3, momentum=0.9)

    @torch.enable_grad()
    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def compress() -> Callable[[], nn.Module]:
    """Decompose and cut four convolutions."""
    return partial(lrbench.compress, net(), RANKS, scheme="channel")


def svd() -> Call:
    """The least work of `compress`: one SVD for each of the four layers."""
    matrices = [next(net().get_submodule(name).parameters()).flatten(1) for name in RANKS]
    return lambda: [torch.linalg.svd(matrix, full_matrices=False).S for matrix in matrices]


WORKLOADS = {
    "layer dense": partial(layer, "dense", 0),
    "layer channel": partial(layer, "channel", 32),
    "layer spatial": partial(layer, "spatial", 32),
    "layer weight": partial(layer, "weight", 32),
    "layer tucker2": partial(layer, "tucker2", 32),
    "forward dense": lambda: forward(net()),
    "forward channel": lambda: forward(compress()()),
    "training step dense": lambda: training_step(net()),
    "training step channel": lambda: training_step(compress()()),
    "svd": svd,
    "compress": compress,
}

BOUNDS = {
    "layer channel": ("layer dense", 0.7),
    "layer spatial": ("layer dense", 0.7),
    "layer weight": ("layer dense", 0.7),
    "layer tucker2": ("layer dense", 0.7),
    "forward channel": ("forward dense", 0.9),
    "training step channel": ("training step dense", 0.9),
    "compress": ("svd", 3.0),
}
