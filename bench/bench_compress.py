"""Compressing a model and planning trials, each beside the naive way in the same run."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

import lrbench
from lrbench.learn.architectures import cut_architecture, shaped
from lrbench.lowrank.factors import weight_of
from lrbench.measure.cost import measure_cost
from lrbench.plan.preview import preview
from lrbench.plan.run import prepare
from lrbench.plan.spec import SweepSpec, make_spec

RANKS = {f"layer{stage}.{block}.conv{number}": 16 for stage in (1, 2) for block in (0, 1) for number in (1, 2)}
COMPRESS = "compress the eight convolutions of two stages to rank 16"
PLAN = "plan ten trials: layers, ranks, params and MACs of each"


@pytest.mark.benchmark(group=COMPRESS)
def bench_compress(benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module) -> None:
    small = benchmark(lambda: lrbench.compress(resnet, RANKS, scheme="channel"))
    describe("compress channel rank=16", model=small)


@pytest.mark.benchmark(group=COMPRESS)
def bench_compress_by_full_svd(benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module) -> None:
    """A copy of the model, one full SVD a layer, two convolutions in its place."""

    def naive() -> nn.Module:
        model = deepcopy(resnet)
        for name, rank in RANKS.items():
            conv = model.get_submodule(name)
            assert isinstance(conv, nn.Conv2d)
            u, s, vh = torch.linalg.svd(conv.weight.detach().flatten(1), full_matrices=False)
            first = nn.Conv2d(conv.in_channels, rank, 3, conv.stride[0], padding=1, bias=False)
            second = nn.Conv2d(rank, conv.out_channels, 1, bias=False)
            first.weight.data = vh[:rank].view(rank, conv.in_channels, 3, 3)
            second.weight.data = (u[:, :rank] * s[:rank])[:, :, None, None]
            model.set_submodule(name, nn.Sequential(first, second))
        return model

    small = benchmark(naive)
    describe("compress by full SVD", reference=True, model=small)
    macs = [
        measure_cost(model, (3, 64, 64)).macs for model in (small, lrbench.compress(resnet, RANKS, scheme="channel"))
    ]
    assert macs[0] == macs[1]


@pytest.fixture(scope="module")
def spec() -> SweepSpec:
    ranks = [f"macs={share / 10}" for share in range(1, 10)]
    return make_spec({"sweep": {"schemes": ["channel"], "ranks": ranks}}, where="benchmark")


@pytest.mark.benchmark(group=PLAN)
def bench_plan(benchmark: BenchmarkFixture, describe: Callable[..., None], spec: SweepSpec) -> None:
    run = prepare(spec)
    previews = benchmark(lambda: [preview(trial, spec, run.dense) for trial in run.trials])
    describe("plan by formula")
    assert len(previews) == 10


@pytest.mark.benchmark(group=PLAN)
def bench_plan_by_building(benchmark: BenchmarkFixture, describe: Callable[..., None], spec: SweepSpec) -> None:
    """The same costs by building each model and tracing it."""
    run = prepare(spec)
    previews = [preview(trial, spec, run.dense) for trial in run.trials]
    architectures = [cut_architecture(run.dense.architecture, planned.cuts or ()) for planned in previews]

    def naive() -> list[int]:
        return [measure_cost(shaped(run.dense.model, architecture), (3, 32, 32)).macs for architecture in architectures]

    macs = benchmark.pedantic(naive, rounds=3)
    describe("plan by building and tracing", reference=True)
    assert macs == [planned.macs for planned in previews]


STEP = "a training step of four images of 32 px"


@pytest.mark.parametrize("scheme", ["dense", "channel", "spatial"])
@pytest.mark.benchmark(group=STEP)
def bench_training_step(
    benchmark: BenchmarkFixture, describe: Callable[..., None], resnet: nn.Module, scheme: str
) -> None:
    ranks = {name: max(1, weight_of(resnet.get_submodule(name)).shape[0] // 4) for name in RANKS}
    model = deepcopy(resnet) if scheme == "dense" else lrbench.compress(resnet, ranks, scheme=scheme)
    describe(f"training step {scheme}", reference=scheme == "dense", model=model, image_size=32)
    model.train()
    images, labels = torch.rand(4, 3, 32, 32), torch.arange(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    assert benchmark(step) >= 0
