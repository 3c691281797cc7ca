"""What is known of a trial before it runs, as records and as words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from lrbench.learn.architectures import cut_architecture
from lrbench.lowrank.budget import BudgetRule
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.svd import Decomposition
from lrbench.plan.budgets import damage_laws
from lrbench.plan.cuts import choose_cuts, rule_of, spend_budget
from lrbench.plan.evidence import NOTHING, Evidence
from lrbench.plan.run import Run
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Untrained, layer_cost, predicted_cost
from lrbench.results.records import Cost, Planned, Prediction, Trial


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What is known of a trial before it runs: its cuts, params and MACs, or in `waits` why they are not known yet."""

    trial: Trial
    cuts: tuple[Cut, ...] | None = None
    params: int | None = None
    macs: int | None = None
    prediction: Prediction | None = None
    waits: str = ""


def _untrained(*_: str) -> Decomposition:
    raise AssertionError("a rule that needs weights was asked before training")


def preview(trial: Trial, spec: SweepSpec, dense: Untrained, *, evidence: Evidence = NOTHING) -> Preview:
    """Resolve a trial's layers and ranks, and its cost by the closed formulas."""
    rule, prediction = rule_of(trial), None
    if isinstance(rule, BudgetRule):
        try:
            cuts, prediction = spend_budget(trial, spec, dense=dense, evidence=evidence)
        except ValueError as error:  # a budget that cannot be spent, or not yet
            return Preview(trial=trial, waits=str(error))
    elif rule and rule.needs_weights:
        return Preview(trial=trial, waits="its ranks are known once the dense model is trained (--only accuracy)")
    else:
        cuts = choose_cuts(trial, spec, dense.layers, model=dense.model, decompose=_untrained)
    params, macs = predicted_cost(dense, cuts)
    return Preview(trial=trial, cuts=cuts, params=params, macs=macs, prediction=prediction)


def plan_architectures(
    run: Run, trials: Iterable[Trial], *, evidence: Evidence
) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    """The architectures of trials, by what is known of layers, and why those of others are not known yet."""
    previews = [preview(trial, run.spec, run.dense, evidence=evidence) for trial in trials]
    planned = tuple(
        Planned(
            trial=known.trial,
            architecture=cut_architecture(run.dense.architecture, known.cuts),
            params=known.params,
            macs=known.macs,
            dense_params=run.dense.cost.params,
            dense_macs=run.dense.cost.macs,
        )
        for known in previews
        if known.cuts is not None and known.params is not None and known.macs is not None
    )
    return planned, tuple(f"{known.trial.label}: {known.waits}" for known in previews if known.cuts is None)


def preview_row(known: Preview, dense: Cost) -> tuple[str, ...]:
    """A planned trial in words; ranks in the order of the set's layers, `7x4` for four layers of rank 7."""
    if known.cuts is None or known.params is None or known.macs is None:
        return (known.trial.label, known.waits, "", "", "", "")
    ranks = [str(cut.rank or "-") for cut in _asked(known)]
    runs = [(rank, len(list(same))) for rank, same in groupby(ranks)]
    return (
        known.trial.label,
        " ".join(f"{rank}x{count}" if count > 1 else rank for rank, count in runs),
        f"{known.params:,}",
        f"{known.params / dense.params:.3f}",
        f"{known.macs:,}",
        f"{known.macs / dense.macs:.3f}",
    )


def _asked(known: Preview) -> list[Cut]:
    """The cuts of the layers that a trial's rule was asked about."""
    return [cut for cut in known.cuts or () if cut.scheme != "dense" or known.trial.rank_rule in (cut.reason or "")]


def reasons(previews: Iterable[Preview]) -> Iterator[str]:
    """Why layers of a set stay dense, a line for each trial and reason."""
    for known in previews:
        names: dict[str, list[str]] = {}
        for cut in known.cuts or ():
            if cut.scheme != "dense" and cut.reason:
                names.setdefault(cut.reason, []).append(cut.layer)
        for reason, layers in names.items():
            yield f"stay dense in {known.trial.label}: {' '.join(layers)}: {reason}"


def why_rows(known: Preview, dense: Untrained, evidence: Evidence) -> Iterator[tuple[str, ...]]:
    """What a budget rule chose for each layer that it was asked about, and by what."""
    sensitivities = evidence.of(known.trial.baseline).sensitivities
    errors = {
        (one.layer, one.scheme, one.truncation, probe.rank): probe.output_error
        for one in sensitivities
        for probe in one.probes
    }
    asked, layers = _asked(known), {layer.name: layer for layer in dense.layers}
    laws = damage_laws([layers[cut.layer] for cut in asked], sensitivities)
    for cut in asked:
        if cut.rank is None:
            yield (cut.layer, "dense", "", "1.000", "", "", cut.reason or "")
            continue
        truncation = "output" if cut.truncation == "sequential" else cut.truncation
        error = errors[cut.layer, cut.scheme, truncation, cut.rank]
        yield (
            cut.layer,
            cut.method,
            str(cut.rank),
            f"{layer_cost(layers[cut.layer], cut)[1] / layers[cut.layer].shape.macs:.3f}",
            f"{error:.4f}",
            f"{laws[cut.layer](error):.4f}",
            "",
        )
