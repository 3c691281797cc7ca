"""What happens to each layer of a model in a trial: by a rule for each layer, or by a budget for all of them."""

from collections.abc import Callable

from torch import nn

from lrbench.lowrank.budget import BudgetRule
from lrbench.lowrank.compress import Cut, choose_rank, refusal
from lrbench.lowrank.layers import Layer
from lrbench.lowrank.ranks import parse_rule
from lrbench.lowrank.svd import Decomposition
from lrbench.plan.budgets import Evidence, spend
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Skeleton, layers_of
from lrbench.results.records import Prediction, Trial

Decompose = Callable[[str, str, str], Decomposition]
"""(layer, scheme, truncation) -> the decomposition of its weight."""


def choose_cuts(
    trial: Trial,
    spec: SweepSpec,
    *,
    model: nn.Module,
    skeleton: Skeleton,
    decompose: Decompose,
    evidence: Evidence,
) -> tuple[tuple[Cut, ...], Prediction | None]:
    """What happens to each layer of the model in a trial, with the reason where it stays dense.

    Returns: the cuts, and what a budget rule expects of them.

    Raises: InputError when what a budget rule needs is not known; ValueError when its budget cannot be met.
    """
    layers = skeleton.layers
    if trial.scheme == "dense":
        return tuple(Cut(layer=layer, scheme="dense", rank=None, reason="dense control") for layer in layers), None
    chosen = {layer.name for layer in layers_of(spec, trial.layer_set, layers)}
    rule = parse_rule(trial.rank_rule)
    fixed = {layer.name: _fixed(layer, trial, spec, model=model, chosen=layer.name in chosen) for layer in layers}
    if isinstance(rule, BudgetRule):
        free = [layer for layer in layers if fixed[layer.name] is None]
        methods = spec.methods(trial.scheme, trial.truncation)
        cuts, prediction = spend(rule, free, methods=methods, dense=skeleton.cost, evidence=evidence.of(trial.baseline))
        spent = {cut.layer.name: cut for cut in cuts}
        return tuple(fixed[layer.name] or spent[layer.name] for layer in layers), prediction

    def cut(layer: Layer) -> Cut:
        known = decompose(layer.name, trial.scheme, trial.truncation) if rule.needs_weights else None
        return choose_rank(layer, scheme=trial.scheme, rule=rule, decomposition=known, truncation=trial.truncation)

    return tuple(fixed[layer.name] or cut(layer) for layer in layers), None


def _fixed(layer: Layer, trial: Trial, spec: SweepSpec, *, model: nn.Module, chosen: bool) -> Cut | None:
    """The cut of a layer that no rule is asked about: it stays dense, and why."""
    if not chosen:
        return Cut(layer=layer, scheme="dense", rank=None, reason=f"not in layer set {trial.layer_set}")
    methods = spec.methods(trial.scheme, trial.truncation)
    reasons = [refusal(model, layer, scheme=scheme, truncation=truncation) for scheme, truncation in methods]
    if None in reasons:
        return None
    return Cut(layer=layer, scheme=trial.scheme, rank=None, reason="; ".join(dict.fromkeys(map(str, reasons))))
