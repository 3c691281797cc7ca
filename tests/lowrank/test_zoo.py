"""Torchvision's models: compressed at full rank they are what they were, at low rank they cost what was predicted."""

import pytest
import torch
import torchvision
from torch import nn

from lrbench.lowrank.compress import choose_rank, compress, refusal
from lrbench.lowrank.layers import Layer, find_layers
from lrbench.lowrank.rule_texts import parse_rule
from lrbench.lowrank.schemes import SCHEMES
from lrbench.measure.cost import measure_cost

pytestmark = pytest.mark.filterwarnings("ignore:layer .* rank .* has:UserWarning")  # full ranks save nothing

ZOO = {
    "mobilenet_v2": 64,
    "resnet50": 64,
    "vgg16": 32,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "convnext_tiny": 64,
    "vit_b_16": 224,
    "squeezenet1_1": 64,
}
"""Models by name, with the image size (px) that keeps this test short."""

LARGE = ("resnet50", "vgg16", "densenet121", "convnext_tiny", "vit_b_16")
"""Models that take seconds."""

NAMES = [pytest.param(name, marks=[pytest.mark.long] if name in LARGE else []) for name in ZOO]

SMALL = 3_000_000
"""Weights of a layer up to which the full-rank test decomposes it; a larger one would only take longer."""


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    extra = {"image_size": ZOO[name]} if name == "vit_b_16" else {}
    model = torchvision.models.get_model(name, num_classes=10, **extra).eval()
    for key, parameter in model.named_parameters():
        if "layer_scale" in key or not parameter.any():  # zeros and 1e-6 would hide what stands before them
            nn.init.normal_(parameter, std=0.1)
    return model


def readable(model: nn.Module, layers: tuple[Layer, ...], scheme: str) -> list[Layer]:
    return [layer for layer in layers if refusal(model, layer, scheme=scheme) is None]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_keeps_its_outputs_at_full_rank_and_has_the_predicted_cost_at_low_rank(name: str) -> None:
    model, size = build(name), ZOO[name]
    layers = find_layers(model, (3, size, size))
    image = torch.randn(1, 3, size, size)
    scheme = "linear" if name in ("convnext_tiny", "vit_b_16") else "channel"
    kind, able = SCHEMES[scheme], readable(model, layers, scheme)

    full = {layer.name: kind.max_rank(layer.shape) for layer in able if layer.shape.weights <= SMALL}
    with torch.no_grad():
        before, after = model(image), compress(model, full, scheme=scheme)(image)
    assert len(full) >= 5
    assert float((after - before).norm() / before.norm()) < 1e-4

    dense = measure_cost(model, (3, size, size))
    cuts = [choose_rank(layer, scheme=scheme, rule=parse_rule("macs=0.5")) for layer in able]
    shapes = {layer.name: layer.shape for layer in layers}
    ranks = {cut.layer: cut.rank for cut in cuts if cut.rank is not None and shapes[cut.layer].weights <= SMALL}
    small = measure_cost(compress(model, ranks, scheme=scheme), (3, size, size))
    assert small.macs - dense.macs == sum(kind.macs(shapes[n], r) - shapes[n].macs for n, r in ranks.items())
    assert small.params - dense.params == sum(kind.weights(shapes[n], r) - shapes[n].weights for n, r in ranks.items())
    assert small.macs < dense.macs


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_skipped_for_the_right_reason(name: str) -> None:
    model = build(name)
    for layer in find_layers(model, (3, ZOO[name], ZOO[name])):
        module = model.get_submodule(layer.name)
        reason = refusal(model, layer, scheme="channel")
        if isinstance(module, nn.Linear):
            assert reason == "not a convolution"
        elif module.groups > 1:
            assert reason == f"grouped convolution (groups={module.groups})"
        else:
            assert reason is None


def test_the_library_example_of_the_readme_runs() -> None:
    import lrbench

    model = torchvision.models.resnet18().eval()
    small = lrbench.compress(model, {"layer1.0.conv1": 8, "layer1.0.conv2": 8}, scheme="channel")
    assert sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in small.parameters()) == 2 * (
        36864 - 8 * (576 + 64)
    )
