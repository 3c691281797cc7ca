"""What is known of a trial before it runs, as records and as text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from lrbench.errors import InputError
from lrbench.learn.architectures import cut_architecture
from lrbench.lowrank.allocations import BudgetRule
from lrbench.lowrank.cuts import Cut, name_method, truncation_alone
from lrbench.lowrank.ranks import RankRule
from lrbench.lowrank.svd import Decomposition
from lrbench.plan.budgets import InfeasibleError, damage_law
from lrbench.plan.cuts import choose_cuts, rule_of, spend_budget
from lrbench.plan.evidence import NOTHING, Evidence
from lrbench.plan.feasible import check_feasible
from lrbench.plan.run import Run
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Untrained, layer_cost, predicted_cost
from lrbench.results.records import Cost, Planned, Prediction, Trial


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What is known of a trial before it runs: its cuts, params and MACs; or in `waits`, why they are not known yet.

    Of an `infeasible` trial they never will be: it is not run.
    """

    trial: Trial
    cuts: tuple[Cut, ...] | None = None
    params: int | None = None
    macs: int | None = None
    prediction: Prediction | None = None
    waits: str = ""
    infeasible: bool = False


def _untrained(*_: str) -> Decomposition:
    raise AssertionError("a rule that needs weights was applied before training")


def preview(trial: Trial, spec: SweepSpec, dense: Untrained, *, evidence: Evidence = NOTHING) -> Preview:
    """The layers and ranks of a trial, and its cost by the closed formulas."""
    rule, prediction = rule_of(trial), None
    try:
        if not evidence.of(trial.baseline).sensitivities:
            check_feasible(trial, spec, dense)
        if isinstance(rule, BudgetRule):
            cuts, prediction = spend_budget(trial, spec, dense=dense, evidence=evidence)
    except (InfeasibleError, InputError) as error:  # a budget that cannot be spent, or not yet
        return Preview(trial=trial, waits=str(error), infeasible=isinstance(error, InfeasibleError))
    if isinstance(rule, RankRule) and rule.needs_weights:
        return Preview(trial=trial, waits="its ranks depend on the trained dense model (train it with --only accuracy)")
    if not isinstance(rule, BudgetRule):
        cuts = choose_cuts(trial, spec, dense.layers, model=dense.model, decompose=_untrained)
    params, macs = predicted_cost(dense, cuts)
    return Preview(trial=trial, cuts=cuts, params=params, macs=macs, prediction=prediction)


def plan_architectures(
    run: Run, trials: Iterable[Trial], *, evidence: Evidence
) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    """The architectures of trials as far as they are known, and for the other trials the reason why they are not."""
    previews = [preview(trial, run.spec, run.dense, evidence=evidence) for trial in trials]
    plans = tuple(
        Planned(
            trial=planned.trial,
            architecture=cut_architecture(run.dense.architecture, planned.cuts),
            params=planned.params,
            macs=planned.macs,
            dense_params=run.dense.cost.params,
            dense_macs=run.dense.cost.macs,
        )
        for planned in previews
        if planned.cuts is not None and planned.params is not None and planned.macs is not None
    )
    return plans, tuple(f"{planned.trial.label}: {planned.waits}" for planned in previews if planned.cuts is None)


def preview_row(planned: Preview, dense: Cost) -> tuple[str, ...]:
    """A planned trial as a row of text; ranks in the order of the layers, `7x4` for four layers of rank 7."""
    if planned.cuts is None or planned.params is None or planned.macs is None:
        return (planned.trial.label, planned.waits, "", "", "", "")
    ranks = [str(cut.rank or "-") for cut in _asked(planned)]
    runs = [(rank, len(list(group))) for rank, group in groupby(ranks)]
    return (
        planned.trial.label,
        " ".join(f"{rank}x{count}" if count > 1 else rank for rank, count in runs),
        f"{planned.params:,}",
        f"{planned.params / dense.params:.3f}",
        f"{planned.macs:,}",
        f"{planned.macs / dense.macs:.3f}",
    )


def _asked(planned: Preview) -> list[Cut]:
    """The cuts of the layers that a trial's rule decides on."""
    return [cut for cut in planned.cuts or () if cut.scheme != "dense" or planned.trial.rank_rule in (cut.reason or "")]


def reasons(previews: Iterable[Preview]) -> Iterator[str]:
    """Why layers of a layer set stay dense, a line for each trial and reason."""
    for planned in previews:
        names: dict[str, list[str]] = {}
        for cut in planned.cuts or ():
            if cut.scheme != "dense" and cut.reason:
                names.setdefault(cut.reason, []).append(cut.layer)
        for reason, layers in names.items():
            yield f"{planned.trial.label}: these layers stay dense: {' '.join(layers)} ({reason})"


def why_rows(planned: Preview, dense: Untrained, evidence: Evidence) -> Iterator[tuple[str, ...]]:
    """What a budget rule chose for each layer that it decides on, and the numbers behind it."""
    sensitivities = evidence.of(planned.trial.baseline).sensitivities
    errors = {
        (sensitivity.layer, sensitivity.scheme, sensitivity.truncation, probe.rank): probe.output_error
        for sensitivity in sensitivities
        for probe in sensitivity.probes
    }
    asked, layers = _asked(planned), {layer.name: layer for layer in dense.layers}
    law = damage_law([layers[cut.layer] for cut in asked], sensitivities)
    for cut in asked:
        if cut.rank is None:
            yield (cut.layer, "dense", "", "1.000", "", "", cut.reason or "")
            continue
        truncation = truncation_alone(cut.truncation)
        error = errors[cut.layer, cut.scheme, truncation, cut.rank]
        yield (
            cut.layer,
            cut.method,
            str(cut.rank),
            f"{layer_cost(layers[cut.layer], cut)[1] / layers[cut.layer].shape.macs:.3f}",
            f"{error:.4f}",
            f"{law(cut.layer, name_method(cut.scheme, truncation), error):.4f}",
            "",
        )
