"""What is known of a trial before it runs, as records and as words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from lrbench.lowrank.compress import Cut
from lrbench.lowrank.ranks import parse_rule
from lrbench.lowrank.svd import Decomposition
from lrbench.records import Cost, Trial
from lrbench.sweep.plan import Skeleton, choose_cuts, predicted_cost
from lrbench.sweep.spec import SweepSpec


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What is known of a trial before it runs: its cuts (None while they wait for trained weights), params, MACs."""

    trial: Trial
    cuts: tuple[Cut, ...] | None
    params: int | None
    macs: int | None


def _untrained(*_: str) -> Decomposition:
    raise AssertionError("a rule that needs weights was asked before training")


def outline(trial: Trial, spec: SweepSpec, skeleton: Skeleton) -> Outline:
    """Resolve a trial's layers and ranks, and its cost by the closed formulas."""
    if trial.scheme != "dense" and parse_rule(trial.rank_rule).needs_weights:
        return Outline(trial=trial, cuts=None, params=None, macs=None)
    cuts = choose_cuts(trial, spec, model=skeleton.model, layers=skeleton.layers, decompose=_untrained)
    params, macs = predicted_cost(skeleton.cost, cuts)
    return Outline(trial=trial, cuts=cuts, params=params, macs=macs)


def outline_row(outline: Outline, dense: Cost) -> tuple[str, ...]:
    """A planned trial in words; ranks in the order of the set's layers, `7x4` for four layers of rank 7."""
    if outline.cuts is None or outline.params is None or outline.macs is None:
        return (outline.trial.label, "known once the dense model is trained", "", "", "", "")
    ranks = [str(cut.rank or "-") for cut in outline.cuts if cut.scheme != "dense"]
    runs = [(rank, len(list(same))) for rank, same in groupby(ranks)]
    return (
        outline.trial.label,
        " ".join(f"{rank}x{count}" if count > 1 else rank for rank, count in runs),
        f"{outline.params:,}",
        f"{outline.params / dense.params:.3f}",
        f"{outline.macs:,}",
        f"{outline.macs / dense.macs:.3f}",
    )


def reasons(outlines: Iterable[Outline]) -> Iterator[str]:
    """Why layers of a set stay dense, a line for each trial and reason."""
    for outline in outlines:
        found: dict[str, list[str]] = {}
        for cut in outline.cuts or ():
            if cut.scheme != "dense" and cut.reason:
                found.setdefault(cut.reason, []).append(cut.layer.name)
        for reason, names in found.items():
            yield f"stay dense in {outline.trial.label}: {' '.join(names)}: {reason}"
