"""What cells of a table may hold: a table edited by hand or by another program is refused at its first wrong cell."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from lrbench.config.ranges import LARGEST
from lrbench.errors import InputError
from lrbench.results.columns.column import Column, Flag, Number, Table, Text

Wrong = Iterator[tuple["pd.Series[bool]", str]]
"""Which cells of a column are wrong, and what is allowed there; each check runs once the one before found none."""


def checked(frame: pd.DataFrame, table: Table[Any], *, path: Path) -> pd.DataFrame:
    """The table itself, when every cell is valid for its column.

    Raises: InputError naming file, line, column and what is allowed.
    """
    for column in table.columns:
        for wrong, allowed in _wrong(frame, column):
            _refuse(frame, wrong, column.name, allowed, path=path)
    for column in table.columns:
        if column.at_most:
            wrong = frame[column.name].astype(float) > frame[column.at_most].astype(float)
            _refuse(frame, wrong, column.name, f"at most {column.at_most}", path=path)
    return frame


def _wrong(frame: pd.DataFrame, column: Column[Any]) -> Wrong:
    cells = frame[column.name]
    match column.kind:
        case Text() as text if text.pattern:
            yield cells.notna() & ~cells.fillna("").str.fullmatch(text.pattern).astype(bool), text.allowed
        case Flag() if not is_bool_dtype(cells):  # one wrong cell makes texts of all the others
            yield cells.notna() & ~cells.astype(str).isin(["True", "False"]), "True or False"
        case Number() as number:
            yield from _wrong_numbers(cells, number)
    if column.filled is not None:
        yield cells.isna() & column.filled.where(frame), column.filled.words


def _wrong_numbers(cells: "pd.Series[Any]", kind: Number) -> Wrong:
    if is_bool_dtype(cells) or not is_numeric_dtype(cells):
        yield cells.notna() & pd.to_numeric(cells.astype(str), errors="coerce").isna(), "a number"
        yield cells.notna(), f"a number below {LARGEST:.0g}"
    numbers = cells.astype(float)
    yield cells.notna() & ~np.isfinite(numbers), "a finite number"
    yield (numbers < kind.least) | (numbers > kind.most), f"in {kind.least:.0g}..{kind.most:.0g}"
    if kind.above > -math.inf:
        yield numbers <= kind.above, f"above {kind.above:g}"
    if kind.whole:
        yield numbers % 1 > 0, "a whole number"


def _refuse(frame: pd.DataFrame, wrong: "pd.Series[bool]", column: str, allowed: str, *, path: Path) -> None:
    """Raises: InputError for the first row that is wrong; line 1 holds the names of the columns."""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        cell = frame[column].iloc[row]
        cell = cell.item() if isinstance(cell, np.generic) else cell
        raise InputError(
            f"{path}, line {row + 2}: {column} must be {allowed}, got {cell!r}. The tables are "
            "views of records.jsonl: repeat the sweep command to rewrite them"
        )
