"""This version of the code against another one, timed in turn in one job; or against its own dense reference."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from lrbench.gate.alternate import Lap, Laps
from lrbench.gate.timed import Comparison, judge_ratios
from lrbench.gate.tolerances import TimeTolerance
from lrbench.gate.verdicts import Verdict
from lrbench.statistics.paired import Logs, Ratio, estimate, is_fit, layout_medians, log_ratios

HEAD, AGAIN, BASE = "head", "head again", "base"
"""The versions of a session: the code at hand, the same once more (the A/A control), what it is judged against."""

CONTROL_WITHIN = 0.05
"""Half width of the A/A control's interval beyond which a workload's timing is unfit."""

Run = Callable[[Sequence[str]], Laps]
"""Times the workloads of these names once more, in fresh processes."""

Side = tuple[str, str]
"""A workload and the version that ran it."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What is compared: one side should take `expected` times as long as the other, which `unit` names in words."""

    name: str
    one: Side
    other: Side
    expected: float = 1.0
    unit: str = "the baseline's time"

    @property
    def workloads(self) -> tuple[str, ...]:
        """Those that it needs."""
        return tuple(dict.fromkeys((self.one[0], self.other[0])))


def against_base(names: Iterable[str]) -> tuple[Pair, ...]:
    """Each workload of the head against the same of the base."""
    return tuple(Pair(name=name, one=(name, HEAD), other=(name, BASE)) for name in names)


def against_references(bounds: Mapping[str, tuple[str, float]]) -> tuple[Pair, ...]:
    """Each workload that has a bound against its reference, both of the head."""
    return tuple(
        Pair(name=name, one=(name, HEAD), other=(reference, HEAD), expected=limit, unit="its bound")
        for name, (reference, limit) in bounds.items()
    )


def judge_pairs(pairs: Sequence[Pair], run: Run, tolerance: TimeTolerance) -> tuple[list[Verdict], tuple[Lap, ...]]:
    """Time and judge; what looks worse or was unfit is timed once more, in fresh processes.

    Args:
        pairs: what is compared.
        run: times workloads.
        tolerance: the slack, and how sure a verdict must be.

    Returns: a verdict for each pair, and all laps.
    """
    sessions = [run(_workloads(pairs))]
    first = {pair.name: _compare(pair, sessions, tolerance) for pair in pairs}
    doubtful = [pair for pair in pairs if (one := first[pair.name]) and (not one.fit or _is_slower(one, tolerance))]
    if doubtful:
        sessions.append(run(_workloads(doubtful)))
    found = [_compare(pair, sessions, tolerance) for pair in pairs]
    judged = list(judge_ratios([one for one in found if one is not None], tolerance))
    judged += [_failed(pair, sessions) for pair, one in zip(pairs, found, strict=True) if one is None]
    processes = 1 + max((lap.process for lap in sessions[0].laps), default=-1)
    later = (replace(lap, process=lap.process + processes) for session in sessions[1:] for lap in session.laps)
    return judged, (*sessions[0].laps, *later)


def _workloads(pairs: Iterable[Pair]) -> list[str]:
    return list(dict.fromkeys(name for pair in pairs for name in pair.workloads))


def _is_slower(found: Comparison, tolerance: TimeTolerance) -> bool:
    return found.whole.chance_above(1 + tolerance.slack) < 1 - tolerance.confidence


def _compare(pair: Pair, sessions: Sequence[Laps], tolerance: TimeTolerance) -> Comparison | None:
    """The ratio of a pair over the sessions whose A/A controls hold; None if it failed.

    Over all of them, with the doubt that their controls leave, where none holds, or one alone holds and is slower.
    """
    if any(workload in pair.workloads for session in sessions for workload, _ in session.errors):
        return None
    ran = [session for session in sessions if any(lap.workload == pair.one[0] for lap in session.laps)]
    controls = {id(one): [_control(one, name) for name in pair.workloads] for one in ran}
    held = [one for one in ran if all(is_fit(control, within=CONTROL_WITHIN) for control in controls[id(one)])]
    if held and (len(held) == len(ran) or not _is_slower(_joined(pair, held, doubt=0.0), tolerance)):
        return _joined(pair, held, doubt=0.0)
    strays = (abs(log(bound)) for some in controls.values() for one in some for bound in (one.low, one.high) if bound)
    return _joined(pair, ran, doubt=max(strays))


def _joined(pair: Pair, sessions: Sequence[Laps], *, doubt: float) -> Comparison:
    logs = [_logs(session.laps, pair.one, pair.other) - log(pair.expected) for session in sessions]
    return Comparison(
        name=pair.name,
        whole=estimate([np.concatenate(logs)]),
        sessions=tuple(estimate([one]) for one in logs),
        fit=doubt == 0.0,
        unit=pair.unit,
        doubt=doubt,
    )


def _control(session: Laps, workload: str) -> Ratio:
    """A workload of the head over the same once more."""
    return estimate([_logs(session.laps, (workload, AGAIN), (workload, HEAD))]).ratio()


def _logs(laps: Iterable[Lap], one: Side, other: Side) -> Logs:
    """log(one / other), one median a process.

    A process is one observation: where it happens to lie in memory moves it for as long as it lives, which rounds do
    not average out.
    """
    seconds = {(lap.process, lap.round, lap.workload): lap.seconds for lap in laps}
    shared = sorted((p, turn) for p, turn, name in seconds if name == one[0] and (p, turn, other[0]) in seconds)
    sides = [[seconds[p, turn, name][version] for p, turn in shared] for name, version in (one, other)]
    return layout_medians(log_ratios(*sides), [process for process, _ in shared])


def _failed(pair: Pair, sessions: Sequence[Laps]) -> Verdict:
    """What is said of a workload that did not run: it is new when the base alone cannot run it, else worse."""
    reasons = {
        version: reason
        for session in sessions
        for (workload, version), reason in session.errors.items()
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
