"""Choose the ranks of a whole model within a budget, from probes and timings of its single layers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lrbench.errors import InputError
from lrbench.lowrank.allocations import ALLOCATIONS, BudgetRule, Option, OverBudgetError
from lrbench.lowrank.compress import make_cut
from lrbench.lowrank.cuts import Cut, name_method, truncation_alone
from lrbench.lowrank.layers import Layer
from lrbench.plan.evidence import Evidence, seconds_at
from lrbench.results.records import Accuracy, Cost, Prediction, Probe, Sensitivity
from lrbench.statistics.damage import Damaged, fit_damage


class InfeasibleError(ValueError):
    """A trial cannot be run as it is planned: no ranks keep to its budget, or it leaves nothing to factorize."""


def too_little(rule: BudgetRule, least: float) -> str:
    """Why a budget cannot be met, by the least share of the dense cost that is left."""
    return f"{rule}: these layers, methods and ranks leave at least {least:.4f} of the dense model's {rule.cost}"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to factorize a layer, with its probe, its accuracy drop and its predicted damage."""

    layer: Layer
    probe: Probe
    drop: float | None
    damage: float


def _drop(candidate: Candidate) -> float:
    if candidate.drop is None:
        raise InputError("rule greedy needs accuracies of single layers: set sensitivity.accuracy_points to 2 or more")
    return max(0.0, candidate.drop)


SCORES: Mapping[str, Callable[[Candidate], float]] = MappingProxyType(
    {
        "damage": lambda candidate: candidate.damage,
        "macs_saved": lambda candidate: 1 - candidate.probe.macs / candidate.layer.shape.macs,
        "energy_lost": lambda candidate: 1 - candidate.probe.energy,
        "drop": _drop,
        "spectral_error": lambda candidate: candidate.probe.spectral_error,
    }
)
"""The scores that an allocation may use; each is 0 for the dense layer."""


def spend(
    rule: BudgetRule,
    layers: Sequence[Layer],
    *,
    methods: Sequence[tuple[str, str]],
    dense: Cost,
    evidence: Evidence,
) -> tuple[tuple[Cut, ...], Prediction]:
    """The ranks that a budget rule gives some layers, and what it predicts for the model.

    Args:
        rule: what is spent, and how.
        layers: those that may be factorized.
        methods: (scheme, truncation) pairs that a layer may have.
        dense: cost of the whole dense model.
        evidence: probes and timings of this dense model.

    Raises: InputError when needed evidence is missing; InfeasibleError when the budget cannot be met.
    """
    _check_known(rule, evidence)
    law = damage_law(layers, evidence.sensitivities)
    table = [_options(layer, methods, rule=rule, dense=dense, law=law, evidence=evidence) for layer in layers]
    try:
        chosen = ALLOCATIONS[rule.allocation].choose(table, rule.share - 1)
    except OverBudgetError as error:
        raise InfeasibleError(too_little(rule, 1 + error.args[0])) from error
    changes = [(option, options[0]) for option, options in zip(chosen, table, strict=True)]
    added = [option.added_s for option in chosen if option.added_s is not None]
    timed = evidence.dense_s and len(added) == len(chosen)
    return tuple(option.cut for option in chosen), Prediction(
        params=dense.params + sum(option.params - before.params for option, before in changes),
        macs=dense.macs + sum(option.macs - before.macs for option, before in changes),
        damage=sum(option.damage for option in chosen),
        latency_ratio=1 + sum(added) / evidence.dense_s if timed and evidence.dense_s else None,
    )


def _check_known(rule: BudgetRule, evidence: Evidence) -> None:
    """Raises: InputError when evidence that the rule needs is missing."""
    if not evidence.sensitivities:
        raise InputError(
            f"{rule}: the results folder has no sensitivities of this model's layers: run `lrbench sensitivity SPEC`"
        )
    check_timed(rule, evidence)


def check_timed(rule: BudgetRule, evidence: Evidence) -> None:
    """Raises: InputError when a latency budget has no timings of layers on this machine."""
    if rule.cost == "latency" and not (evidence.dense_s and evidence.added_s):
        raise InputError(
            f"{rule}: the results folder has no timings of layers on this machine ({evidence.setting}): run `lrbench "
            "layers SPEC` with the same --out"
        )


Law = Callable[[str, str, float], float]
"""(layer, method, output error) -> predicted damage."""


def damage_law(layers: Iterable[Layer], sensitivities: Iterable[Sensitivity]) -> Law:
    """The damage that an error of a layer's outputs does to the model's predictions.

    Where every layer was evaluated on the search split, damage is the divergence of predictions, by the law of
    `statistics.damage` fitted to the measured values; else it is the output error itself.
    """
    named = {layer.name for layer in layers}
    measured = [
        Damaged(
            layer=sensitivity.layer,
            method=name_method(sensitivity.scheme, sensitivity.truncation),
            error=probe.output_error,
            damage=probe.divergence,
        )
        for sensitivity in sensitivities
        if sensitivity.layer in named
        for probe in sensitivity.probes
        if probe.divergence is not None and min(probe.divergence, probe.output_error) > 0
    ]
    return fit_damage(measured) if named == {probe.layer for probe in measured} else _itself


def _itself(layer: str, method: str, error: float) -> float:
    return error


def _options(
    layer: Layer,
    methods: Sequence[tuple[str, str]],
    *,
    rule: BudgetRule,
    dense: Cost,
    law: Law,
    evidence: Evidence,
) -> list[Option]:
    """The options for a layer, dense first."""
    shape, score = layer.shape, SCORES[ALLOCATIONS[rule.allocation].score]
    stays_dense = Cut(layer=layer.name, scheme="dense", reason=f"{rule} saves elsewhere")
    dense_option = Option(cut=stays_dense, params=shape.weights + shape.biases, macs=shape.macs)
    options = [dense_option]
    for scheme, truncation in methods:
        asked = (layer.name, scheme, truncation_alone(truncation))
        curve = evidence.added_s.get((layer.name, scheme))
        for probe, drop in _probes(evidence.sensitivities, asked):
            added_s = seconds_at(curve, probe.rank)
            changes = {
                "macs": (probe.macs - dense_option.macs) / dense.macs,
                "params": (probe.params - dense_option.params) / dense.params,
                "latency": added_s / evidence.dense_s if added_s is not None and evidence.dense_s else None,
            }
            cost = changes[rule.cost]
            if cost is None or cost >= 0:
                continue
            damage = law(layer.name, name_method(*asked[1:]), probe.output_error)
            candidate = Candidate(layer=layer, probe=probe, drop=drop, damage=damage)
            options.append(
                Option(
                    cut=make_cut(layer, probe.rank, scheme=scheme, truncation=truncation),
                    params=probe.params,
                    macs=probe.macs,
                    cost=cost,
                    score=score(candidate),
                    damage=candidate.damage,
                    added_s=added_s,
                )
            )
    return options


def _probes(sensitivities: Iterable[Sensitivity], asked: tuple[str, str, str]) -> Iterable[tuple[Probe, float | None]]:
    """The probes of a layer and method, one per rank, each with its accuracy drop.

    The drop is interpolated between the ranks where accuracy was measured; None when it was measured nowhere.
    """
    matching = [
        sensitivity
        for sensitivity in sensitivities
        if (sensitivity.layer, sensitivity.scheme, sensitivity.truncation) == asked
    ]
    ordered = sorted(
        (probe for sensitivity in matching for probe in sensitivity.probes), key=lambda probe: probe.search is not None
    )
    probes = {probe.rank: probe for probe in ordered}  # of two, the one whose accuracy is known
    dense = next((sensitivity.search for sensitivity in reversed(matching) if sensitivity.search), None)
    judged = {rank: _lost(dense, probe.search) for rank, probe in sorted(probes.items()) if dense and probe.search}
    for rank, probe in sorted(probes.items()):
        yield probe, float(np.interp(rank, list(judged), list(judged.values()))) if judged else None


def _lost(before: Accuracy, after: Accuracy) -> float:
    return before.accuracy - after.accuracy
