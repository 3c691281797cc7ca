"""What all benchmarks share: models, and how a benchmark records what it ran on and what it is compared with."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from lrbench.measure.cost import measure_cost

Describe = Callable[..., None]


@pytest.fixture
def describe(benchmark: BenchmarkFixture) -> Describe:
    """Writes into a benchmark's record: its key, whether it is its group's reference, params and MACs of its model."""

    def write(key: str, *, reference: bool = False, model: nn.Module | None = None, image_size: int = 64) -> None:
        benchmark.extra_info |= {"key": key, "reference": reference}
        if model is not None:
            cost = measure_cost(model, (3, image_size, image_size))
            benchmark.extra_info |= {"params": cost.params, "macs": cost.macs}

    return write


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = torchvision.models.resnet18(num_classes=10)
    return model.eval()
