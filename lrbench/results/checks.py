"""What cells of a table may hold: a table edited by hand or by another program is refused at its first wrong cell."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from lrbench.config.ranges import LARGEST
from lrbench.errors import InputError
from lrbench.results.columns.column import Column, Flag, Number, Table, Text

Bools = NDArray[np.bool_]

Wrong = Iterator[tuple[Bools, str]]
"""Which cells of a column are wrong, and what is allowed there; each check runs once the one before found none.

Every record of a sweep is checked before it is kept, a few cells each: on arrays, where pandas takes ten times as long.
"""


def checked(frame: pd.DataFrame, table: Table[Any], *, path: Path) -> pd.DataFrame:
    """The table itself, when every cell is valid for its column.

    Raises: InputError naming file, line, column and what is allowed.
    """
    for column in table.columns:
        for wrong, allowed in _wrong(frame, column):
            _refuse(frame, wrong, column.name, allowed, path=path)
    for column in table.columns:
        if column.at_most:
            wrong = _numbers(frame[column.name]) > _numbers(frame[column.at_most])
            _refuse(frame, wrong, column.name, f"at most {column.at_most}", path=path)
    return frame


def _wrong(frame: pd.DataFrame, column: Column[Any]) -> Wrong:
    cells = frame[column.name]
    filled = cells.notna().to_numpy()
    match column.kind:
        case Text() as text if text.pattern:
            fits = re.compile(text.pattern).fullmatch
            unfit = [there and not fits(cell) for cell, there in zip(cells, filled, strict=True)]
            yield np.array(unfit, bool), text.allowed
        case Flag() if not is_bool_dtype(cells):  # one wrong cell makes texts of all the others
            yield filled & ~cells.astype(str).isin(["True", "False"]).to_numpy(), "True or False"
        case Number() as number:
            yield from _wrong_numbers(cells, filled, number)
    if column.filled is not None:
        yield ~filled & column.filled.where(frame).to_numpy(), column.filled.words


def _wrong_numbers(cells: "pd.Series[Any]", filled: Bools, kind: Number) -> Wrong:
    if is_bool_dtype(cells) or not is_numeric_dtype(cells):
        yield filled & pd.to_numeric(cells.astype(str), errors="coerce").isna().to_numpy(), "a number"
        yield filled, f"a number below {LARGEST:.0g}"
    numbers = _numbers(cells)
    yield filled & ~np.isfinite(numbers), "a finite number"
    yield (numbers < kind.least) | (numbers > kind.most), f"in {kind.least:.0g}..{kind.most:.0g}"
    if kind.above > -math.inf:
        yield numbers <= kind.above, f"above {kind.above:g}"
    if kind.whole:
        yield numbers % 1 > 0, "a whole number"


def _numbers(cells: "pd.Series[Any]") -> NDArray[np.float64]:
    return cells.to_numpy(float)


def _refuse(frame: pd.DataFrame, wrong: Bools, column: str, allowed: str, *, path: Path) -> None:
    """Raises: InputError for the first row that is wrong; line 1 holds the names of the columns."""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        cell = frame[column].iloc[row]
        cell = cell.item() if isinstance(cell, np.generic) else cell
        raise InputError(
            f"{path}, line {row + 2}: {column} must be {allowed}, got {cell!r}. The tables are "
            "views of records.jsonl: repeat the sweep command to rewrite them"
        )
