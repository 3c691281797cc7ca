"""The one rule of which timings count and what they say, for records and for the tables that are views of them.

A timing is a series of sessions, a process each. It is fit when its A/A control holds over all its processes; an unfit
one is made once more. Of each timing the last attempt counts; of all timings of one thing those that are fit, or all
when none is. What they say is pooled over their layouts. Sums of layers are scaled by what whole models save.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd

from lrbench.results.observed import (
    Numbered,
    Observed,
    T,
    layout_logs,
    observe_layers,
    observe_models,
    observe_rows,
    series_of,
)
from lrbench.results.sessions import CONTROL, LayerSession, Session, Timed
from lrbench.statistics.paired import Estimate, Logs, Ratio, estimate, is_fit, log_ratios, ratio_of
from lrbench.statistics.paired import slope_through_origin as slope


class Attempted(Protocol):
    """What belongs to an attempt at one timing."""

    @property
    def attempt(self) -> int:
        """From 1."""


A = TypeVar("A", bound=Attempted)
N = TypeVar("N", bound=Numbered)
S = TypeVar("S", Session, LayerSession)


def last_attempt(items: Iterable[A]) -> list[A]:
    """Of what belongs to one timing, what belongs to its last attempt."""
    every = list(items)
    last = max((item.attempt for item in every), default=0)
    return [item for item in every if item.attempt == last]


def last_attempts(items: Iterable[N]) -> dict[str, list[N]]:
    """By timing, what belongs to its last attempt."""
    series: dict[str, list[N]] = {}
    for number, item in enumerate(items):
        series.setdefault(series_of(item, number), []).append(item)
    return {name: last_attempt(group) for name, group in series.items()}


def control_ratio(sessions: Iterable[Timed]) -> Ratio:
    """The A/A control of a timing, over all processes of one attempt."""
    return ratio_of([layout_logs(session, CONTROL) for session in sessions])


def is_fit_timing(sessions: Sequence[Timed]) -> bool:
    """Whether the A/A control of a timing holds, over all processes of one attempt."""
    return is_fit(control_ratio(sessions), within=sessions[0].control_within)


def fit_sessions(sessions: Iterable[S]) -> list[S]:
    """The last attempts of the timings that are fit."""
    return [session for group in last_attempts(sessions).values() if is_fit_timing(group) for session in group]


def complete_sessions(sessions: Iterable[S], *, processes: int) -> list[S]:
    """The last attempts of the timings that have all their processes, fit or not."""
    return [
        session
        for group in last_attempts(sessions).values()
        if len({session.process for session in group}) >= processes
        for session in group
    ]


def fitness(observed: Iterable[Observed[T]]) -> dict[str, bool]:
    """By timing, whether its A/A control holds; what has no control is not among them."""
    found = {}
    for series, group in last_attempts(observed).items():
        if controls := [one for one in group if one.control]:
            found[series] = is_fit(ratio_of([one.logs for one in controls]), within=controls[0].control_within)
    return found


def counted(observed: Sequence[Observed[T]]) -> list[bool]:
    """Of each, whether it counts. Controls of unfit timings do, for they tell which timings to trust."""
    last = {series: group[0].attempt for series, group in last_attempts(observed).items()}
    fit = fitness(observed)
    final = [one.attempt == last[one.series] for one in observed]
    known = {one.thing for one, is_last in zip(observed, final, strict=True) if is_last and fit.get(one.series)}
    return [
        is_last and (one.control or fit.get(one.series, False) or one.thing not in known)
        for one, is_last in zip(observed, final, strict=True)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pooled:
    """What the timings of one thing that count say of it.

    Attributes:
        logs: log(thing / dense) of each layout, by session.
        dense_s: median seconds of the dense one beside it.
        fit: whether all these timings are fit.
    """

    logs: tuple[Logs, ...]
    dense_s: float
    fit: bool

    @property
    def estimate(self) -> Estimate:
        """Of log(thing / dense), over all sessions."""
        return estimate(self.logs)


def pool(observed: Iterable[Observed[T]]) -> dict[T, Pooled]:
    """What is known of each thing, in the order in which they are first counted."""
    every = list(observed)
    fit, things = fitness(every), dict[T, list[Observed[T]]]()
    for one, counts in zip(every, counted(every), strict=True):
        if counts:
            things.setdefault(one.thing, []).append(one)
    return {
        thing: Pooled(
            logs=tuple(one.logs for one in group),
            dense_s=_median_s(group),
            fit=all(fit.get(one.series, False) for one in group),
        )
        for thing, group in things.items()
    }


def dense_seconds(sessions: Iterable[Session]) -> float | None:
    """Median seconds of a call of the dense model: in fit timings, or in all when none is; None without any."""
    controls = [one for one in observe_models(sessions) if one.control]
    fit, last = fitness(controls), [one for group in last_attempts(controls).values() for one in group]
    return _median_s([one for one in last if fit[one.series]] or last) if last else None


def _median_s(observed: Iterable[Observed[T]]) -> float:
    return float(np.median(np.concatenate([one.dense_s for one in observed])))


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The rows of one thing that count, what they say together, and its keys by column."""

    known: dict[str, Any]
    rows: pd.DataFrame
    pooled: Pooled


def counted_models(latency: pd.DataFrame, keys: Sequence[str]) -> Iterator[Counted]:
    """What counts of each architecture, or whatever the keys tell apart, from rows of `latency.csv`."""
    return _counted(latency.assign(log=log_ratios(latency["latency_s"], latency["dense_latency_s"])), keys)


def counted_layers(layer_latency: pd.DataFrame, keys: Sequence[str]) -> Iterator[Counted]:
    """What counts of each layer, or whatever the keys tell apart, from rows of `layer_latency.csv`."""
    return _counted(layer_latency.assign(log=np.log(layer_latency["ratio"].astype(float))), keys)


def _counted(rows: pd.DataFrame, keys: Sequence[str]) -> Iterator[Counted]:
    things = rows.groupby(list(keys), sort=False, dropna=False).ngroup()
    names = rows.loc[~things.duplicated(), list(keys)].to_dict("records")
    observed, places = observe_rows(rows, things)
    kept, pooled = np.array(counted(observed), dtype=bool)[places], pool(observed)
    for thing, group in rows[kept].groupby(things[kept], sort=False):
        known = {str(key): value for key, value in names[int(thing)].items()}
        yield Counted(known=known, rows=group, pooled=pooled[thing])


def layer_curves(sessions: Iterable[LayerSession]) -> dict[tuple[str, str], dict[int, float]]:
    """By layer and scheme the ranks timed and the seconds that each adds to a call; layers of equal shape share them.

    Args:
        sessions: of one place; see `place_of`.
    """
    timed, layers = list(sessions), dict[str, dict[str, None]]()
    for session in timed:
        layers.setdefault(session.shape, {}).update(dict.fromkeys(session.layers))
    shapes: dict[tuple[str, str], dict[int, Pooled]] = {}
    for (_, shape, scheme, rank), known in pool(observe_layers(timed)).items():
        if rank is not None:
            shapes.setdefault((shape, scheme), {})[rank] = known
    curves = {key: _added(dict(sorted(ranks.items()))) for key, ranks in shapes.items()}
    return {(layer, scheme): curve for (shape, scheme), curve in curves.items() for layer in layers[shape]}


def _added(ranks: Mapping[int, Pooled]) -> dict[int, float]:
    dense_s = [known.dense_s for known in ranks.values()]
    return {rank: added_s(known.estimate.ratio().ratio, dense_s) for rank, known in ranks.items()}


def added_s(ratio: float, dense_s: Iterable[float]) -> float:
    """Seconds that a layer in another shape adds to a call (below 0: saves).

    Args:
        ratio: of its latencies.
        dense_s: of the dense layer, as it was beside each rank.
    """
    return (ratio - 1) * float(np.median(list(dense_s)))


def scale_of(predicted: Logs, measured: Logs) -> float | None:
    """By how much more whole models save than their layers do when each is timed alone; None where they save nothing.

    A layer alone finds its weights in the cache, and what stands between layers grows faster with them; both are
    missing from a sum of layers. The scale is fitted through the origin, relative to the models' latencies.

    Args:
        predicted: latency ratios by sums of layers, of each model.
        measured: those of whole models.
    """
    scale = slope(predicted - 1, measured - 1, weights=measured**-2)
    return scale if scale > 0 else None
