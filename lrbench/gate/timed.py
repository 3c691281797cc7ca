"""Latencies: paired ratios to the dense model of each side, judged against each other on one machine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import exp, inf, isfinite

import pandas as pd

from lrbench.gate.folders import Folder, number_repeats
from lrbench.gate.tolerances import TimeTolerance
from lrbench.gate.verdicts import Verdict, Word
from lrbench.report.frames.latency import SETTING, describe
from lrbench.report.frames.trials import name_methods
from lrbench.report.texts import with_interval
from lrbench.results.timings import counted_models
from lrbench.statistics.paired import Estimate, difference, estimate, holm

AXES = [name for name in SETTING if name != "environment"]


@dataclass(frozen=True, kw_only=True)
class SideTiming:
    """One side's timing of an architecture in a setting: log(architecture / dense), of all sessions and of each."""

    whole: Estimate
    sessions: tuple[Estimate, ...]
    fit: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two sides of one name: log(current / baseline) by all sessions, and by each session of the current side.

    `unit` says in words what a ratio of 1 stands for. `doubt` is how far, as a log ratio, an unfit A/A control lies
    from 1: a ratio must exceed the slack by that much more to be worse.
    """

    name: str
    whole: Estimate
    sessions: tuple[Estimate, ...]
    fit: bool
    unit: str = "the baseline's time"
    doubt: float = 0.0


SideTimings = dict[str, dict[str, SideTiming]]
"""By name and environment."""


def judge_timings(base: Folder, current: Folder, tolerance: TimeTolerance) -> Iterator[Verdict]:
    """Judge every architecture and setting that either side timed.

    Args:
        base: what is judged against.
        current: what is judged.
        tolerance: the slack, and how sure a verdict must be.
    """
    old, new = _timings(base), _timings(current)
    pairs = []
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield _unpaired(name, "missing", f"not timed in {current.path}")
        elif name not in old:
            yield _unpaired(name, "new", f"not timed in {base.path}")
        elif not (here := [key for key in new[name] if key in old[name]]):
            machines = f"environment {', '.join(new[name])}, baseline {', '.join(old[name])}"
            yield _unpaired(name, "incomparable", f"timed on another machine or with other versions: {machines}")
        else:
            pairs += [_compare(name, old[name][key], new[name][key]) for key in here]
    yield from judge_ratios(pairs, tolerance)


def judge_ratios(pairs: list[Comparison], tolerance: TimeTolerance) -> Iterator[Verdict]:
    """Judge ratios of current over baseline.

    Worse: over all names together (Holm 1979), the lower bound of the ratio lies above the slack, and so does that of
    two sessions each by itself. Better: the same way down. Never ok when unfit, or when too wide to exclude the slack.
    """
    limit, sure = 1 + tolerance.slack, 1 - tolerance.confidence
    limits = [limit * exp(pair.doubt) for pair in pairs]
    worse = holm([pair.whole.chance_above(bound) for pair, bound in zip(pairs, limits, strict=True)])
    better = holm([_inverse(pair.whole).chance_above(limit) for pair in pairs])
    for pair, bound, slower, faster in zip(pairs, limits, worse, better, strict=True):
        interval = pair.whole.ratio(tolerance.confidence)
        confirmed = sum(session.chance_above(bound) < sure for session in pair.sessions)
        word: Word = "ok"
        reason = f"{with_interval(interval.ratio, interval.low, interval.high)} of {pair.unit}"
        if slower < sure and confirmed >= 2:
            word = "worse"
        elif not pair.fit:
            word, reason = "inconclusive", f"{reason}; unfit: a model and its own copy took different times"
        elif slower < sure:
            word, reason = "inconclusive", f"{reason}; {confirmed} of {len(pair.sessions)} sessions confirm it, not two"
        elif faster < sure:
            word = "better"
        elif interval.ratio > limit or interval.half_width > tolerance.slack:
            word, reason = "inconclusive", f"{reason}; more timings are needed to decide"
        yield Verdict(
            name=pair.name,
            tier="timed",
            figure="latency_ratio",
            verdict=word,
            baseline=1.0,
            current=interval.ratio,
            bound=bound if isfinite(bound) else limit,
            reason=reason,
        )


def _inverse(ratio: Estimate) -> Estimate:
    return replace(ratio, log=-ratio.log)


def _compare(name: str, old: SideTiming, new: SideTiming) -> Comparison:
    whole = difference(new.whole, old.whole)
    return Comparison(
        name=name,
        whole=replace(whole, error=0.0) if new == old else whole,  # one recording does not differ from itself
        sessions=tuple(difference(session, old.whole) for session in new.sessions),
        fit=old.fit and new.fit,
        doubt=0.0 if old.fit and new.fit else inf,
    )


def _unpaired(name: str, word: Word, reason: str) -> Verdict:
    return Verdict(name=name, tier="timed", figure="latency_ratio", verdict=word, reason=reason)


def _timings(side: Folder) -> SideTimings:
    """The timings of each architecture in each setting and environment; the dense control is in `fit`."""
    names = _architecture_names(side.architectures)
    timings: SideTimings = {}
    for counted in counted_models(side.latency, ["environment", *AXES, "architecture"]):
        if counted.rows["control"].any():
            continue
        keys, pooled = counted.known, counted.pooled
        architecture = str(keys["architecture"])
        name = f"{names.get(architecture, architecture)}, {describe(keys.items())}"
        timings.setdefault(name, {})[str(keys["environment"])] = SideTiming(
            whole=pooled.estimate, sessions=tuple(estimate([logs]) for logs in pooled.logs), fit=pooled.fit
        )
    return timings


def timing_ratios(side: Folder) -> list[tuple[str, float]]:
    """Each name with its latency ratio; of several environments the last."""
    return [(name, list(timings.values())[-1].whole.ratio().ratio) for name, timings in _timings(side).items()]


def _architecture_names(architectures: pd.DataFrame) -> dict[str, str]:
    """By key, the name of the trial that comes first in the table with that architecture."""
    cells = architectures.drop_duplicates("architecture").astype(str)
    words = (cells["model"], cells["image_size"] + "px", name_methods(cells), cells["layer_set"], cells["rank_rule"])
    names = number_repeats(" ".join(row) for row in zip(*words, strict=True))
    return dict(zip(cells["architecture"], names, strict=True))
