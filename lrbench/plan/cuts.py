"""The cuts of a trial: by a rank rule for each layer, or by a budget for all layers together."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from lrbench.lowrank.allocations import BudgetRule
from lrbench.lowrank.compress import choose_rank, refusal
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.layers import Layer
from lrbench.lowrank.ranks import RankRule
from lrbench.lowrank.rule_texts import parse_rule
from lrbench.lowrank.svd import Decomposition
from lrbench.plan.budgets import spend
from lrbench.plan.evidence import Evidence
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Untrained, layers_of
from lrbench.results.records import Prediction, Trial

Decompose = Callable[[str, str, str], Decomposition]
"""(layer, scheme, truncation) -> the decomposition of its weight."""

CONTROL = "dense control"
"""Why the layers of a dense control stay dense."""


def rule_of(trial: Trial) -> RankRule | BudgetRule | None:
    """The rule that chooses a trial's ranks; None for the dense control."""
    return None if trial.scheme == "dense" else parse_rule(trial.rank_rule)


def choose_cuts(
    trial: Trial, spec: SweepSpec, layers: Sequence[Layer], *, model: nn.Module, decompose: Decompose
) -> tuple[Cut, ...]:
    """The cut of each layer of a model by a rank rule, with the reason where it stays dense.

    Args:
        trial: the dense control, or a trial whose rule gives each layer its rank.
        spec: the sweep.
        layers: of the model.
        model: the dense model, trained where the rule needs weights.
        decompose: called only for a rule that needs weights.
    """
    rule = rule_of(trial)
    if rule is None:
        return tuple(Cut(layer=layer.name, scheme="dense", reason=CONTROL) for layer in layers)
    assert isinstance(rule, RankRule), "budgets are spent on all layers together, by spend_budget"
    fixed = fixed_cuts(trial, spec, layers, model=model)

    methods = spec.methods(trial.scheme, trial.truncation)

    def cut(layer: Layer) -> Cut:
        scheme, truncation = next(method for method in methods if _refusal(model, layer, method) is None)
        decomposition = decompose(layer.name, scheme, truncation) if rule.needs_weights else None
        return choose_rank(layer, scheme=scheme, rule=rule, decomposition=decomposition, truncation=truncation)

    return tuple(fixed[layer.name] or cut(layer) for layer in layers)


def spend_budget(
    trial: Trial, spec: SweepSpec, *, dense: Untrained, evidence: Evidence
) -> tuple[tuple[Cut, ...], Prediction]:
    """The cut of each layer of the dense model by a budget rule, and what the rule predicts for the whole model.

    Raises: InputError when evidence that the rule needs is missing; ValueError when its budget cannot be met.
    """
    rule = rule_of(trial)
    assert isinstance(rule, BudgetRule)
    fixed = fixed_cuts(trial, spec, dense.layers, model=dense.model)
    free = [layer for layer in dense.layers if fixed[layer.name] is None]
    methods = spec.methods(trial.scheme, trial.truncation)
    cuts, prediction = spend(rule, free, methods=methods, dense=dense.cost, evidence=evidence.of(trial.baseline))
    spent = {cut.layer: cut for cut in cuts}
    return tuple(fixed[layer.name] or spent[layer.name] for layer in dense.layers), prediction


def fixed_cuts(trial: Trial, spec: SweepSpec, layers: Sequence[Layer], *, model: nn.Module) -> dict[str, Cut | None]:
    """By layer, the cut of a layer that the rule does not decide on: it stays dense, with the reason; else None."""
    chosen = {layer.name for layer in layers_of(spec, trial.layer_set, tuple(layers))}
    methods = spec.methods(trial.scheme, trial.truncation)

    def fix(layer: Layer) -> Cut | None:
        if layer.name not in chosen:
            return Cut(layer=layer.name, scheme="dense", reason=f"not in layer set {trial.layer_set}")
        reasons = [_refusal(model, layer, method) for method in methods]
        if None in reasons:
            return None
        return Cut(layer=layer.name, scheme=trial.scheme, reason="; ".join(dict.fromkeys(map(str, reasons))))

    return {layer.name: fix(layer) for layer in layers}


def _refusal(model: nn.Module, layer: Layer, method: tuple[str, str]) -> str | None:
    return refusal(model, layer, scheme=method[0], truncation=method[1])


def keep_refused(cuts: Sequence[Cut], layers: Sequence[Layer]) -> tuple[Cut, ...]:
    """Cuts that were chosen before layers were checked as trained, those of refused layers dense."""
    refused = {layer.name: layer.refusal for layer in layers if layer.refusal is not None}
    return tuple(
        replace(cut, rank=None, reason=refused[cut.layer], gains_bias=False)
        if cut.rank is not None and cut.layer in refused
        else cut
        for cut in cuts
    )
