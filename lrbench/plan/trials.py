"""From a spec to trials, and from a trial to an architecture, with costs from closed formulas. Trains nothing."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lrbench.config.names import MIXED
from lrbench.errors import InputError
from lrbench.learn.imports import source_digest
from lrbench.learn.models import FILES, build_model
from lrbench.learn.sources import identify
from lrbench.learn.train import pick_device
from lrbench.lowrank.budget import parse_budget
from lrbench.lowrank.compress import Cut
from lrbench.lowrank.layers import Layer, find_layers, select
from lrbench.lowrank.schemes import SCHEMES
from lrbench.measure.cost import measure_cost
from lrbench.measure.latency import fold_batch_norm
from lrbench.measure.settings import settings
from lrbench.plan.spec import SweepSpec
from lrbench.results.records import SCHEMA, Cost, Trial
from lrbench.results.sessions import Architecture, Factorized


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The dense model with random or given weights: what can be known without training."""

    model: nn.Module
    note: str
    classes: int
    layers: tuple[Layer, ...]
    cost: Cost


def digest(value: Any) -> str:
    """A short key for anything JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def build_skeleton(spec: SweepSpec, *, classes: int, seed: int) -> Skeleton:
    """Build the dense model, its weights drawn with a seed.

    Raises: InputError for a wrong model or weights, or when a layer set of the grid matches no layer.
    """
    torch.manual_seed(seed)
    size = spec.data.image_size
    model, note = build_model(spec.model, classes=classes, image_size=size)
    layers = find_layers(model, (3, size, size))
    for name in spec.chosen_layer_sets():
        if not layers_of(spec, name, layers):
            kinds = spec.layer_sets[name].kinds
            names = [layer.name for layer in layers if layer.kind in kinds]
            some = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
            raise InputError(
                f"layer_sets.{name} matches no {' or '.join(kinds)} layer of {spec.model.name}; "
                f"its layers: {some or 'none of that kind'}"
            )
    cost = measure_cost(model, (3, size, size))
    return Skeleton(model=model, note=note, classes=classes, layers=layers, cost=cost)


def layers_of(spec: SweepSpec, layer_set: str, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers of a model that a layer set selects."""
    choice = spec.layer_sets[layer_set]
    return select(layers, include=choice.include, exclude=choice.exclude, kinds=choice.kinds)


def _code(spec: SweepSpec) -> dict[str, str]:
    """The digest of the user's own model code; nothing for a torchvision model, whose version the environment has."""
    name = spec.model.name
    return {"code": source_digest(name, key="model.name")} if ":" in name else {}


def baseline_key(spec: SweepSpec, *, identity: str, seed: int) -> str:
    """What decides the dense model's weights: model, data (wherever it lies), recipe, seed."""
    weights = spec.model.weights
    if weights.endswith(FILES) and Path(weights).is_file():
        weights = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    return digest(
        {
            "schema": SCHEMA,
            "model": {**spec.model.model_dump(), "weights": weights, **_code(spec)},
            "data": {**spec.data.model_dump(exclude={"root"}), "identity": identity},
            "recipe": spec.baseline.model_dump(exclude={"seed"}),
            "seed": seed,
        }
    )


def plan_trials(spec: SweepSpec, *, identity: str) -> tuple[Trial, ...]:
    """All trials of a spec: for each seed the dense control first, then schemes x layer sets x rank rules.

    Args:
        spec: the sweep.
        identity: what identifies the images.
    """
    trials = []
    for seed in dict.fromkeys(spec.sweep.seeds):
        base = spec.baseline.seed if spec.baseline.seed is not None else seed
        baseline = baseline_key(spec, identity=identity, seed=base)
        grid = [
            (scheme, truncation, layer_set, rule)
            for scheme, truncation in spec.grid_methods()
            for layer_set in spec.chosen_layer_sets()
            for rule in spec.sweep.ranks
            if scheme != MIXED or parse_budget(rule)
        ]
        for scheme, truncation, layer_set, rule in [("dense", "plain", "none", "none"), *grid]:
            chosen = spec.layer_sets[layer_set].model_dump() if layer_set in spec.layer_sets else None
            facts = [baseline, spec.finetune.model_dump(), scheme, layer_set, chosen, rule, seed]
            calibrated = [truncation, spec.calibration.model_dump()] if spec.calibration.images else []
            budgeted = [spec.sensitivity.model_dump(), spec.methods(scheme, truncation)] if parse_budget(rule) else []
            key = digest([*facts, *calibrated, *budgeted])
            trials.append(
                Trial(
                    key=key,
                    baseline=baseline,
                    model=spec.model.name,
                    weights=spec.model.weights,
                    data=spec.data.name,
                    image_size=spec.data.image_size,
                    scheme=scheme,
                    layer_set=layer_set,
                    rank_rule=rule,
                    seed=seed,
                    baseline_seed=base,
                    baseline_epochs=spec.baseline.epochs,
                    finetune_epochs=spec.finetune.epochs,
                    truncation=truncation,
                    calibration_images=spec.calibration.images,
                    recipe=spec.finetune.recipe,
                )
            )
    return tuple(trials)


def prepare_sweep(spec: SweepSpec) -> tuple[tuple[Trial, ...], Skeleton]:
    """The trials of a spec and the untrained dense model; refuses what cannot run here before anything starts.

    Raises: InputError for a device that is absent, data or a model that cannot be used.
    """
    settings(spec.latency)
    for recipe in (spec.baseline, spec.finetune):
        pick_device(recipe.device)
    identity, classes = identify(spec.data)
    skeleton = build_skeleton(spec, classes=classes, seed=0)
    if "folded" in spec.latency.batch_norms:
        fold_batch_norm(skeleton.model)
    return plan_trials(spec, identity=identity), skeleton


def architecture_of(spec: SweepSpec, cuts: tuple[Cut, ...], *, classes: int) -> Architecture:
    """The model's shape after the cuts. A layer written back is as dense as before."""
    layers = tuple(
        Factorized(layer=cut.layer.name, scheme=cut.scheme, rank=cut.rank, gains_bias=cut.gains_bias)
        for cut in cuts
        if cut.rank is not None and SCHEMES[cut.scheme].breakeven_params(cut.layer.shape) is not None
    )
    return make_architecture(spec, layers, classes=classes)


def make_architecture(spec: SweepSpec, layers: tuple[Factorized, ...], *, classes: int) -> Architecture:
    """An architecture with its key, a digest of the model (its code, when it is the user's own) and of the layers."""
    shapes = [[layer.layer, layer.scheme, layer.rank, *["bias"] * layer.gains_bias] for layer in layers]
    return Architecture(
        key=digest([spec.model.name, spec.data.image_size, classes, shapes, *_code(spec).values()]),
        model=spec.model.name,
        image_size=spec.data.image_size,
        classes=classes,
        layers=layers,
    )


def layer_cost(cut: Cut) -> tuple[int, int]:
    """Params (with bias) and MACs of one layer after its cut, by the closed formulas."""
    shape = cut.layer.shape
    if cut.rank is None:
        return shape.weights + shape.biases, shape.macs
    scheme = SCHEMES[cut.scheme]
    biases = shape.out_channels if cut.gains_bias else shape.biases
    return scheme.weights(shape, cut.rank) + biases, scheme.macs(shape, cut.rank)


def predicted_cost(dense: Cost, cuts: tuple[Cut, ...]) -> tuple[int, int]:
    """Params and MACs of the whole model after the cuts: those of the dense model plus the differences."""
    params, macs = dense.params, dense.macs
    for cut in cuts:
        after, before = layer_cost(cut), layer_cost(Cut(layer=cut.layer, scheme="dense", rank=None, reason=None))
        params += after[0] - before[0]
        macs += after[1] - before[1]
    return params, macs
