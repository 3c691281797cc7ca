"""Tables that fit the terminal: numbers are never cut, names wrap, and columns for which there is no room are named."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from lrbench.shown import shown

if TYPE_CHECKING:
    from lrbench.report.texts import TextTable

FEW = 5
"""Rows up to which a table that is too wide stands on its side."""

LONGEST = 28
"""Characters of a word of a text from which it may be broken; numbers are not."""


def table(texts: "TextTable") -> "Fitted":
    """A table of texts, numbers set right."""
    return Fitted(texts=texts)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A table that is drawn by the width that there is."""

    texts: "TextTable"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The table, on its side where it is short and too wide, and below it the columns that have no room."""
        texts, width = self.texts, options.max_width
        if len(texts.rows) <= FEW and _width(texts) > width >= _width(side := on_its_side(texts)):
            texts = side
        kept = _kept(texts, width)
        if texts.title:
            yield Text(shown(texts.title), style="table.title", no_wrap=False, overflow="fold")
        yield _drawn(_only(texts, kept), width)
        if left := [head.removeprefix("#") for i, head in enumerate(texts.heads) if i not in kept]:
            told = f"No room in {width} columns for: {', '.join(left)}."
            yield Text(shown(told), style="dim", no_wrap=False, overflow="fold")


def on_its_side(texts: "TextTable") -> "TextTable":
    """A row for each column, a column for each row."""
    first, *others = texts.heads
    names = [row[0] for row in texts.rows]
    rows = [(head.removeprefix("#"), *(row[i + 1] for row in texts.rows)) for i, head in enumerate(others)]
    return replace(texts, heads=(first.removeprefix("#"), *names), rows=rows)


def _only(texts: "TextTable", kept: list[int]) -> "TextTable":
    return replace(texts, heads=[texts.heads[i] for i in kept], rows=[[row[i] for i in kept] for row in texts.rows])


def _least(head: str, cells: list[str]) -> int:
    """The least width of a column: of numbers the longest, of texts the longest word."""
    words = [word for text in (head.removeprefix("#"), *cells) for word in text.split()]
    longest = max(map(len, words), default=0)
    return max(longest, *map(len, cells), 0) if head.startswith("#") else min(LONGEST, longest)


def _widths(texts: "TextTable") -> list[int]:
    return [_least(head, [shown(row[i]) for row in texts.rows]) for i, head in enumerate(texts.heads)]


def _width(texts: "TextTable") -> int:
    """The least width of a table: its columns, a blank to either side of each, and the lines between."""
    return sum(width + 3 for width in _widths(texts)) + 1


def _kept(texts: "TextTable", width: int) -> list[int]:
    """The columns that there is room for, from the first on; the first two always."""
    kept, left = [], width - 1
    for i, needed in enumerate(_widths(texts)):
        if needed + 3 <= left or i < 2:
            kept.append(i)
            left -= needed + 3
    return kept


def _shared_out(texts: "TextTable", width: int) -> list[int]:
    """The width of each column: the least, and of what is left as much as the longest text takes, from the first on."""
    widths, left = _widths(texts), width - _width(texts)
    for i, head in enumerate(texts.heads):
        longest = max(len(shown(text)) for text in (head.removeprefix("#"), *(row[i] for row in texts.rows)))
        more = max(0, min(left, longest - widths[i]))
        widths[i], left = widths[i] + more, left - more
    return widths


def _drawn(texts: "TextTable", width: int) -> Table:
    drawn = Table(header_style="bold")
    for head, own in zip(texts.heads, _shared_out(texts, width), strict=True):
        justify: JustifyMethod = "right" if head.startswith("#") else "left"
        drawn.add_column(shown(head.removeprefix("#")), justify=justify, width=own, overflow="fold")
    for row in texts.rows:
        drawn.add_row(*(Text(shown(cell)) for cell in row))  # names from a results folder are not markup
    return drawn
