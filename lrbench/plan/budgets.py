"""From what is known of single layers to the ranks of a whole model within a budget."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from lrbench.errors import InputError
from lrbench.lowrank.budget import ALLOCATIONS, BudgetRule, Option, OverBudgetError
from lrbench.lowrank.compress import make_cut
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.layers import Layer
from lrbench.plan.evidence import Evidence, seconds_at
from lrbench.results.records import Accuracy, Cost, Prediction, Probe, Sensitivity


@dataclass(frozen=True, kw_only=True)
class Known:
    """One way to factorize a layer and what is known of it."""

    layer: Layer
    probe: Probe
    drop: float | None
    damage: float


def _drop(known: Known) -> float:
    if known.drop is None:
        raise InputError("greedy looks at accuracies; set sensitivity.accuracy_points to 2 or more")
    return max(0.0, known.drop)


SCORES: Mapping[str, Callable[[Known], float]] = MappingProxyType(
    {
        "damage": lambda known: known.damage,
        "macs_saved": lambda known: 1 - known.probe.macs / known.layer.shape.macs,
        "energy_lost": lambda known: 1 - known.probe.energy,
        "drop": _drop,
        "spectral_error": lambda known: known.probe.spectral_error,
    }
)
"""What an allocation may look at, 0 for the dense layer."""


def spend(
    rule: BudgetRule,
    layers: Sequence[Layer],
    *,
    methods: Sequence[tuple[str, str]],
    dense: Cost,
    evidence: Evidence,
) -> tuple[tuple[Cut, ...], Prediction]:
    """Which ranks a budget rule gives some layers, and what it expects of the model.

    Args:
        rule: what is spent, and how.
        layers: those that may be factorized.
        methods: (scheme, truncation) pairs that a layer may have.
        dense: cost of the whole dense model.
        evidence: what is known of this dense model.

    Raises: InputError when something needed is not known; ValueError when the budget cannot be met.
    """
    _check_known(rule, evidence)
    laws = damage_laws(layers, evidence.sensitivities)
    table = [
        _options(layer, methods, rule=rule, dense=dense, law=laws[layer.name], evidence=evidence) for layer in layers
    ]
    try:
        chosen = ALLOCATIONS[rule.allocation].choose(table, rule.share - 1)
    except OverBudgetError as error:
        least = 1 + error.args[0]
        raise ValueError(
            f"{rule}: with these layers, methods and ranks at least {least:.4f} of the dense model's {rule.cost} remain"
        ) from error
    changes = [(one, some[0]) for one, some in zip(chosen, table, strict=True)]
    added = [one.added_s for one in chosen if one.added_s is not None]
    timed = evidence.dense_s and len(added) == len(chosen)
    return tuple(one.cut for one in chosen), Prediction(
        params=dense.params + sum(one.params - before.params for one, before in changes),
        macs=dense.macs + sum(one.macs - before.macs for one, before in changes),
        damage=sum(one.damage for one in chosen),
        latency_ratio=1 + sum(added) / evidence.dense_s if timed and evidence.dense_s else None,
    )


def _check_known(rule: BudgetRule, evidence: Evidence) -> None:
    """Raises: InputError when a rule needs what is not known."""
    if not evidence.sensitivities:
        raise InputError(
            f"{rule}: the results folder does not say what its layers lose; `lrbench sensitivity SPEC` finds out"
        )
    check_timed(rule, evidence)


def check_timed(rule: BudgetRule, evidence: Evidence) -> None:
    """Raises: InputError when a budget of latency has no timing to go by."""
    if rule.cost == "latency" and not (evidence.dense_s and evidence.added_s):
        raise InputError(
            f"{rule}: the results folder has no timing of layers on this machine ({evidence.setting}); `lrbench layers "
            "SPEC` with the same --out makes them"
        )


Law = Callable[[float], float]
"""Output error -> damage."""


def damage_laws(layers: Iterable[Layer], sensitivities: Iterable[Sensitivity]) -> dict[str, Law]:
    """For each layer, what an error of its outputs does to the model's predictions.

    Where every layer was judged on the search split, damage is the divergence of predictions, as a power of the output
    error fitted to what was measured, by least squares of logarithms; else it is the output error itself.
    """
    found: dict[str, list[tuple[float, float]]] = {layer.name: [] for layer in layers}
    for one in sensitivities:
        for probe in one.probes:
            if one.layer in found and probe.divergence is not None and min(probe.divergence, probe.output_error) > 0:
                found[one.layer].append((probe.output_error, probe.divergence))
    if not all(found.values()):
        return dict.fromkeys(found, _itself)
    return {name: _power_law(sorted(points)) for name, points in found.items()}  # the same in whatever order they came


def _itself(error: float) -> float:
    return error


def _power_law(points: Sequence[tuple[float, float]]) -> Law:
    errors, damages = np.log(np.array(points)).T
    slope, height = np.polyfit(errors, damages, 1) if np.ptp(errors) > 0 else (1.0, float(np.mean(damages - errors)))
    if slope <= 0:
        slope, height = 1.0, float(np.mean(damages - errors))
    return partial(_power, slope=float(slope), scale=float(np.exp(height)))


def _power(error: float, *, slope: float, scale: float) -> float:
    return float(scale * error**slope)


def _options(
    layer: Layer,
    methods: Sequence[tuple[str, str]],
    *,
    rule: BudgetRule,
    dense: Cost,
    law: Law,
    evidence: Evidence,
) -> list[Option]:
    """The ways to keep a layer, dense first."""
    shape, score = layer.shape, SCORES[ALLOCATIONS[rule.allocation].score]
    kept = Cut(layer=layer.name, scheme="dense", reason=f"{rule} saves elsewhere")
    whole = Option(cut=kept, params=shape.weights + shape.biases, macs=shape.macs)
    options = [whole]
    for scheme, truncation in methods:
        asked = (layer.name, scheme, "output" if truncation == "sequential" else truncation)
        curve = evidence.added_s.get((layer.name, scheme))
        for probe, drop in _probes(evidence.sensitivities, asked):
            added_s = seconds_at(curve, probe.rank)
            changes = {
                "macs": (probe.macs - whole.macs) / dense.macs,
                "params": (probe.params - whole.params) / dense.params,
                "latency": added_s / evidence.dense_s if added_s is not None and evidence.dense_s else None,
            }
            cost = changes[rule.cost]
            if cost is None or cost >= 0:
                continue
            known = Known(layer=layer, probe=probe, drop=drop, damage=law(probe.output_error))
            options.append(
                Option(
                    cut=make_cut(layer, probe.rank, scheme=scheme, truncation=truncation),
                    params=probe.params,
                    macs=probe.macs,
                    cost=cost,
                    score=score(known),
                    damage=known.damage,
                    added_s=added_s,
                )
            )
    return options


def _probes(sensitivities: Iterable[Sensitivity], asked: tuple[str, str, str]) -> Iterable[tuple[Probe, float | None]]:
    """The probes of a layer and method, one a rank, each with the accuracy it loses.

    Between the ranks where accuracy was measured the loss is interpolated; None when it was measured nowhere.
    """
    mine = [one for one in sensitivities if (one.layer, one.scheme, one.truncation) == asked]
    found = sorted((probe for one in mine for probe in one.probes), key=lambda probe: probe.search is not None)
    probes = {probe.rank: probe for probe in found}  # of two, the one whose accuracy is known
    dense = next((one.search for one in reversed(mine) if one.search), None)
    judged = {rank: _lost(dense, probe.search) for rank, probe in sorted(probes.items()) if dense and probe.search}
    for rank, probe in sorted(probes.items()):
        yield probe, float(np.interp(rank, list(judged), list(judged.values()))) if judged else None


def _lost(before: Accuracy, after: Accuracy) -> float:
    return before.accuracy - after.accuracy
