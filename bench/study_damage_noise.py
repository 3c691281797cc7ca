"""How far chance moves the ratio of two damages of a layer: results/damage/noise.csv, for the NOISE of study_damage.

    python -m bench.study_damage_noise results/damage --root IMAGENETTE_64 --weights RESNET18.safetensors

Cuts each layer of a trained ResNet-18 alone by the methods of the Imagenette study, and keeps what each cut does to the
predictions image by image, which a sweep does not. A row for each pair of methods on a layer at equal MACs: `log_ratio`
of their divergences on the search split, and its standard `error` over so many `images`. Takes minutes.
"""

import argparse
from collections.abc import Iterator
from copy import deepcopy
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lrbench.learn.batches import calibration_batches, test_batches
from lrbench.learn.datasets import load_dataset
from lrbench.learn.models import build_model
from lrbench.learn.train import batching
from lrbench.lowrank.compress import decompose_layer, decompose_layer_outputs, make_cut, refusal
from lrbench.lowrank.layers import find_layers
from lrbench.lowrank.moments import gather_moments, reestimate_batch_norm_
from lrbench.lowrank.replace import replace_layer
from lrbench.lowrank.schemes import SCHEMES
from lrbench.measure.accuracy import predict
from lrbench.measure.environment import read_commit
from lrbench.plan.layer_ranks import ranks_to_probe, thinned
from lrbench.plan.spec import SweepSpec, load_spec
from lrbench.plan.trials import layer_cost
from lrbench.report.frames.damage import NEAR
from lrbench.report.frames.rivals import Row

METHODS = (("channel", "plain"), ("channel", "output"), ("weight", "plain"), ("spatial", "plain"), ("tucker2", "plain"))


def divergences(spec: SweepSpec) -> Iterator[Row]:
    """Each cut: its layer, method, rank and MACs, and what it does to the predictions of each image [nats]."""
    data = load_dataset(spec.data, cache=Path("cache"))
    size, how = spec.data.image_size, batching(spec.baseline, spec.data)
    model, _ = build_model(spec.model, classes=data.classes, image_size=size)
    layers = [layer for layer in find_layers(model, (3, size, size)) if layer.name.startswith("layer")]
    moments = gather_moments(model, [layer.name for layer in layers], calibration_batches(data, how, spec.calibration))

    def log_shares(changed: torch.nn.Module) -> torch.Tensor:
        reestimate_batch_norm_(changed, calibration_batches(data, how, spec.calibration))
        return torch.log_softmax(predict(changed, test_batches(data.search, how))[0].double(), 1)

    dense = log_shares(deepcopy(model))
    for layer in layers:
        for scheme, truncation in METHODS:
            if refusal(model, layer, scheme=scheme, truncation=truncation):
                continue
            parts = (
                decompose_layer(model, layer.name, scheme)
                if truncation == "plain"
                else decompose_layer_outputs(model, layer.name, moments=moments[layer.name])
            )
            ranks = ranks_to_probe(layer.shape, scheme, spec.sensitivity)
            for rank in thinned(ranks, spec.sensitivity.accuracy_points):
                changed, module = deepcopy(model), model.get_submodule(layer.name)
                changed.set_submodule(
                    layer.name,
                    replace_layer(module, rank, scheme=SCHEMES[scheme], decomposition=parts, name=layer.name),
                )
                cut = make_cut(layer, rank, scheme=scheme, truncation=truncation)
                yield {
                    "layer": layer.name,
                    "method": f"{scheme} {truncation}",
                    "rank": rank,
                    "macs": layer_cost(layer, cut)[1],
                    "nats": (dense.exp() * (dense - log_shares(changed))).sum(1).numpy(),
                }


def pairs(rows: list[Row]) -> Iterator[Row]:
    """Pairs of methods on a layer at equal MACs, by the same images."""
    for a, b in combinations(rows, 2):
        if a["layer"] == b["layer"] and a["method"] != b["method"] and abs(np.log(a["macs"] / b["macs"])) <= NEAR:
            first, second = (one["nats"] / one["nats"].mean() for one in (a, b))
            both: NDArray[np.float64] = first - second
            yield {
                "layer": a["layer"],
                **{f"{name}_{i}": one[name] for i, one in enumerate((a, b), 1) for name in ("method", "rank", "macs")},
                "log_ratio": np.log(a["nats"].mean() / b["nats"].mean()),
                "error": both.std(ddof=1) / np.sqrt(len(both)),
                "images": len(both),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root", required=True, help="Imagenette at 64 px, a folder with train/ and val/")
    parser.add_argument("--weights", required=True, help="of a ResNet-18 trained on it")
    chosen = parser.parse_args()
    overrides = [
        "data.name=folder",
        f"data.root={chosen.root}",
        f"model.weights={chosen.weights}",
        "baseline.amp=false",
    ]
    spec = load_spec(Path("bench/sweeps/imagenette.toml"), overrides)
    table = pd.DataFrame(list(pairs(list(divergences(spec))))).assign(commit=read_commit())
    table.to_csv(chosen.folder / "noise.csv", index=False)
    print(f"{len(table)} pairs: standard error of the log ratio {table['error'].median():.3f} (median)")


if __name__ == "__main__":
    main()
