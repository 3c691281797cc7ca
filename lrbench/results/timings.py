"""The one rule of which timings count and how they are pooled, for records and for the tables that are views of them.

A timing is a series of sessions, a process each. It is fit when its A/A control holds over all its processes; an unfit
timing is repeated. Of each timing the last attempt counts; of all timings of one subject the fit ones count, or all
when none is fit. They are pooled over their occasions (see `occasions`). Sums of layers are scaled by what whole
models save.
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
from lrbench.results.occasions import estimate_timing, estimates
from lrbench.results.sessions import CONTROL, LayerSession, Session, Timed
from lrbench.statistics.components import PRIORS
from lrbench.statistics.paired import Estimate, Logs, Ratio, is_fit, log_ratios
from lrbench.statistics.paired import slope_through_origin as slope


class Attempted(Protocol):
    """An item of one attempt at a timing."""

    @property
    def attempt(self) -> int:
        """From 1."""


A = TypeVar("A", bound=Attempted)
N = TypeVar("N", bound=Numbered)
S = TypeVar("S", Session, LayerSession)


def last_attempt(items: Iterable[A]) -> list[A]:
    """The items of the last attempt, among those of one timing."""
    every = list(items)
    last = max((item.attempt for item in every), default=0)
    return [item for item in every if item.attempt == last]


def last_attempts(items: Iterable[N]) -> dict[str, list[N]]:
    """The items of the last attempt of each timing, by timing."""
    series: dict[str, list[N]] = {}
    for number, item in enumerate(items):
        series.setdefault(series_of(item, number), []).append(item)
    return {name: last_attempt(group) for name, group in series.items()}


def control_ratio(sessions: Iterable[Timed]) -> Ratio:
    """The A/A control of a timing, over all processes of one attempt."""
    return _control_ratio(layout_logs(session, CONTROL) for session in sessions)


def _control_ratio(processes: Iterable[Logs]) -> Ratio:
    return estimate_timing(processes, PRIORS["control"]).ratio()


def is_fit_timing(sessions: Sequence[Timed]) -> bool:
    """Whether the A/A control of a timing holds, over all processes of one attempt."""
    return is_fit(control_ratio(sessions), within=sessions[0].control_within)


def fit_sessions(sessions: Iterable[S]) -> list[S]:
    """The sessions of each fit timing's last attempt."""
    return [session for group in last_attempts(sessions).values() if is_fit_timing(group) for session in group]


def complete_sessions(sessions: Iterable[S], *, processes: int) -> list[S]:
    """The sessions of each last attempt that has all its processes, fit or not."""
    return [session for group in _with_processes(sessions, processes, missing=False) for session in group]


def incomplete_sessions(sessions: Iterable[S], *, processes: int) -> list[tuple[S, ...]]:
    """The sessions of each timing whose last attempt lacks processes."""
    return _with_processes(sessions, processes, missing=True)


def _with_processes(sessions: Iterable[S], processes: int, *, missing: bool) -> list[tuple[S, ...]]:
    return [
        tuple(group)
        for group in last_attempts(sessions).values()
        if (len({session.process for session in group}) < processes) == missing
    ]


def fitness(observed: Iterable[Observed[T]]) -> dict[str, bool]:
    """Whether the A/A control holds, by timing; timings without a control are left out."""
    fit = {}
    for series, group in last_attempts(observed).items():
        if controls := [item for item in group if item.control]:
            ratio = _control_ratio(item.logs for item in controls)
            fit[series] = is_fit(ratio, within=controls[0].control_within)
    return fit


def counted(observed: Sequence[Observed[T]]) -> list[bool]:
    """Whether each observation counts. Controls of unfit timings do, since they show which timings to trust."""
    last = {series: group[0].attempt for series, group in last_attempts(observed).items()}
    fit = fitness(observed)
    final = [item.attempt == last[item.series] for item in observed]
    fit_subjects = {
        item.subject for item, is_final in zip(observed, final, strict=True) if is_final and fit.get(item.series)
    }
    return [
        is_final and (item.control or fit.get(item.series, False) or item.subject not in fit_subjects)
        for item, is_final in zip(observed, final, strict=True)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pooled:
    """All timings of one subject that count, pooled.

    Attributes:
        logs: log(subject / dense) of each layout, by session.
        dense_s: median seconds of the dense model or layer beside it.
        fit: whether all these timings are fit.
        estimate: of log(subject / dense), over all occasions.
    """

    logs: tuple[Logs, ...]
    dense_s: float
    fit: bool
    estimate: Estimate


def counted_by_subject(observed: Sequence[Observed[T]]) -> dict[T, list[Observed[T]]]:
    """The observations that count, by subject, in the order in which subjects are first counted."""
    groups = dict[T, list[Observed[T]]]()
    for item, counts in zip(observed, counted(observed), strict=True):
        if counts:
            groups.setdefault(item.subject, []).append(item)
    return groups


def pool(observed: Iterable[Observed[T]]) -> dict[T, Pooled]:
    """The pooled timings of each subject, in the order in which subjects are first counted."""
    every = list(observed)
    fit, groups = fitness(every), counted_by_subject(every)
    estimated = estimates(groups)
    return {
        subject: Pooled(
            logs=tuple(item.logs for item in group),
            dense_s=_median_s(group),
            fit=all(fit.get(item.series, False) for item in group),
            estimate=estimated[subject],
        )
        for subject, group in groups.items()
    }


def dense_seconds(sessions: Iterable[Session]) -> float | None:
    """Median seconds of a call of the dense model, in fit timings or in all when none is fit; None without timings."""
    controls = [observed for observed in observe_models(sessions) if observed.control]
    fit, last = fitness(controls), [control for group in last_attempts(controls).values() for control in group]
    return _median_s([control for control in last if fit[control.series]] or last) if last else None


def _median_s(observed: Iterable[Observed[T]]) -> float:
    return float(np.median(np.concatenate([item.dense_s for item in observed])))


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The rows of one subject that count, their pooled timing, and the subject's keys by column."""

    known: dict[str, Any]
    rows: pd.DataFrame
    pooled: Pooled


def counted_models(latency: pd.DataFrame, keys: Sequence[str]) -> Iterator[Counted]:
    """The rows of `latency.csv` that count, for each architecture or other group that the keys distinguish."""
    return _counted(latency.assign(log=log_ratios(latency["latency_s"], latency["dense_latency_s"])), keys)


def counted_layers(layer_latency: pd.DataFrame, keys: Sequence[str]) -> Iterator[Counted]:
    """The rows of `layer_latency.csv` that count, for each layer or other group that the keys distinguish."""
    return _counted(layer_latency.assign(log=np.log(layer_latency["ratio"].astype(float))), keys)


def _counted(rows: pd.DataFrame, keys: Sequence[str]) -> Iterator[Counted]:
    subjects = rows.groupby(list(keys), sort=False, dropna=False).ngroup()
    keys_of = rows.loc[~subjects.duplicated(), list(keys)].to_dict("records")
    observed, places = observe_rows(rows, subjects)
    kept, pooled = np.array(counted(observed), dtype=bool)[places], pool(observed)
    for subject, group in rows[kept].groupby(subjects[kept], sort=False):
        known = {str(key): value for key, value in keys_of[int(subject)].items()}
        yield Counted(known=known, rows=group, pooled=pooled[subject])


def layer_curves(sessions: Iterable[LayerSession]) -> dict[tuple[str, str], dict[int, float]]:
    """The timed ranks of each layer and scheme, and the seconds that each adds to a call; equal shapes share them.

    Args:
        sessions: of one place; see `place_of`.
    """
    timed, layers = list(sessions), dict[str, dict[str, None]]()
    for session in timed:
        layers.setdefault(session.shape, {}).update(dict.fromkeys(session.layers))
    shapes: dict[tuple[str, str], dict[int, Pooled]] = {}
    for (_, shape, scheme, rank), pooled in pool(observe_layers(timed)).items():
        if rank is not None:
            shapes.setdefault((shape, scheme), {})[rank] = pooled
    curves = {key: _added(dict(sorted(ranks.items()))) for key, ranks in shapes.items()}
    return {(layer, scheme): curve for (shape, scheme), curve in curves.items() for layer in layers[shape]}


def _added(ranks: Mapping[int, Pooled]) -> dict[int, float]:
    dense_s = [pooled.dense_s for pooled in ranks.values()]
    return {rank: added_s(pooled.estimate.ratio().ratio, dense_s) for rank, pooled in ranks.items()}


def added_s(ratio: float, dense_s: Iterable[float]) -> float:
    """Seconds that a changed layer adds to a call (below 0: saves).

    Args:
        ratio: of its latency to that of the dense layer.
        dense_s: seconds of the dense layer, as timed beside each rank.
    """
    return (ratio - 1) * float(np.median(list(dense_s)))


def scale_of(predicted: Logs, measured: Logs) -> float | None:
    """The factor from what layers timed alone save to what whole models save; None where models save nothing.

    A layer alone finds its weights in the cache, and the work between layers gets faster with them; a sum of layers
    has neither effect. The factor is fitted through the origin, relative to the models' latencies.

    Args:
        predicted: latency ratio of each model, as a sum of layers.
        measured: latency ratio of each whole model.
    """
    scale = slope(predicted - 1, measured - 1, weights=measured**-2)
    return scale if scale > 0 else None
