"""Models of torchvision and timm with random weights: what can be factorized, and whether it stays the same model.

    python bench/study_zoo.py results/zoo [BUILDER ...]

For each builder: plan; all layers replaced at full rank give the same outputs; at half of their MACs the model has the
predicted params and MACs, and ONNX Runtime gives its outputs. `models.csv` has a row for each, `reasons.csv` its layers
by what becomes of them. Builders with a row are left out: it goes on where it was stopped. timm is optional.
"""

import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
import torchvision
from torch import Tensor, nn

from lrbench.config.axes import Setting
from lrbench.guard import reason_of
from lrbench.lowrank.attention import open_attention
from lrbench.lowrank.compress import choose_rank, first_schemes, restructure
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.examples import random_call, tensors_of
from lrbench.lowrank.layers import Layer, find_layers
from lrbench.lowrank.ranks import Macs, RankRule
from lrbench.lowrank.replace import put_, replace_exactly
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.self_check import find_unsound
from lrbench.measure.cost import measure_cost
from lrbench.measure.environment import read_commit
from lrbench.measure.file_runtimes import ONNX
from lrbench.plan.trials import layer_cost
from lrbench.results.records import Cost
from lrbench.whole import write_whole

ORDER = ("spatial", "channel", "linear", "grouped")
"""Each layer gets the first that is possible."""

LARGEST = 60_000_000
"""Params up to which torchvision's models are looked at: larger ones of a family have the same kinds of layers."""

LARGER = ("vit_b_16",)
"""The least of its family is larger."""

SIZE, SMALL = 224, 64
"""Pixels of an image; and those of what is exported, where a model takes it."""

WITHIN = 1e-4
"""Largest difference of outputs, as a share of their norm."""

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


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found of a builder: a row of models.csv; `outcome` is `ok`, or what is not as it must be."""

    builder: str
    library: str
    image_size: int
    outcome: str
    layers: int | None = None
    factorizable: int | None = None
    covered: float | None = None
    full_rank_difference: float | None = None
    params: int | None = None
    macs: int | None = None
    macs_fvcore: int | None = None
    fvcore_differs: str = ""
    predicted_params: int | None = None
    small_params: int | None = None
    predicted_macs: int | None = None
    small_macs: int | None = None
    onnx_size: int | None = None
    onnx_difference: float | None = None
    seconds: float
    commit: str


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


def examine(name: str) -> tuple[Row, pd.DataFrame]:
    """Plan, full rank, low rank, ONNX: the row of a builder, and its layers by what becomes of them."""
    started = time.perf_counter()
    model = build(name)
    size = size_of(name, model)
    call = random_call((3, size, size))
    model = open_attention(model, call)
    layers = find_layers(model, (3, size, size))
    schemes = first_schemes(model, layers, ORDER)
    unsound = find_unsound(model, schemes, call)
    able = {layer.name: layer for layer in layers if layer.name in schemes and layer.name not in unsound}
    reasons = reasons_of(name, layers, schemes, unsound)
    difference = full_rank_difference(model, {layer: schemes[layer] for layer in able}, size)
    cuts = [choose_rank(layer, scheme=schemes[layer.name], rule=RankRule(base=Macs(0.5))) for layer in able.values()]
    torch.manual_seed(0)
    small = restructure(model, cuts).eval()
    before, after = measure_cost(model, (3, size, size)), measure_cost(small, (3, size, size))
    predicted = predict(before, able, cuts)
    onnx_size, onnx_difference, failure = onnx_parity(small, size)
    faults = {
        "full rank differs": not difference <= WITHIN,
        "params or MACs are not as predicted": predicted != (after.params, after.macs),
        f"MACs lack {' '.join(before.lacking)}": bool(before.lacking),
        failure: onnx_difference is None,
        "ONNX differs": onnx_difference is not None and not onnx_difference <= WITHIN,
    }
    row = Row(
        builder=name,
        library=library_of(name),
        image_size=size,
        outcome="; ".join(fault for fault, found in faults.items() if found) or "ok",
        layers=len(layers),
        factorizable=len(able),
        covered=sum(layer.shape.weights for layer in able.values() if pays(layer, schemes[layer.name])) / before.params,
        full_rank_difference=difference,
        params=before.params,
        macs=before.macs,
        macs_fvcore=before.macs_fvcore,
        fvcore_differs=before.untraced or " ".join(before.differing),
        predicted_params=predicted[0],
        small_params=after.params,
        predicted_macs=predicted[1],
        small_macs=after.macs,
        onnx_size=onnx_size,
        onnx_difference=onnx_difference,
        seconds=time.perf_counter() - started,
        commit=read_commit(),
    )
    return row, reasons


def reasons_of(name: str, layers: Iterable[Layer], schemes: dict[str, str], unsound: dict[str, str]) -> pd.DataFrame:
    """Layers and their params by what becomes of them: a scheme, or why they stay dense."""

    def fate(layer: Layer) -> str:
        refused = layer.refusal or unsound.get(layer.name)
        if refused is None and layer.name in schemes and not pays(layer, schemes[layer.name]):
            return f"{schemes[layer.name]}: no rank lies below break-even"
        return refused or schemes.get(layer.name, "no scheme")

    rows = [{"builder": name, "fate": fate(layer), "layers": 1, "params": layer.shape.weights} for layer in layers]
    return pd.DataFrame(rows).groupby(["builder", "fate"], as_index=False, sort=False).sum()


def pays(layer: Layer, scheme: str) -> bool:
    """Whether a rank lies below both break-even ranks."""
    entry, shape = SCHEMES[scheme], layer.shape
    return all(limit is None or limit > 1 for limit in (entry.breakeven_params(shape), entry.breakeven_macs(shape)))


@torch.inference_mode()
def full_rank_difference(model: nn.Module, schemes: dict[str, str], size: int) -> float:
    """How far outputs move when all layers are replaced at full rank, as a share of their norm."""
    full, call = copy_of(model), random_call((3, size, size))
    for name, scheme in schemes.items():
        put_(full, name, replace_exactly(full.get_submodule(name), SCHEMES[scheme]))
    return share(call(full), call(model))


def share(outputs: object, expected: object) -> float:
    """The norm of a difference as a share of the norm of what is expected."""
    pairs = zip(tensors_of(outputs), tensors_of(expected), strict=True)
    return max(float((one - other).norm() / other.norm()) for one, other in pairs)


def predict(before: Cost, layers: dict[str, Layer], cuts: Iterable[Cut]) -> tuple[int, int]:
    """Params and MACs after the cuts, by closed formulas."""
    params, macs = before.params, before.macs
    for cut in cuts:
        layer = layers[cut.layer]
        after = layer_cost(layer, cut)
        params += after[0] - layer.shape.weights - layer.shape.biases
        macs += after[1] - layer.shape.macs
    return params, macs


@torch.inference_mode()
def onnx_parity(model: nn.Module, size: int) -> tuple[int | None, float | None, str]:
    """The image size of an export to ONNX and how far its outputs are from the model's, or why there is none."""
    setting = Setting(device="cpu", batch_size=2, threads=1, memory_format="contiguous")
    images, expected = smallest(model, size)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        try:
            ONNX.write(model, file, images)
            given: Tensor = ONNX.open(file, setting)(images).call()
        except Exception as error:  # whatever the exporter or the model's own code raises
            return images.shape[-1], None, f"no ONNX: {' '.join(reason_of(error).split())[:200]}"
    return images.shape[-1], share(given, expected), ""


def smallest(model: nn.Module, size: int) -> tuple[Tensor, Tensor]:
    """Two small images, or two of the usual size where a model takes no other; and its outputs."""
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    small = images[..., :SMALL, :SMALL].contiguous()
    try:
        return small, model(small)
    except Exception:  # a model of a fixed size says so in its own words
        return images, model(images)


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


def append(path: Path, rows: pd.DataFrame) -> None:
    """Add rows to a table."""
    before = [pd.read_csv(path)] if path.exists() else []
    write_whole(path, pd.concat([*before, rows]).to_csv(index=False).encode())


def main(folder: Path, names: list[str]) -> None:
    """Examine the builders that have no row yet."""
    warnings.simplefilter("ignore")
    models, reasons = folder / "models.csv", folder / "reasons.csv"
    folder.mkdir(parents=True, exist_ok=True)
    known = set(pd.read_csv(models)["builder"]) if models.exists() else set()
    for name in [name for name in names or builders() if name not in known]:
        started = time.perf_counter()
        try:
            row, layers = examine(name)
            append(reasons, layers)
        except Exception as error:  # a row states what failed
            row = Row(
                builder=name,
                library=library_of(name),
                image_size=SIZE,
                outcome=" ".join(reason_of(error).split())[:300],
                seconds=time.perf_counter() - started,
                commit=read_commit(),
            )
        append(models, pd.DataFrame([asdict(row)]))
        print(f"{name:36} {row.covered or 0:7.1%} {row.seconds:6.1f} s  {row.outcome}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
