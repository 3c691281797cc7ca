"""Rows of texts as other programs read them: chosen columns, sorted, as CSV, JSON or Markdown."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from lrbench.errors import InputError
from lrbench.report.texts import TextTable, markdown


def _plain_heads(texts: TextTable) -> list[str]:
    return [head.removeprefix("#") for head in texts.heads]


def _place(texts: TextTable, name: str) -> int:
    """The column whose head is this, or the only one that begins so.

    Raises: InputError that lists the heads when there is none.
    """
    heads = [head.casefold() for head in _plain_heads(texts)]
    wanted = name.strip().casefold()
    fitting = [i for i, head in enumerate(heads) if head == wanted]
    fitting = fitting or [i for i, head in enumerate(heads) if wanted and head.startswith(wanted)]
    if len(fitting) != 1:
        raise InputError(f"no column {name.strip()!r}; there are: {', '.join(_plain_heads(texts))}")
    return fitting[0]


def chosen_columns(texts: TextTable, names: str | None) -> TextTable:
    """The columns named, separated by commas, in that order; all of them for None.

    Raises: InputError for a name that no column has.
    """
    if names is None:
        return texts
    places = [_place(texts, name) for name in names.split(",")]
    rows = [[row[i] for i in places] for row in texts.rows]
    return replace(texts, heads=[texts.heads[i] for i in places], rows=rows)


def put_first(texts: TextTable, names: Sequence[str]) -> TextTable:
    """Columns in another order: those named, then the others; last what is the same in all of several rows."""
    plain = _plain_heads(texts)

    def rank(i: int) -> tuple[bool, int]:
        same = len(texts.rows) > 1 and len({row[i] for row in texts.rows}) == 1
        return same and plain[i] not in names, names.index(plain[i]) if plain[i] in names else len(names)

    places = sorted(range(len(plain)), key=rank)
    rows = [[row[i] for i in places] for row in texts.rows]
    return replace(texts, heads=[texts.heads[i] for i in places], rows=rows)


def sorted_rows(texts: TextTable, name: str | None) -> TextTable:
    """Rows by a column, numbers by size, from the largest on where `-` stands before its name; empty ones last.

    Raises: InputError for a name that no column has.
    """
    if name is None:
        return texts
    place, down = _place(texts, name.removeprefix("-")), name.startswith("-")
    filled = [row for row in texts.rows if row[place].strip()]
    number = texts.heads[place].startswith("#")
    key: Callable[[str], float | str] = _number if number else str
    ordered = sorted(filled, key=lambda row: key(row[place]), reverse=down)
    return replace(texts, rows=[*ordered, *(row for row in texts.rows if not row[place].strip())])


def _number(text: str) -> float:
    """The first number of a text: of `0.527 (0.500-0.550)` that is 0.527."""
    found = re.search(r"[-+]?[\d,]*\.?\d+", text)
    return float(found.group().replace(",", "")) if found else float("inf")


def _csv(texts: TextTable) -> str:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([_plain_heads(texts), *texts.rows])
    return lines.getvalue().rstrip("\n")


def _json(texts: TextTable) -> str:
    return json.dumps([dict(zip(_plain_heads(texts), row, strict=True)) for row in texts.rows], indent=2)


FORMS: Mapping[str, Callable[[TextTable], str]] = MappingProxyType(
    {"csv": _csv, "json": _json, "md": lambda texts: markdown(texts.heads, texts.rows)}
)
"""How rows are written, by name."""


def written(texts: TextTable, form: str) -> str:
    """Rows in one of `FORMS`."""
    return FORMS[form](texts)
