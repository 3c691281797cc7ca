"""What is known before training of trials that cannot be run: nothing to factorize, or a budget out of reach."""

from collections.abc import Sequence

from lrbench.lowrank.allocations import BudgetRule
from lrbench.lowrank.compress import refusal
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.layers import Layer
from lrbench.plan.budgets import InfeasibleError, too_little
from lrbench.plan.cuts import fixed_cuts, rule_of
from lrbench.plan.layer_ranks import ranks_to_probe
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Untrained, layer_cost
from lrbench.results.records import Trial


def check_feasible(trial: Trial, spec: SweepSpec, dense: Untrained) -> None:
    """Check by shapes alone that a trial factorizes something and can keep to its budget of params or MACs.

    Raises: InfeasibleError with the reason.
    """
    rule = rule_of(trial)
    if rule is None:
        return
    fixed = fixed_cuts(trial, spec, dense.layers, model=dense.model)
    free = [layer for layer in dense.layers if fixed[layer.name] is None]
    if not free:
        reasons = dict.fromkeys(cut.reason for cut in fixed.values() if cut is not None and cut.scheme != "dense")
        raise InfeasibleError(f"no layer of the set can be factorized: {'; '.join(map(str, reasons))}")
    if isinstance(rule, BudgetRule) and rule.cost in ("macs", "params"):
        least = _least(rule, free, methods=spec.methods(trial.scheme, trial.truncation), spec=spec, dense=dense)
        if least > rule.share:
            raise InfeasibleError(too_little(rule, least))


def _least(
    rule: BudgetRule,
    layers: Sequence[Layer],
    *,
    methods: Sequence[tuple[str, str]],
    spec: SweepSpec,
    dense: Untrained,
) -> float:
    """The least share of the dense model's cost: every layer at its cheapest probed rank.

    The biases that output truncation adds are left out.
    """
    saved = 0
    for layer in layers:
        whole = _cost(rule, layer)
        able = [
            scheme for scheme, kept in methods if refusal(dense.model, layer, scheme=scheme, truncation=kept) is None
        ]
        ranks = {scheme: ranks_to_probe(layer.shape, scheme, spec.sensitivity) for scheme in able}
        saved += whole - min([whole, *(_cost(rule, layer, scheme, some[0]) for scheme, some in ranks.items() if some)])
    return float(1 - saved / getattr(dense.cost, rule.cost))


def _cost(rule: BudgetRule, layer: Layer, scheme: str = "dense", rank: int | None = None) -> int:
    """Params or MACs of a layer, as the rule counts."""
    return layer_cost(layer, Cut(layer=layer.name, scheme=scheme, rank=rank))[rule.cost == "macs"]
