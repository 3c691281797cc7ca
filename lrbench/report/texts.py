"""How values and tables are written: one way for the terminal, for Markdown and for the page."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pandas as pd

from lrbench.shown import shown


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """Texts in rows: `title` stands above, `heads` over the columns; heads that start with `#` stand over numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a value and the ends of its interval are formatted, and what stands between the ends."""

    value: str
    ends: str
    between: str = "-"


RATIO = Form(value=".3f", ends=".3f")
ACCURACY = Form(value=".2%", ends=".1%")
POINTS = Form(value="+.2f", ends="+.2f", between=" to ")
"""Points of accuracy, with their sign."""

UNFIT = "unfit"
"""Stands behind a latency ratio when the A/A control beside it did not hold."""


def number(value: float | None, form: str, *, none: str = "") -> str:
    """A number as text, or what stands for none."""
    return none if pd.isna(value) else f"{value:{form}}"


def interval(low: float, high: float, *, form: Form) -> str:
    """The ends of an interval: `0.50-0.55`."""
    return f"{low:{form.ends}}{form.between}{high:{form.ends}}"


def with_interval(value: float, low: float, high: float, *, form: Form = RATIO, note: str = "") -> str:
    """A value with its interval: `0.527 (0.500-0.550)`, or with a note `0.527 (0.500-0.550, 99 %)`.

    Where nothing is known of it, as for a latency from one process: `0.527 (no interval)`.
    """
    if not (isfinite(low) and isfinite(high)):
        return f"{value:{form.value}} (no interval)"
    return f"{value:{form.value}} ({interval(low, high, form=form)}{f', {note}' if note else ''})"


def ratio_of(row: Mapping[Any, Any], name: str = "ratio", *, form: Form = RATIO) -> str:
    """A ratio of a row with its interval in `NAME_low` and `NAME_high`, and a word when its timing is unfit."""
    text = with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"], form=form)
    return text if row.get("fit", True) else f"{text} {UNFIT}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under heads as a Markdown table; texts in it are plain, whatever they hold.

    Args:
        heads: those that start with `#` stand over numbers.
        rows: of texts.
    """
    marks = ["---:" if head.startswith("#") else "---" for head in heads]
    plain = [[plain_markdown(text) for text in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in ([head.removeprefix("#") for head in heads], marks, *plain))


_MARKS = re.compile(r"[\\`*\[\]|~$@]|(?<!\w)[_#]|_(?!\w)|:(?=//)|(?<=www)\.", re.IGNORECASE)
"""What Markdown may take for more than text, also the mathematics, names and addresses that GitHub finds in it."""


def plain_markdown(text: str) -> str:
    """Text in one line that Markdown neither marks up, links, runs as HTML nor takes for the end of a cell."""
    marked = _MARKS.sub(r"\\\g<0>", shown(" ".join(text.splitlines())))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
