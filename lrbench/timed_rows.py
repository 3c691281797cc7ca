"""Rows of the tables of time: one for each round and each model that ran beside the dense one."""

from collections.abc import Iterable, Sequence
from typing import Any

from lrbench.timed import CONTROL, DENSE, LayerSession, Session, layout_of

Row = dict[str, Any]

AXES = ("device", "batch_size", "threads", "memory_format", "dtype", "mode", "folded")
"""Columns of a `Setting`."""

WATCH = ("load", "steal_s", "sm_clock_hz", "memory_clock_hz", "temperature_c", "throttling", "ended")
"""Columns of what was watched in a round, and of why its session ended."""


def _round_rows(record: Session | LayerSession, number: int) -> Iterable[tuple[int, Row]]:
    """For each round, every model but the dense one, with the columns that models and layers share."""
    session = {
        "environment": record.environment,
        "session": number,
        **vars(record.setting),
        "model": record.model if isinstance(record, LayerSession) else record.architectures[DENSE].model,
        "image_size": record.image_size if isinstance(record, LayerSession) else record.architectures[DENSE].image_size,
        "commit": record.commit,
        "started": record.started,
        "series": record.series or f"session {number}",
        "process": record.process,
        "attempt": record.attempt,
        "ended": record.ended,
        "control_within": record.control_within,
    }
    peaks: Sequence[int | None] = record.peak_bytes or (None,) * len(record.calls)
    for turn, timed in enumerate(record.rounds):
        shared = {
            **session,
            "round": turn,
            "layout": layout_of(turn, timed),
            "load": timed.load,
            "steal_s": timed.steal_s,
            **({} if timed.gpu is None else vars(timed.gpu)),
        }
        for i in range(CONTROL, len(record.calls)):
            yield (
                i,
                {
                    **shared,
                    "latency_s": timed.wall_s[i],
                    "dense_latency_s": timed.wall_s[DENSE],
                    "control": i == CONTROL,
                    "peak_bytes": peaks[i],
                    "dense_peak_bytes": peaks[DENSE],
                },
            )


def session_rows(record: Session, number: int) -> Iterable[Row]:
    """One row for each round and each architecture but the dense one, which stands beside it."""
    positions = [{model: position for position, model in enumerate(timed.order)} for timed in record.rounds]
    warmups = record.warmup_s or (None,) * len(record.calls)
    for i, row in _round_rows(record, number):
        timed = record.rounds[row["round"]]
        yield {
            **row,
            "architecture": record.architectures[i].key,
            "cpu_s": timed.cpu_s[i],
            "dense_cpu_s": timed.cpu_s[DENSE],
            "position": positions[row["round"]][i],
            "dense_position": positions[row["round"]][DENSE],
            "calls": record.calls[i],
            "first_wall_s": record.first_wall_s[i],
            "warmup_s": warmups[i],
        }


def layer_session_rows(record: LayerSession, number: int) -> Iterable[Row]:
    """One row for each round and each replacement of a layer; the copy of the dense layer has no rank."""
    limits, dense = dict(record.breakeven_macs), record.replacements[DENSE]
    for i, row in _round_rows(record, number):
        one = record.replacements[i]
        yield {
            **row,
            "shape": record.shape,
            "layers": " ".join(record.layers),
            **vars(one),
            "breakeven_rank_macs": limits.get(one.scheme),
            "dense_macs": dense.macs,
            "dense_backend": dense.backend,
            "dense_traffic_bytes": dense.traffic_bytes,
        }
