"""The columns that the rows of all timing sessions share, those of whole models and those of single layers."""

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
    """A model in a round of a session: `number` is that of the session in the log, `turn` that of the round, from 0.

    A plain tuple, since a log has 100,000 of them.
    """

    record: Session
    number: int
    model: int
    turn: int
    timed: Round


class LayoutRow(NamedTuple):
    """What stands in a layer's place (`model`) in the rounds of one layout; `number` is that of the session."""

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
"""A column for each axis of a setting, of the kind that the type of its field asks for."""

_PEAK = "the model's tensors and what torch allocates in one call, at most"

ENVIRONMENT: Column[SessionRow] = Column(
    "environment", TEXT, lambda row: row.record.environment, "where: key of a row of environments.csv"
)
SESSION: Column[SessionRow] = Column(
    "session", WHOLE, lambda row: row.number, "number of the session in the log", filled=ALWAYS
)
IS_CONTROL: Column[SessionRow] = Column(
    "control",
    FLAG,
    lambda row: row.model == CONTROL,
    "true: this is the dense model's or layer's copy (the A/A control)",
    filled=ALWAYS,
)
COMMIT: Column[SessionRow] = Column("commit", TEXT, lambda row: row.record.commit, "by which code")
ENDED: Column[SessionRow] = Column(
    "ended", TEXT, lambda row: row.record.ended, "why the session ended: its precision, or a limit"
)
OCCASION: tuple[Column[SessionRow], ...] = (
    Column(
        "series",
        TEXT,
        lambda row: series_of(row.record, row.number),
        "what the sessions of one timing share",
    ),
    Column("process", WHOLE, lambda row: row.record.process, "which process of the timing"),
    Column("attempt", COUNT, lambda row: row.record.attempt, "from 1; 2: repeated because the A/A control was unfit"),
    Column(
        "control_within",
        NUMBER,
        lambda row: row.record.control_within,
        "half width of the A/A interval beyond which the timing is unfit",
    ),
)
PEAKS: tuple[Column[SessionRow], ...] = (
    Column("peak_bytes", WHOLE, lambda row: _peak(row, row.model), _PEAK),
    Column("dense_peak_bytes", WHOLE, lambda row: _peak(row, DENSE), _PEAK),
)
