"""This version of the code against another one, timed in turn in one job, or against its own reference."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from lrbench.gate.alternate import Occasion, Round
from lrbench.gate.timed import Comparison, judge_ratios
from lrbench.gate.tolerances import TimeTolerance
from lrbench.gate.verdicts import Verdict
from lrbench.statistics.paired import Logs, Ratio, estimate, is_fit, layout_medians, log_ratios

HEAD, AGAIN, BASE = "head", "head again", "base"
"""The versions that are timed: this code, the same once more (the A/A control), what it is judged against."""

CONTROL_WITHIN = 0.05
"""Half width of the A/A control's interval above which a workload's timing is unfit."""

Run = Callable[[Sequence[str]], Occasion]
"""Times the workloads of these names once more, in fresh processes."""

Side = tuple[str, str]
"""A workload and the version that ran it."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What is compared: a side should take `expected` times as long as its reference; `unit` names that in words."""

    name: str
    side: Side
    reference: Side
    expected: float = 1.0
    unit: str = "the baseline's time"

    @property
    def workloads(self) -> tuple[str, ...]:
        """Those that both sides need."""
        return tuple(dict.fromkeys((self.side[0], self.reference[0])))


def against_base(names: Iterable[str]) -> tuple[Pair, ...]:
    """Each workload of the head against the same of the base."""
    return tuple(Pair(name=name, side=(name, HEAD), reference=(name, BASE)) for name in names)


def against_references(bounds: Mapping[str, tuple[str, float]]) -> tuple[Pair, ...]:
    """Each workload that has a bound against its reference, both of the head."""
    return tuple(
        Pair(name=name, side=(name, HEAD), reference=(reference, HEAD), expected=limit, unit="its bound")
        for name, (reference, limit) in bounds.items()
    )


def judge_pairs(pairs: Sequence[Pair], run: Run, tolerance: TimeTolerance) -> tuple[list[Verdict], tuple[Round, ...]]:
    """Time and judge; what looks worse or was unfit is timed once more, in fresh processes.

    Args:
        pairs: what is compared.
        run: times workloads.
        tolerance: the slack, and how sure a verdict must be.

    Returns: a verdict for each pair, and all rounds.
    """
    occasions = [run(_workloads(pairs))]
    first = [_compare(pair, occasions, tolerance) for pair in pairs]
    doubtful = [
        pair
        for pair, comparison in zip(pairs, first, strict=True)
        if comparison and (not comparison.fit or _is_slower(comparison, tolerance))
    ]
    if doubtful:
        occasions.append(run(_workloads(doubtful)))
    compared = [_compare(pair, occasions, tolerance) for pair in pairs]
    judged = list(judge_ratios([comparison for comparison in compared if comparison is not None], tolerance))
    judged += [_failed(pair, occasions) for pair, comparison in zip(pairs, compared, strict=True) if comparison is None]
    processes = 1 + max((timed.process for timed in occasions[0].rounds), default=-1)
    later = (replace(timed, process=timed.process + processes) for again in occasions[1:] for timed in again.rounds)
    return judged, (*occasions[0].rounds, *later)


def _workloads(pairs: Iterable[Pair]) -> list[str]:
    return list(dict.fromkeys(name for pair in pairs for name in pair.workloads))


def _is_slower(comparison: Comparison, tolerance: TimeTolerance) -> bool:
    return comparison.whole.chance_above(1 + tolerance.slack) < 1 - tolerance.confidence


def _compare(pair: Pair, occasions: Sequence[Occasion], tolerance: TimeTolerance) -> Comparison | None:
    """The ratio of a pair over the occasions whose A/A controls hold; None if it failed.

    Where none holds, or only one and that is slower: over all of them, with the doubt that their controls leave.
    """
    if any(workload in pair.workloads for occasion in occasions for workload, _ in occasion.errors):
        return None
    ran = [occasion for occasion in occasions if any(r.workload == pair.side[0] for r in occasion.rounds)]
    controls = [[_control(occasion, name) for name in pair.workloads] for occasion in ran]
    fits = [all(is_fit(control, within=CONTROL_WITHIN) for control in group) for group in controls]
    held = [occasion for occasion, fit in zip(ran, fits, strict=True) if fit]
    if held and (len(held) == len(ran) or not _is_slower(_joined(pair, held, doubt=0.0), tolerance)):
        return _joined(pair, held, doubt=0.0)
    bounds = (bound for group in controls for control in group for bound in (control.low, control.high))
    return _joined(pair, ran, doubt=max(abs(log(bound)) for bound in bounds if bound))


def _joined(pair: Pair, occasions: Sequence[Occasion], *, doubt: float) -> Comparison:
    logs = [_logs(occasion.rounds, pair.side, pair.reference) - log(pair.expected) for occasion in occasions]
    return Comparison(
        name=pair.name,
        whole=estimate([np.concatenate(logs)]),
        sessions=tuple(estimate([ratios]) for ratios in logs),
        fit=doubt == 0.0,
        unit=pair.unit,
        doubt=doubt,
    )


def _control(occasion: Occasion, workload: str) -> Ratio:
    """A workload of the head over the same once more."""
    return estimate([_logs(occasion.rounds, (workload, AGAIN), (workload, HEAD))]).ratio()


def _logs(rounds: Iterable[Round], side: Side, reference: Side) -> Logs:
    """log(side / reference), one median a process.

    A process is one observation: where it happens to lie in memory moves it for as long as it lives, which rounds do
    not average out.
    """
    seconds = {(timed.process, timed.round, timed.workload): timed.seconds for timed in rounds}
    shared = sorted((p, r) for p, r, name in seconds if name == side[0] and (p, r, reference[0]) in seconds)
    sides = [[seconds[p, r, name][version] for p, r in shared] for name, version in (side, reference)]
    return layout_medians(log_ratios(*sides), [process for process, _ in shared])


def _failed(pair: Pair, occasions: Sequence[Occasion]) -> Verdict:
    """The verdict on a workload that did not run: new when only the base cannot run it, else worse."""
    reasons = {
        version: reason
        for occasion in occasions
        for (workload, version), reason in occasion.errors.items()
        if workload in pair.workloads
    }
    return Verdict(
        name=pair.name,
        tier="timed",
        figure="latency_ratio",
        verdict="new" if set(reasons) == {BASE} else "worse",
        reason="; ".join(f"{version}: {reason}" for version, reason in reasons.items()),
    )


def missing_workloads(before: Iterable[str], now: Sequence[str]) -> Iterator[Verdict]:
    """A verdict for each workload that the base has and the head has not."""
    for name in before:
        if name not in now:
            reason = "deleted or renamed since the base"
            yield Verdict(name=name, tier="timed", figure="latency_ratio", verdict="missing", reason=reason)
