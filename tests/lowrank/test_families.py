"""Small models of torchvision's families: every layer is sound at full rank, and cuts cost what was predicted."""

from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models import convnext, densenet, mobilenetv3, regnet, resnet, swin_transformer, vision_transformer

import lrbench
from lrbench.lowrank.attention import open_attention
from lrbench.lowrank.compress import first_schemes
from lrbench.lowrank.examples import random_call
from lrbench.lowrank.layers import find_layers
from lrbench.lowrank.self_check import find_unsound
from lrbench.measure.cost import measure_cost

SHAPE = (3, 32, 32)
SCHEMES = ("spatial", "channel", "linear", "grouped")

_SWIN = partial(
    swin_transformer.SwinTransformer,
    patch_size=[4, 4],
    embed_dim=16,
    depths=[2, 2],
    num_heads=[2, 4],
    window_size=[3, 3],
    num_classes=10,
)
FAMILIES: Mapping[str, Callable[[], nn.Module]] = {
    "ResNeXt": lambda: resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], 10, groups=8, width_per_group=4),
    "MobileNetV3": lambda: mobilenetv3.mobilenet_v3_small(num_classes=10, width_mult=0.5),
    "ConvNeXt": lambda: convnext.ConvNeXt(
        [convnext.CNBlockConfig(16, 32, 1), convnext.CNBlockConfig(32, None, 1)], layer_scale=1.0, num_classes=10
    ),
    "ViT": lambda: vision_transformer.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=10),
    "Swin": _SWIN,
    "Swin 2": lambda: _SWIN(
        block=swin_transformer.SwinTransformerBlockV2, downsample_layer=swin_transformer.PatchMergingV2
    ),
    "DenseNet": lambda: densenet.DenseNet(8, (2, 2), 16, num_classes=10),
    "RegNet": lambda: regnet.RegNet(
        regnet.BlockParams.from_init_params(depth=4, w_0=16, w_a=8.0, w_m=2.0, group_width=8, se_ratio=0.25), 10
    ),
}
"""A small model of each family."""


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_is_sound_at_full_rank_and_cuts_cost_what_was_predicted(family: str) -> None:
    torch.manual_seed(0)
    model = FAMILIES[family]().eval()
    for parameter in model.parameters():
        if not parameter.any():  # zeros would hide what stands before them
            nn.init.normal_(parameter, std=0.1)
    opened = open_attention(model, random_call(SHAPE))
    layers = find_layers(opened, SHAPE)
    assert {name: layer for name, layer in ((layer.name, layer.refusal) for layer in layers) if layer} == {}
    assert find_unsound(opened, first_schemes(opened, layers, SCHEMES), random_call(SHAPE)) == {}
    weights = sum(layer.shape.weights + layer.shape.biases for layer in layers)
    assert weights >= 0.95 * sum(p.numel() for p in opened.parameters() if p.dim() > 1), "no weight is out of reach"
    cuts = lrbench.choose(model, SHAPE, rule="macs=0.5", schemes=SCHEMES)
    small = lrbench.compress(model, cuts, example=SHAPE)
    before, after = measure_cost(model, SHAPE), measure_cost(small, SHAPE)
    change = cuts.table.sum(numeric_only=True)
    assert after.macs - before.macs == change["macs"] - change["dense_macs"]
    assert after.params - before.params == change["params"] - change["dense_params"]
    assert after.macs < before.macs
