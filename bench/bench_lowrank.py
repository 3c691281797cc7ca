"""What decomposing once, counting by formula and running once save, each beside the naive way in the same run."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from lrbench.lowrank.compress import compress, decompose_layer, make_cut, restructure
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.factors import weight_of
from lrbench.lowrank.layers import Layer, find_layers
from lrbench.lowrank.moments import output_rows
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.sequential import JointMoments, compress_sequentially, decompose_regression
from lrbench.measure.cost import measure_cost

GRID = 32
"""Ranks of a grid: 1/32, 2/32, ... of each layer's largest."""


@pytest.fixture(scope="module")
def layers(resnet: nn.Module) -> list[Layer]:
    """Every convolution but those of the last stage, whose decompositions would take minutes the naive way."""
    return [
        layer
        for layer in find_layers(resnet, (3, 64, 64))
        if layer.kind == "conv" and not layer.name.startswith("layer4")
    ]


def grid(layer: Layer) -> list[int]:
    largest = SCHEMES["channel"].max_rank(layer.shape)
    return sorted({max(1, largest * step // GRID) for step in range(1, GRID + 1)})


def decompose_once(model: nn.Module, layers: list[Layer]) -> int:
    """Factors at every rank of the grid from one decomposition a layer; gives their number."""
    count = 0
    for layer in layers:
        decomposition = decompose_layer(model, layer.name, "channel")
        count += sum(len(decomposition.cut(rank)) for rank in grid(layer))
    return count


def one_svd_a_layer(model: nn.Module, layers: list[Layer]) -> list[Tensor]:
    """A single SVD of each weight, cut nowhere: the least that a plain SVD could cost."""
    matrices = (weight_of(model.get_submodule(layer.name)).detach().flatten(1) for layer in layers)
    return [torch.linalg.svd(matrix, full_matrices=False).S for matrix in matrices]


@pytest.fixture(scope="module")
def resnet50() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = torchvision.models.resnet50(num_classes=10)
    return model.eval()


@pytest.fixture(scope="module")
def convs50(resnet50: nn.Module) -> list[Layer]:
    return [layer for layer in find_layers(resnet50, (3, 64, 64)) if layer.kind == "conv"]


@pytest.mark.benchmark(group="all 53 convolutions of ResNet-50")
def bench_resnet50_at_32_ranks(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet50: nn.Module, convs50: list[Layer]
) -> None:
    describe("decompose once, 32 ranks", model=resnet50)
    assert benchmark.pedantic(decompose_once, args=(resnet50, convs50), rounds=3) > len(convs50)


@pytest.mark.benchmark(group="all 53 convolutions of ResNet-50")
def bench_resnet50_one_svd_a_layer(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet50: nn.Module, convs50: list[Layer]
) -> None:
    describe("one float32 SVD a layer", reference=True, model=resnet50)
    assert len(benchmark.pedantic(one_svd_a_layer, args=(resnet50, convs50), rounds=3)) == 53


@pytest.mark.benchmark(group="truncate ResNet-18, stages 1 to 3, at 32 ranks")
def bench_decompose_once(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module, layers: list[Layer]
) -> None:
    describe("decompose once, 32 ranks", model=resnet)
    assert benchmark.pedantic(decompose_once, args=(resnet, layers), rounds=5, warmup_rounds=1) > len(layers)


@pytest.mark.benchmark(group="truncate ResNet-18, stages 1 to 3, at 32 ranks")
def bench_decompose_per_rank(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module, layers: list[Layer]
) -> None:
    describe("one SVD a rank", reference=True, model=resnet)

    def naive() -> int:
        count = 0
        for layer in layers:
            matrix = weight_of(resnet.get_submodule(layer.name)).detach().flatten(1)
            for rank in grid(layer):
                u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
                count += len((u[:, :rank] * s[:rank], vh[:rank]))
        return count

    assert benchmark.pedantic(naive, rounds=1) > len(layers)


def shapes(layers: list[Layer]) -> list[Cut]:
    return [Cut(layer=layer.name, scheme="channel", rank=8) for layer in layers]


@pytest.mark.benchmark(group="MACs of ResNet-18 at rank 8")
def bench_macs_by_formula(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module, layers: list[Layer]
) -> None:
    describe("MACs by formula", model=resnet)
    dense, scheme = measure_cost(resnet, (3, 64, 64)).macs, SCHEMES["channel"]
    macs = benchmark(lambda: dense + sum(scheme.macs(layer.shape, 8) - layer.shape.macs for layer in layers))
    assert macs == measure_cost(restructure(resnet, shapes(layers)), (3, 64, 64)).macs


@pytest.mark.benchmark(group="MACs of ResNet-18 at rank 8")
def bench_macs_by_tracing(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module, layers: list[Layer]
) -> None:
    describe("MACs by tracing", reference=True, model=resnet)
    small = restructure(resnet, shapes(layers))
    assert benchmark(lambda: measure_cost(small, (3, 64, 64))).macs > 0


SEQUENTIAL = "truncate the 20 convolutions of ResNet-18 in sequence on 64 images of 64 px"


@pytest.fixture(scope="module")
def in_sequence(resnet: nn.Module) -> list[Cut]:
    """A quarter of the rank of each convolution."""
    convs = [layer for layer in find_layers(resnet, (3, 64, 64)) if layer.kind == "conv"]
    ranks = ((layer, SCHEMES["channel"].max_rank(layer.shape) // 4) for layer in convs)
    return [make_cut(layer, rank, scheme="channel", truncation="sequential") for layer, rank in ranks]


def image_batches() -> tuple[Tensor, ...]:
    images = torch.rand(64, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return images[:32], images[32:]


@pytest.mark.benchmark(group=SEQUENTIAL)
def bench_sequential(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module, in_sequence: list[Cut]
) -> None:
    batches = image_batches()
    small = benchmark.pedantic(
        lambda: compress_sequentially(resnet, in_sequence, batches=lambda: batches), rounds=3, warmup_rounds=1
    )
    describe("each batch once through both networks", model=small)


@pytest.mark.benchmark(group=SEQUENTIAL)
def bench_sequential_by_whole_passes(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module, in_sequence: list[Cut]
) -> None:
    """Two whole passes for each layer, and a new copy of the model for each cut."""
    batches = image_batches()

    @torch.no_grad()
    def rows(model: nn.Module, name: str) -> Tensor:
        seen: list[Tensor] = []
        layer = model.get_submodule(name)
        handle = layer.register_forward_hook(lambda module, _, output: seen.append(output_rows(module, output)))
        for images in batches:
            model(images)
        handle.remove()
        return torch.cat(seen)

    def naive() -> nn.Module:
        small = resnet
        for cut in in_sequence:
            y, x = (rows(model, cut.layer) for model in (resnet, small))
            cy, cx = y - y.mean(0), x - x.mean(0)
            moments = JointMoments(x.mean(0), y.mean(0), cx.T @ cx / len(x), cy.T @ cx / len(x))
            weight = weight_of(resnet.get_submodule(cut.layer)).flatten(1)
            decomposition = decompose_regression(weight, moments)
            small = compress(small, [cut], decompose={cut: decomposition}.__getitem__)
        return small

    small = benchmark.pedantic(naive, rounds=1)
    describe("two whole passes a layer", reference=True, model=small)
    ours = compress_sequentially(resnet, in_sequence, batches=lambda: batches)
    torch.testing.assert_close(ours(batches[0]), small(batches[0]), rtol=0, atol=1e-4)
