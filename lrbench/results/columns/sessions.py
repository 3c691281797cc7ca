"""The columns that all rows of timing sessions share, for whole models and for single layers."""

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from lrbench.config.axes import AXES, Setting
from lrbench.results.columns.column import ALWAYS, COUNT, FLAG, NUMBER, TEXT, WHOLE, Column, Flag, Number
from lrbench.results.observed import series_of
from lrbench.results.sessions import CONTROL, DENSE, LayerSession, Round, Session


class RoundRow(NamedTuple):
    """A model in a round of a session: `number` is the session's number in the log, `turn` the round's, from 0.

    A plain tuple, since a log may have 100,000 of them.
    """

    record: Session
    number: int
    model: int
    turn: int
    timed: Round


class LayoutRow(NamedTuple):
    """A replacement of a layer (`model`) in the rounds of one layout; `number` is the session's number in the log."""

    record: LayerSession
    number: int
    model: int
    layout: int
    rounds: tuple[Round, ...]


SessionRow = RoundRow | LayoutRow


def _peak(row: SessionRow, model: int) -> int | None:
    return row.record.peak_bytes[model] if row.record.peak_bytes else None


_KINDS: Mapping[Any, Flag | Number] = MappingProxyType({int: COUNT, bool: FLAG})
SETTING: tuple[Column[SessionRow], ...] = tuple(
    Column(
        axis.name,
        _KINDS.get(axis.type, TEXT),
        attrgetter(f"record.setting.{axis.name}"),
        AXES[axis.name].meaning,
        filled=ALWAYS,
        formerly=AXES[axis.name].formerly,
    )
    for axis in fields(Setting)
)
"""A column for each axis of a setting, its kind given by the type of the field."""

_PEAK = "peak memory of one call: the model's tensors and what torch allocates"

ENVIRONMENT: Column[SessionRow] = Column(
    "environment", TEXT, lambda row: row.record.environment, "key of the machine and versions, in environments.csv"
)
SESSION: Column[SessionRow] = Column(
    "session", WHOLE, lambda row: row.number, "number of the session in the log", filled=ALWAYS
)
IS_CONTROL: Column[SessionRow] = Column(
    "control",
    FLAG,
    lambda row: row.model == CONTROL,
    "true: the row is about the copy of the dense model or layer (the A/A control)",
    filled=ALWAYS,
)
COMMIT: Column[SessionRow] = Column("commit", TEXT, lambda row: row.record.commit, "commit of lrbench")
ENDED: Column[SessionRow] = Column(
    "ended", TEXT, lambda row: row.record.ended, "why the session ended: precision reached, or a limit"
)
OCCASION: tuple[Column[SessionRow], ...] = (
    Column(
        "series",
        TEXT,
        lambda row: series_of(row.record, row.number),
        "key that the sessions of one timing share",
    ),
    Column("process", WHOLE, lambda row: row.record.process, "number of the process in the timing, from 0"),
    Column(
        "attempt",
        COUNT,
        lambda row: row.record.attempt,
        "number of the attempt, from 1; 2: repeated because the A/A control was unfit",
    ),
    Column(
        "control_within",
        NUMBER,
        lambda row: row.record.control_within,
        "largest half width of the A/A control's interval of a fit timing",
    ),
)
PEAKS: tuple[Column[SessionRow], ...] = (
    Column("peak_bytes", WHOLE, lambda row: _peak(row, row.model), _PEAK),
    Column("dense_peak_bytes", WHOLE, lambda row: _peak(row, DENSE), _PEAK),
)
