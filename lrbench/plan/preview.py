"""What is known of a trial before it runs, as records and as words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from lrbench.lowrank.budget import BudgetRule
from lrbench.lowrank.compress import Cut
from lrbench.lowrank.ranks import parse_rule
from lrbench.lowrank.svd import Decomposition
from lrbench.plan.budgets import NOTHING, Evidence, damage_laws
from lrbench.plan.cuts import choose_cuts
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Skeleton, layer_cost, predicted_cost
from lrbench.results.records import Cost, Prediction, Trial


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What is known of a trial before it runs: its cuts, params and MACs, or in `waits` why they are not known yet."""

    trial: Trial
    cuts: tuple[Cut, ...] | None
    params: int | None
    macs: int | None
    prediction: Prediction | None = None
    waits: str = ""


def _untrained(*_: str) -> Decomposition:
    raise AssertionError("a rule that needs weights was asked before training")


def outline(trial: Trial, spec: SweepSpec, skeleton: Skeleton, *, evidence: Evidence = NOTHING) -> Outline:
    """Resolve a trial's layers and ranks, and its cost by the closed formulas."""
    rule = parse_rule(trial.rank_rule) if trial.scheme != "dense" else None
    if rule and rule.needs_weights and not isinstance(rule, BudgetRule):
        return Outline(
            trial=trial,
            cuts=None,
            params=None,
            macs=None,
            waits="its ranks are known once the dense model is trained (--only accuracy)",
        )
    try:
        cuts, prediction = choose_cuts(
            trial, spec, model=skeleton.model, skeleton=skeleton, decompose=_untrained, evidence=evidence
        )
    except ValueError as error:  # a budget that cannot be spent, or not yet
        return Outline(trial=trial, cuts=None, params=None, macs=None, waits=str(error))
    params, macs = predicted_cost(skeleton.cost, cuts)
    return Outline(trial=trial, cuts=cuts, params=params, macs=macs, prediction=prediction)


def outline_row(outline: Outline, dense: Cost) -> tuple[str, ...]:
    """A planned trial in words; ranks in the order of the set's layers, `7x4` for four layers of rank 7."""
    if outline.cuts is None or outline.params is None or outline.macs is None:
        return (outline.trial.label, outline.waits, "", "", "", "")
    ranks = [str(cut.rank or "-") for cut in _asked(outline)]
    runs = [(rank, len(list(same))) for rank, same in groupby(ranks)]
    return (
        outline.trial.label,
        " ".join(f"{rank}x{count}" if count > 1 else rank for rank, count in runs),
        f"{outline.params:,}",
        f"{outline.params / dense.params:.3f}",
        f"{outline.macs:,}",
        f"{outline.macs / dense.macs:.3f}",
    )


def _asked(outline: Outline) -> list[Cut]:
    """The cuts of the layers that a trial's rule was asked about."""
    return [cut for cut in outline.cuts or () if cut.scheme != "dense" or outline.trial.rank_rule in (cut.reason or "")]


def reasons(outlines: Iterable[Outline]) -> Iterator[str]:
    """Why layers of a set stay dense, a line for each trial and reason."""
    for outline in outlines:
        found: dict[str, list[str]] = {}
        for cut in outline.cuts or ():
            if cut.scheme != "dense" and cut.reason:
                found.setdefault(cut.reason, []).append(cut.layer.name)
        for reason, names in found.items():
            yield f"stay dense in {outline.trial.label}: {' '.join(names)}: {reason}"


def why_rows(outline: Outline, evidence: Evidence) -> Iterator[tuple[str, ...]]:
    """What a budget rule chose for each layer that it was asked about, and by what."""
    known = {
        (one.layer, one.scheme, one.truncation, probe.rank): probe.output_error
        for one in evidence.of(outline.trial.baseline).sensitivities
        for probe in one.probes
    }
    asked = _asked(outline)
    laws = damage_laws([cut.layer for cut in asked], evidence.of(outline.trial.baseline).sensitivities)
    for cut in asked:
        if cut.rank is None:
            yield (cut.layer.name, "dense", "", "1.000", "", "", cut.reason or "")
            continue
        truncation = "output" if cut.truncation == "sequential" else cut.truncation
        error = known[cut.layer.name, cut.scheme, truncation, cut.rank]
        yield (
            cut.layer.name,
            cut.scheme if cut.truncation == "plain" else f"{cut.scheme} {cut.truncation}",
            str(cut.rank),
            f"{layer_cost(cut)[1] / cut.layer.shape.macs:.3f}",
            f"{error:.4f}",
            f"{laws[cut.layer.name](error):.4f}",
            "",
        )
