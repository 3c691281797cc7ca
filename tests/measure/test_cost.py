"""Params and MACs: against fvcore, torch's own counter, closed forms and published numbers."""

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lrbench.lowrank.layers import find_layers
from lrbench.measure.cost import in_words, measure_cost


def test_resnet18_at_224_px_is_as_published() -> None:
    cost = measure_cost(torchvision.models.resnet18().eval(), (3, 224, 224))
    assert cost.params == 11_689_512
    assert cost.macs == cost.macs_fvcore == 1_814_073_344
    assert (cost.differing, cost.lacking, cost.untraced) == ((), (), "")
    assert cost.macs + (cost.other_ops or 0) == 1_819_065_856, "fvcore's own total"


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet1_1", "densenet121"])
def test_macs_are_half_of_torchs_flops_and_those_of_fvcore_and_the_closed_form(name: str) -> None:
    model, image = torchvision.models.get_model(name).eval(), torch.zeros(1, 3, 64, 64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    cost = measure_cost(model, (3, 64, 64))
    assert cost.macs == cost.macs_fvcore == counter.get_total_flops() / 2
    assert cost.macs == sum(layer.shape.macs for layer in find_layers(model, (3, 64, 64))), "the closed form of layers"


def test_what_has_no_count_is_listed() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.erf(self.conv(image))

    cost = measure_cost(Odd(), (3, 8, 8))
    assert cost.uncounted == ("aten::erf",)
    assert cost.macs == 4 * 3 * 9 * 36


def test_shared_parameters_count_once() -> None:
    layer = nn.Conv2d(3, 3, 1, bias=False)
    assert measure_cost(nn.Sequential(layer, layer), (3, 4, 4)).params == 9


def test_what_a_user_should_know_of_the_count_is_told() -> None:
    class Odd(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            if torch.jit.is_tracing():
                raise TypeError("no")
            return torch.fft.fft2(image).real

    assert in_words(measure_cost(Odd(), (3, 8, 8))) == (
        "MACs lack what aten::_fft_c2c does: there is no formula for it",
        "fvcore cannot trace the model, macs_fvcore stays empty: TypeError: no",
    )
    assert in_words(measure_cost(nn.Flatten(), (3, 8, 8))) == ()
