"""The numbers of a document that a reader could doubt, and where they stand.

A number counts when a unit follows it (`5.3 %`, `12x`, `0.4 points`, `3.5-4.2 s`, `14, 13 and 5 ms`), when it is so
many `of N`, a time (`4:30`), or has a decimal point. Code, links and what a command writes do not count.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e-?\d+)?"
"""Digits with commas between thousands, a fraction, an exponent of ten."""

WORD = r"(?:percent|points?|images/s|[GMk]B|[MG]bit/s|times|hours?|minutes?|seconds?|ms|s)\b"
UNIT = rf"%|{WORD}|x(?![\w])(?!\s*\d)(?!\s[A-Z]\b)"
JOINT = r"\s*(?:-|→|/|,\s|,?\s(?:to|and|or|in\splace\sof)\s|±)\s*"
START, END = r"(?<![\w.:=])(?<!\d[,])", r"(?![\w]|[.,:]\d)"

WITH_UNIT = re.compile(rf"{START}{NUMBER}(?:{JOINT}[-+]?{NUMBER})*(?:\s*(?:{UNIT}))")
SO_MANY_OF = re.compile(rf"{START}{NUMBER}\s+of\s+(?:the\s+|all\s+)?{NUMBER}{END}")
CLOCK = re.compile(r"(?<![\w.:])\d+:\d\d(?![\w:])")
FRACTION = re.compile(rf"{START}(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+(?:e-?\d+)?|e-\d+){END}")
WITHIN = re.compile(rf"{CLOCK.pattern}|{NUMBER}")

HIDDEN = (
    re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE),
    re.compile(r"<!--(?: from \S+: begin -->.*?<!-- from \S+: end -->|.*?-->)", re.DOTALL),
    re.compile(r"(?<=\n\n)(?: {4}.*\n)+"),
    re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL),
    re.compile(r"\]\([^)]*\)|https?://\S+"),
)
"""Blocks of code, what bench/write_tables.py writes, code within a line, addresses."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number of a document, between two offsets."""

    start: int
    end: int
    said: str


def hide(text: str) -> str:
    """The text with blanks for what is code or an address; offsets stay."""
    for pattern in HIDDEN:
        text = pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
    return text


def find_numbers(text: str) -> Iterator[Number]:
    """The numbers of a document that need a claim, from its start to its end."""
    shown = hide(text)
    found = {}
    for pattern in (WITH_UNIT, SO_MANY_OF, CLOCK, FRACTION):
        for phrase in pattern.finditer(shown):
            for number in WITHIN.finditer(shown, phrase.start(), phrase.end()):
                found[number.start()] = Number(start=number.start(), end=number.end(), said=number.group())
    yield from (found[start] for start in sorted(found))


def line_of(text: str, offset: int) -> int:
    """The line of an offset, from 1."""
    return text.count("\n", 0, offset) + 1
