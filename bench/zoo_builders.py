"""The builders that `bench/study_zoo.py` looks at: of torchvision, and of timm where it is installed."""

from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec

import torch
import torchvision
from torch import nn

LARGEST = 60_000_000
"""Params up to which torchvision's models are looked at: larger ones of a family have the same kinds of layers."""

LARGER = ("vit_b_16",)
"""The least of its family is larger."""

SIZE = 224
"""Pixels of an image of torchvision's models."""

TIMM = """
    tinynet_e lcnet_050 mobilevit_xxs repghostnet_050 mobilevitv2_050 edgenext_xx_small mobilenetv3_small_100
    efficientvit_b0 efficientvit_m0 mobilenetv4_conv_small mixnet_s starnet_s1 xcit_nano_12_p16_224 swiftformer_xs
    mnasnet_100 efficientformerv2_s0 fastvit_t8 convnext_atto convnextv2_atto efficientnet_lite0 pvt_v2_b0
    fbnetc_100 ghostnet_100 regnety_004 hgnetv2_b0 tf_efficientnet_b0 hardcorenas_a mobilenetv3_large_100
    mobileone_s0 pit_ti_224 repvit_m1 regnetx_004 tiny_vit_5m_224 coat_lite_tiny ese_vovnet19b_dw
    vit_tiny_patch16_224 eva02_tiny_patch14_224 gmlp_ti16_224 tf_efficientnetv2_b0 mambaout_femto crossvit_tiny_240
    densenet121 levit_128s repvgg_a0 regnetz_b16 dpn48b resnest14d bat_resnext26ts lambda_resnet26t visformer_tiny
    botnet26t_256 halonet26t hrnet_w18_small efficientformer_l1 poolformer_s12 skresnet18 gcvit_xxtiny
    cait_xxs24_224 gmixer_12_224 nf_resnet26 coatnet_nano_rw_224 resmlp_12_224 dla34 nest_tiny mixer_s32_224
    cspresnet50 deit3_small_patch16_224 rdnet_tiny resnetv2_50 resnext50_32x4d twins_svt_small tnt_s_patch16_224
    res2net50_26w_4s inception_next_tiny swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 davit_tiny
    focalnet_tiny_srf hiera_tiny_224
"""
"""Of timm a model of each kind, the small ones first."""


def build(name: str) -> nn.Module:
    """A model with random weights and, where it starts with zeros or tiny scales, none of these."""
    torch.manual_seed(0)
    if name.startswith("timm:"):
        import timm  # type: ignore[import-not-found]

        model: nn.Module = timm.create_model(name.removeprefix("timm:"), num_classes=10)
    else:
        extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model = torchvision.models.get_model(name, num_classes=10, **extra)
    for key, parameter in model.named_parameters():
        if parameter.is_floating_point() and ("gamma" in key or "layer_scale" in key or not parameter.any()):
            nn.init.normal_(parameter, std=0.1)
    return model.eval()


def size_of(name: str, model: nn.Module) -> int:
    """Pixels of a model's images."""
    return int(model.default_cfg["input_size"][-1]) if name.startswith("timm:") else SIZE  # type: ignore[index]


def library_of(name: str) -> str:
    """The library of a builder with its version."""
    library = "timm" if name.startswith("timm:") else "torchvision"
    return f"{library} {version(library)}"


def builders() -> Iterator[str]:
    """Every builder of the study."""
    every = torchvision.models.list_models(module=torchvision.models)
    params = {name: int(torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]) for name in every}
    listed = sorted((name for name in every if params[name] <= LARGEST or name in LARGER), key=params.__getitem__)
    timm = [f"timm:{name}" for name in TIMM.split() if find_spec("timm")]
    while listed or timm:  # in turn, so that what is stopped has some of both
        yield from (*listed[:1], *timm[:1])
        listed, timm = listed[1:], timm[1:]
