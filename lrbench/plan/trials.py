"""The trials of a spec, and its untrained dense model with costs from closed formulas. Trains nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from torch import nn

from lrbench.errors import InputError
from lrbench.guard import guarded
from lrbench.learn import augment, own_loop
from lrbench.learn.architectures import code_of, make_architecture
from lrbench.learn.augment import AUGMENTATIONS
from lrbench.learn.checkpoint_files import weights_digest
from lrbench.learn.generators import seed_all
from lrbench.learn.models import build_model
from lrbench.learn.own_code import code_digest
from lrbench.lowrank import fitted
from lrbench.lowrank.allocations import ALLOCATIONS, parse_budget
from lrbench.lowrank.compress import first_schemes
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.examples import Call, random_call
from lrbench.lowrank.layers import Layer, find_layers, select
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.self_check import find_unsound, in_words, mark_unsound
from lrbench.measure.cost import measure_cost
from lrbench.plan.spec import SweepSpec
from lrbench.results.keys import digest
from lrbench.results.records import SCHEMA, Cost, Trial
from lrbench.results.sessions import Architecture
from lrbench.statistics import damage

READING = 2
"""Version of how layers are read and checked; 1 knew no shared, padded or one-dimensional layers, and checked none."""


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """The dense model of a seed with random or given weights: what is known without training.

    Attributes:
        model: in eval mode, on the CPU.
        seed: of its random weights.
        note: how its head was changed, in words; "" when it was not.
        architecture: the dense one.
        layers: convolutions and linear layers, in the order of the model's modules.
        unsound: what the check of its layers found, a line for each reason.
        cost: of the whole model.
    """

    model: nn.Module
    seed: int
    note: str
    architecture: Architecture
    layers: tuple[Layer, ...]
    cost: Cost
    unsound: tuple[str, ...] = ()


def build_untrained(spec: SweepSpec, *, classes: int, seed: int, limit_s: float | None = None) -> Untrained:
    """Build the dense model, its random weights drawn with a seed; `limit_s` is as in `build_model`.

    Raises: InputError for a wrong model or weights, or when a layer set of the grid matches no layer.
    """
    seed_all(seed)
    size = spec.data.image_size
    model, note = build_model(spec.model, classes=classes, image_size=size, limit_s=limit_s)
    with guarded(f"the layers of model.name={spec.model.name!r} cannot be found, it raised"):
        layers = find_layers(model, (3, size, size))
    for name in spec.chosen_layer_sets():
        if not layers_of(spec, name, layers):
            kinds = spec.layer_sets[name].kinds
            names = [layer.name for layer in layers if layer.kind in kinds]
            examples = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
            raise InputError(
                f"layer_sets.{name} matches no {' or '.join(kinds)} layer of {spec.model.name}; "
                f"layers of the model: {examples or 'none of that kind'}"
            )
    with guarded(f"the MACs of model.name={spec.model.name!r} cannot be counted, it raised"):
        cost = measure_cost(model, (3, size, size))
    with guarded(f"the layers of model.name={spec.model.name!r} cannot be checked, it raised"):
        unsound = unsound_layers(spec, layers, model=model, call=random_call((3, size, size)))
    return Untrained(
        model=model,
        seed=seed,
        note=note,
        architecture=make_architecture(
            spec.model.name, image_size=size, classes=classes, materialized=spec.model.materialize
        ),
        layers=mark_unsound(layers, unsound),
        cost=cost,
        unsound=in_words(unsound),
    )


def unsound_layers(spec: SweepSpec, layers: tuple[Layer, ...], *, model: nn.Module, call: Call) -> dict[str, str]:
    """The chosen layers of a model that cannot be replaced without changing what it computes, with the reasons."""
    schemes = [scheme for pair in spec.grid_methods() for scheme, _ in spec.methods(*pair)]
    return find_unsound(model, first_schemes(model, chosen_layers(spec, layers), schemes), call)


def chosen_layers(spec: SweepSpec, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers of a model that any chosen layer set selects and some scheme can factorize."""
    chosen = {layer.name for name in spec.chosen_layer_sets() for layer in layers_of(spec, name, layers)}
    return tuple(layer for layer in layers if layer.name in chosen and layer.refusal is None)


def layers_of(spec: SweepSpec, layer_set: str, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers of a model that a layer set selects."""
    choice = spec.layer_sets[layer_set]
    return select(layers, include=choice.include, exclude=choice.exclude, kinds=choice.kinds)


def _baseline_facts(spec: SweepSpec, identity: str, weights: str | None) -> dict[str, Any]:
    """What decides the dense model's weights but for the seed: model, data (without its path), recipe.

    weights: the digest of a file of weights, None without one.
    """
    weights = weights or spec.model.weights
    unused = {"search_share": type(spec.data).model_fields["search_share"].default} if spec.data.search else {}
    augmentation = {} if AUGMENTATIONS[spec.data.augment] is None else {"augmentation": augment.VERSION}
    return {
        "schema": SCHEMA,
        "model": {**spec.model.model_dump(), "weights": weights, **code_of(spec.model.name)},
        "data": {**spec.data.model_dump(exclude={"root", "search"}), **unused, "identity": identity, **augmentation},
        "recipe": spec.baseline.model_dump(exclude={"seed"}),
    }


def _grid(spec: SweepSpec) -> Iterator[tuple[str, str, str, str]]:
    """Scheme, truncation, layer set and rank rule of the dense control, then of each trial of the grid."""
    yield "dense", "plain", "none", "none"
    yield from spec.points()


def _budgeted(spec: SweepSpec, rule: str, *, scheme: str, truncation: str) -> Iterator[Any]:
    """What decides the ranks that a budget rule chooses, beside the baseline; nothing for other rules."""
    budget = parse_budget(rule)
    if budget:
        yield from (spec.sensitivity.model_dump(), spec.methods(scheme, truncation))
        if ALLOCATIONS[budget.allocation].score == "damage" and spec.sensitivity.accuracy_points:
            yield {"damage": damage.VERSION}


def _versions(spec: SweepSpec, point: tuple[str, str, str, str], layers: tuple[Layer, ...]) -> Iterator[Any]:
    """The versions of how factors are fitted, and of how layers are read, where a trial has such."""
    scheme, truncation, layer_set, _ = point
    if truncation != "plain" and any(SCHEMES[name].positions for name, _ in spec.methods(scheme, truncation)):
        yield {"fitted": fitted.VERSION}
    if layer_set in spec.layer_sets and any(layer.mended for layer in layers_of(spec, layer_set, layers)):
        yield {"layers": READING}


RECALIBRATE: Mapping[bool | Literal["best"], Literal["yes", "no", "best"]] = MappingProxyType(
    {True: "yes", False: "no", "best": "best"}
)
"""What a trial calls the values of `calibration.recalibrate`."""


def _recalibrated(spec: SweepSpec) -> Iterator[Any]:
    """What else decides the stages of a trial; nothing where it does what all earlier versions did."""
    if spec.model.has_weights or spec.recalibrate() is not True:
        yield {"recalibrate": spec.recalibrate()}
    if spec.finetune.loop:
        yield {"loop": code_digest(spec.finetune.loop, key=own_loop.KEY)}


def plan_trials(
    spec: SweepSpec, *, identity: str, seeds: Sequence[int] | None = None, layers: tuple[Layer, ...] = ()
) -> tuple[Trial, ...]:
    """All trials of a spec: for each seed the dense control first, then schemes x layer sets x rank rules.

    Args:
        spec: the sweep.
        identity: a text that identifies the images.
        seeds: others in place of the spec's.
        layers: of the model; where the first version of lrbench treated a chosen one otherwise, keys tell.
    """
    trials = []
    young = {"recalibrate", "split"} if spec.calibration.split == "search" else {"recalibrate"}  # than keys
    calibration = spec.calibration.model_dump(exclude=young)
    common = _baseline_facts(spec, identity, given := weights_digest(spec.model))
    for seed in dict.fromkeys(spec.sweep.seeds if seeds is None else seeds):
        base = seed if spec.baseline.seed is None else spec.baseline.seed
        baseline = digest({**common, "seed": base})
        for scheme, truncation, layer_set, rule in _grid(spec):
            chosen = spec.layer_sets[layer_set].model_dump() if layer_set in spec.layer_sets else None
            facts = [baseline, spec.finetune.model_dump(), scheme, layer_set, chosen, rule, seed]
            facts += [truncation, calibration] if spec.calibration.images else []
            facts += [*_recalibrated(spec), *_budgeted(spec, rule, scheme=scheme, truncation=truncation)]
            key = digest([*facts, *_versions(spec, (scheme, truncation, layer_set, rule), layers)])
            trials.append(
                Trial(
                    key=key,
                    baseline=baseline,
                    model=spec.model.name,
                    weights=spec.model.words,
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
                    calibration_split=spec.calibration.split,
                    recipe=spec.finetune.recipe,
                    recalibrate=RECALIBRATE[spec.recalibrate()],
                    weights_digest=(given or "none")[:16],
                )
            )
    return tuple(trials)


def layer_cost(layer: Layer, cut: Cut) -> tuple[int, int]:
    """Params (with bias) and MACs of one layer after its cut, by the closed formulas."""
    shape = layer.shape
    if cut.rank is None:
        return shape.weights + shape.biases, shape.macs
    scheme = SCHEMES[cut.scheme]
    biases = shape.out_channels if cut.gains_bias else shape.biases
    return scheme.weights(shape, cut.rank) + biases, scheme.macs(shape, cut.rank)


def predicted_cost(dense: Untrained, cuts: tuple[Cut, ...]) -> tuple[int, int]:
    """Params and MACs of the whole model after the cuts: those of the dense model plus the differences."""
    params, macs = dense.cost.params, dense.cost.macs
    layers = {layer.name: layer for layer in dense.layers}
    for cut in cuts:
        shape, after = layers[cut.layer].shape, layer_cost(layers[cut.layer], cut)
        params += after[0] - shape.weights - shape.biases
        macs += after[1] - shape.macs
    return params, macs
