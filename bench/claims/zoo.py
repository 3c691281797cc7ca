"""results/zoo: how many builders of torchvision and timm pass, and how much of their params can be cut."""

from collections.abc import Iterator

from bench.claims.claim import Claim, computed
from bench.claims.tables import table, where
from bench.study_zoo import WITHIN

FAMILIES = {
    "ResNeXt": "resnext50_32x4d",
    "MobileNetV3": "mobilenet_v3_large",
    "ConvNeXt": "convnext_tiny",
    "ViT": "timm:vit_tiny_patch16_224",
    "Swin": "swin_t",
    "DenseNet": "densenet121",
    "RegNet": "regnet_y_400mf",
}
"""A builder of each family of which nearly all params must be within reach."""


def claims() -> Iterator[Claim]:
    """Shares of params, and differences."""
    models, onnx = table("zoo/models.csv"), table("zoo/onnx.csv")
    covered = 100 * models["covered"]
    yield computed("`timm:davit_tiny` ({} %)", 100 * where(models, builder="timm:davit_tiny")["covered"].item())
    yield computed("all others are at {} % or above", covered[models["builder"] != "timm:davit_tiny"].min())
    named = ", ".join(f"{family} {{}}" for family in FAMILIES)
    yield computed(f"{named} %", *(100 * where(models, builder=name)["covered"].item() for name in FAMILIES.values()))
    yield computed("at full rank move by {} at most", models["full_rank_difference"].max())
    yield computed("ONNX Runtime by {}", onnx["difference"].max())
    assert models["full_rank_difference"].max() <= WITHIN
