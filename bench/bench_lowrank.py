"""What decomposing once and counting by formula save, each beside the naive way in the same run."""

import pytest
import torch
import torchvision
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from lrbench.lowrank.compress import decompose_layer, restructure
from lrbench.lowrank.layers import find_layers
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.svd import decompose, truncate
from lrbench.measure.cost import measure_cost

RANKS = (4, 8, 16, 24, 32, 40, 48, 56)


@pytest.fixture(scope="module")
def conv() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(128, 128, 3))


@pytest.mark.benchmark(group="eight ranks of a 128x128x3x3 convolution")
def bench_decompose_once(benchmark: BenchmarkFixture, conv: nn.Module) -> None:
    def once() -> list[tuple[torch.Tensor, torch.Tensor]]:
        svd = decompose_layer(conv, "0", "channel")
        return [truncate(svd, rank) for rank in RANKS]

    assert len(benchmark(once)) == len(RANKS)


@pytest.mark.benchmark(group="eight ranks of a 128x128x3x3 convolution")
def bench_decompose_per_rank(benchmark: BenchmarkFixture, conv: nn.Module) -> None:
    matrix = SCHEMES["channel"].matrix(conv[0].weight)
    assert len(benchmark(lambda: [truncate(decompose(matrix), rank) for rank in RANKS])) == len(RANKS)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return torchvision.models.resnet18().eval()


@pytest.mark.benchmark(group="MACs of ResNet-18 with one layer at rank 8")
def bench_macs_by_formula(benchmark: BenchmarkFixture, resnet: nn.Module) -> None:
    layers = find_layers(resnet, (3, 64, 64))
    dense = measure_cost(resnet, (3, 64, 64)).macs
    (layer,) = (layer for layer in layers if layer.name == "layer1.0.conv1")
    macs = benchmark(lambda: dense - layer.shape.macs + SCHEMES["channel"].macs(layer.shape, 8))
    small = restructure(resnet, [("layer1.0.conv1", "channel", 8)])
    assert macs == measure_cost(small, (3, 64, 64)).macs


@pytest.mark.benchmark(group="MACs of ResNet-18 with one layer at rank 8")
def bench_macs_by_tracing(benchmark: BenchmarkFixture, resnet: nn.Module) -> None:
    small = restructure(resnet, [("layer1.0.conv1", "channel", 8)])
    assert benchmark(lambda: measure_cost(small, (3, 64, 64))).macs > 0
