"""Rows of the tables of time: for each model beside the dense one a row a round, for each layer a row a layout."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median
from typing import Any

from lrbench.config import axes
from lrbench.results.sessions import CONTROL, DENSE, LayerSession, Session, layout_of

Row = dict[str, Any]

AXES = tuple(axes.AXES)
"""Columns of a `Setting`."""

WATCH = ("load", "steal_s", "sm_clock_hz", "memory_clock_hz", "temperature_c", "throttling", "ended")
"""Columns of what was watched in a round, and of why its session ended."""


def _session_facts(record: Session | LayerSession, number: int) -> Row:
    """The columns that all rows of a session share."""
    return {
        "environment": record.environment,
        "session": number,
        **vars(record.setting),
        "commit": record.commit,
        "series": record.series or f"session {number}",
        "process": record.process,
        "attempt": record.attempt,
        "ended": record.ended,
        "control_within": record.control_within,
    }


def _peaks(record: Session | LayerSession, i: int) -> Row:
    """The memory of a model and of the dense one, empty where it was not measured."""
    peaks: Sequence[int | None] = record.peak_bytes or (None,) * len(record.calls)
    return {"peak_bytes": peaks[i], "dense_peak_bytes": peaks[DENSE]}


def session_rows(record: Session, number: int) -> Iterable[Row]:
    """One row for each round and each architecture but the dense one, which stands beside it."""
    facts, dense = _session_facts(record, number), record.architectures[DENSE]
    facts |= {"model": dense.model, "image_size": dense.image_size, "started": record.started}
    warmups = record.warmup_s or (None,) * len(record.calls)
    for turn, timed in enumerate(record.rounds):
        positions = {model: position for position, model in enumerate(timed.order)}
        for i in range(CONTROL, len(record.calls)):
            yield {
                **facts,
                **({} if timed.gpu is None else vars(timed.gpu)),
                **_peaks(record, i),
                "architecture": record.architectures[i].key,
                "round": turn,
                "layout": layout_of(turn, timed),
                "load": timed.load,
                "steal_s": timed.steal_s,
                "latency_s": timed.wall_s[i],
                "dense_latency_s": timed.wall_s[DENSE],
                "control": i == CONTROL,
                "cpu_s": timed.cpu_s[i],
                "dense_cpu_s": timed.cpu_s[DENSE],
                "position": positions[i],
                "dense_position": positions[DENSE],
                "calls": record.calls[i],
                "first_wall_s": record.first_wall_s[i],
                "warmup_s": warmups[i],
            }


def layer_session_rows(record: LayerSession, number: int) -> Iterable[Row]:
    """One row for each layout and each replacement of a layer; the copy of the dense layer has no rank."""
    facts, dense = _session_facts(record, number), record.replacements[DENSE]
    facts |= {"model": record.model, "image_size": record.image_size, "shape": record.shape}
    facts |= {"layers": " ".join(record.layers)}
    limits = dict(record.breakeven_macs)
    for layout, group in groupby(enumerate(record.rounds), lambda pair: layout_of(*pair)):
        rounds = [timed for _, timed in group]
        for i in range(CONTROL, len(record.calls)):
            one = record.replacements[i]
            yield {
                **facts,
                **vars(one),
                **_peaks(record, i),
                "layout": layout,
                "rounds": len(rounds),
                "ratio": median(timed.wall_s[i] / timed.wall_s[DENSE] for timed in rounds),
                "dense_latency_s": median(timed.wall_s[DENSE] for timed in rounds),
                "control": i == CONTROL,
                "breakeven_rank_macs": limits.get(one.scheme),
                "dense_macs": dense.macs,
                "dense_backend": dense.backend,
                "dense_traffic_bytes": dense.traffic_bytes,
            }
