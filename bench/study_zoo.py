"""Models of torchvision and timm with random weights: what can be factorized, and whether it stays the same model.

    python -m bench.study_zoo results/zoo [BUILDER ...]

For each builder: plan; all layers replaced at full rank give the same outputs; at half of their MACs the model has the
predicted params and MACs (`models.csv`, and `reasons.csv`: its layers by what becomes of them); and then, which takes
longest, ONNX Runtime gives the outputs of the model at half of its MACs (`onnx.csv`). Builders with a row are left out:
it goes on where it was stopped. timm is optional.
"""

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from torch import Tensor, nn

from bench.zoo_builders import build, builders, library_of, size_of
from lrbench.config.axes import Setting
from lrbench.guard import reason_of
from lrbench.lowrank.attention import open_attention
from lrbench.lowrank.compress import choose_rank, first_schemes, restructure
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.examples import random_call, tensors_of
from lrbench.lowrank.layers import CONVOLUTIONS, Layer, find_layers
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

SMALL = 64
"""Pixels of an image of what is exported, where a model takes it."""

WITHIN = 1e-4
"""Largest difference of outputs, as a share of their norm."""

UNCALLED = "no forward pass calls it"
"""What becomes of a layer that is of use in training only, or whose weight another module reads."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A planned model: its layers, those that can be factorized with their schemes, why others cannot, and cuts."""

    model: nn.Module
    size: int
    layers: tuple[Layer, ...]
    able: dict[str, Layer]
    schemes: dict[str, str]
    refused: dict[str, str]
    cuts: tuple[Cut, ...]


def plan(name: str) -> Subject:
    """A model with cuts at half of the MACs of each layer that can be factorized."""
    model = build(name)
    size = size_of(name, model)
    call = random_call((3, size, size))
    model = open_attention(model, call)
    layers = find_layers(model, (3, size, size))
    schemes = first_schemes(model, layers, ORDER)
    unsound = find_unsound(model, schemes, call)
    able = {layer.name: layer for layer in layers if layer.name in schemes and layer.name not in unsound}
    cuts = (choose_rank(layer, scheme=schemes[layer.name], rule=RankRule(base=Macs(0.5))) for layer in able.values())
    refused = {layer.name: layer.refusal for layer in layers if layer.refusal is not None}
    return Subject(
        model=model,
        size=size,
        layers=layers,
        able=able,
        schemes={layer: schemes[layer] for layer in able},
        refused={**refused, **unsound},
        cuts=tuple(cuts),
    )


def shrunk(subject: Subject) -> nn.Module:
    """The model after its cuts, with random factors."""
    torch.manual_seed(0)
    return restructure(subject.model, subject.cuts).eval()


def model_tables(name: str) -> dict[str, pd.DataFrame]:
    """The row of a builder, and its layers by what becomes of them."""
    subject = plan(name)
    shape = (3, subject.size, subject.size)
    before, after = measure_cost(subject.model, shape), measure_cost(shrunk(subject), shape)
    difference, predicted = full_rank_difference(subject), predict(before, subject)
    paying = (layer.shape.weights for layer in subject.able.values() if pays(layer, subject.schemes[layer.name]))
    faults = {
        "full rank differs": not difference <= WITHIN,
        "params or MACs are not as predicted": predicted != (after.params, after.macs),
        f"MACs lack {' '.join(before.lacking)}": bool(before.lacking),
    }
    row = {
        "image_size": subject.size,
        "layers": len(subject.layers),
        "factorizable": len(subject.able),
        "covered": sum(paying) / before.params,
        "full_rank_difference": difference,
        "params": before.params,
        "macs": before.macs,
        "macs_fvcore": before.macs_fvcore,
        "fvcore_differs": before.untraced or " ".join(before.differing),
        "predicted_params": predicted[0],
        "small_params": after.params,
        "predicted_macs": predicted[1],
        "small_macs": after.macs,
        "outcome": "; ".join(fault for fault, found in faults.items() if found) or "ok",
    }
    return {"models": pd.DataFrame([row]), "reasons": reasons_of(subject)}


def onnx_tables(name: str) -> dict[str, pd.DataFrame]:
    """How far the outputs of a builder's model after its cuts move when ONNX Runtime computes them."""
    subject = plan(name)
    with torch.inference_mode():
        size, difference = onnx_difference(shrunk(subject), subject.size)
    outcome = "ok" if difference <= WITHIN else "ONNX differs"
    return {"onnx": pd.DataFrame([{"image_size": size, "difference": difference, "outcome": outcome}])}


def reasons_of(subject: Subject) -> pd.DataFrame:
    """Layers and their params by what becomes of them: a scheme, or why they stay dense."""

    def fate(layer: Layer) -> str:
        if layer.name not in subject.able:
            return subject.refused.get(layer.name, "no scheme")
        scheme = subject.schemes[layer.name]
        return scheme if pays(layer, scheme) else f"{scheme}: no rank lies below break-even"

    rows = [{"fate": fate(layer), "layers": 1, "params": layer.shape.weights} for layer in subject.layers]
    called = {layer.name for layer in subject.layers}
    for name, module in subject.model.named_modules():
        if isinstance(module, (*CONVOLUTIONS, nn.Linear)) and name not in called:
            rows.append({"fate": UNCALLED, "layers": 1, "params": module.weight.numel()})
    return pd.DataFrame(rows).groupby("fate", as_index=False, sort=False).sum()


def pays(layer: Layer, scheme: str) -> bool:
    """Whether a rank lies below both break-even ranks."""
    entry, shape = SCHEMES[scheme], layer.shape
    return all(limit is None or limit > 1 for limit in (entry.breakeven_params(shape), entry.breakeven_macs(shape)))


@torch.inference_mode()
def full_rank_difference(subject: Subject) -> float:
    """How far outputs move when all layers are replaced at full rank, as a share of their norm."""
    full, call = copy_of(subject.model), random_call((3, subject.size, subject.size))
    for name, scheme in subject.schemes.items():
        put_(full, name, replace_exactly(full.get_submodule(name), SCHEMES[scheme]))
    return share(call(full), call(subject.model))


def share(outputs: object, expected: object) -> float:
    """The norm of a difference as a share of the norm of what is expected."""
    pairs = zip(tensors_of(outputs), tensors_of(expected), strict=True)
    return max(float((one - other).norm() / other.norm()) for one, other in pairs)


def predict(before: Cost, subject: Subject) -> tuple[int, int]:
    """Params and MACs after the cuts, by closed formulas."""
    params, macs = before.params, before.macs
    for cut in subject.cuts:
        layer = subject.able[cut.layer]
        after = layer_cost(layer, cut)
        params += after[0] - layer.shape.weights - layer.shape.biases
        macs += after[1] - layer.shape.macs
    return params, macs


def onnx_difference(model: nn.Module, size: int) -> tuple[int, float]:
    """The image size of an export to ONNX, and how far its outputs are from the model's."""
    setting = Setting(device="cpu", batch_size=2, threads=1, memory_format="contiguous")
    images, expected = smallest(model, size)
    with TemporaryDirectory() as folder:
        ONNX.write(model, Path(folder) / "model.onnx", images)
        given: Tensor = ONNX.open(Path(folder) / "model.onnx", setting)(images).call()
    return images.shape[-1], share(given, expected)


def smallest(model: nn.Module, size: int) -> tuple[Tensor, Tensor]:
    """Two small images, or two of the usual size where a model takes no other; and its outputs."""
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    small = images[..., :SMALL, :SMALL].contiguous()
    try:
        return small, model(small)
    except Exception:  # a model of a fixed size says so in its own words
        return images, model(images)


STEPS: dict[str, Callable[[str], dict[str, pd.DataFrame]]] = {"models": model_tables, "onnx": onnx_tables}
"""What is done in turn with every builder, by the table that has a row for each."""


def append(path: Path, rows: pd.DataFrame) -> None:
    """Add rows to a table."""
    before = [pd.read_csv(path)] if path.exists() else []
    write_whole(path, pd.concat([*before, rows]).convert_dtypes().to_csv(index=False).encode())


def take(table: str, name: str, folder: Path) -> None:
    """One step with one builder, into its tables; a row states what failed."""
    started = time.perf_counter()
    try:
        tables = STEPS[table](name)
    except Exception as error:  # whatever a model's own code, or an exporter, raises
        tables = {table: pd.DataFrame([{"outcome": " ".join(reason_of(error).split())[:300]}])}
    seconds = time.perf_counter() - started
    tables[table] = tables[table].assign(seconds=seconds, commit=read_commit())
    for key, rows in reversed(tables.items()):
        rows.insert(0, "builder", name)
        rows.insert(1, "library", library_of(name))
        append(folder / f"{key}.csv", rows)
    print(f"{name:36} {table:6} {seconds:6.1f} s  {tables[table]['outcome'].iloc[0]}", flush=True)


def main(folder: Path, names: list[str]) -> None:
    """Examine the builders that have no row yet."""
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    for table in STEPS:
        path = folder / f"{table}.csv"
        known = set(pd.read_csv(path)["builder"]) if path.exists() else set()
        for name in [name for name in names or builders() if name not in known]:
            take(table, name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
