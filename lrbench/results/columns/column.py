"""What a column is: what its cells may hold, what they mean and how they are read; and what a table of columns is."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic, TypeVar

import pandas as pd

from lrbench.config.ranges import LARGEST, LARGEST_RATE
from lrbench.results.records import Record

RowT = TypeVar("RowT")
"""What one row of a table is made of: a record, or a small record of its own."""
ReadT = TypeVar("ReadT", contravariant=True)
"""What a column is read from: the rows of its table, or what the rows of several tables have in common."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """Text, even where every cell looks like a number.

    Every cell must match `pattern` as a whole (empty: any text is allowed); `allowed` says in words what it matches.
    """

    pattern: str = ""
    allowed: str = ""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """True or False."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A finite number in `least`..`most` and above `above`; `whole`: without a fraction."""

    least: float = 0.0
    most: float = LARGEST
    above: float = -math.inf
    whole: bool = False


TEXT, FLAG, NUMBER = Text(), Flag(), Number()
SHARE, SIGNED, POSITIVE = Number(most=1.0), Number(least=-LARGEST), Number(above=0.0)
RATE = Number(most=LARGEST_RATE)
WHOLE, COUNT = Number(whole=True), Number(whole=True, above=0.0)
"""Whole numbers: from 0, from 1."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """Rows in which a column may not be empty: `where` selects them in the table, `words` say what is allowed there."""

    where: Callable[[pd.DataFrame], "pd.Series[bool]"]
    words: str


ALWAYS = Filled(where=lambda frame: pd.Series(True, index=frame.index), words="not empty")
WHEN_DONE = Filled(where=lambda frame: frame["state"] == "done", words="not empty, since the trial is done")


def beside(name: str) -> Filled:
    """Not empty in rows where another column is not empty."""
    return Filled(where=lambda frame: frame[name].notna(), words=f"not empty beside {name}")


@dataclass(frozen=True)
class Column(Generic[ReadT]):
    """One column. The attributes that every column has are positional, so that a list of columns reads as a table.

    Attributes:
        kind: what its cells may hold.
        read: gives the cell of a row, from what the row is made of; None is an empty cell.
        meaning: for results/README.md, in Markdown. Adjacent columns with the same meaning share a line there.
        filled: where cells may not be empty; None: they may be empty everywhere.
        at_most: another column that this one may not exceed in any row.
        formerly: its name in older tables.
    """

    name: str
    kind: Text | Flag | Number
    read: Callable[[ReadT], Any]
    meaning: str
    _: KW_ONLY
    filled: Filled | None = None
    at_most: str = ""
    formerly: str = ""


@dataclass(frozen=True, kw_only=True)
class Table(Generic[RowT]):
    """One table: what a row stands for, how rows are made from the records of a log, and the columns in order.

    `note` follows the heading in results/README.md. Every table has the column `schema` before its own.
    """

    meaning: str
    rows: Callable[[Sequence[Record]], Iterable[RowT]]
    columns: tuple[Column[RowT], ...]
    note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(column.name for column in self.columns)
