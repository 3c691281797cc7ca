"""What a document says, held against what its numbers really are."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from bench.claims.texts import CLOCK, NUMBER, Number, find_numbers, line_of

KINDS = {
    "setting": "a default, limit or choice of the code or of a study's command",
    "cited": "from a paper or from somebody else's report",
    "measured": "measured by hand, outside results/",
    "defined": "true by what the words mean",
}
"""What a number is that results/ do not tell."""

SLOT = rf"\*{{0,2}}((?<![\d.,])[-+]?(?:{CLOCK.pattern}|{NUMBER}))(?!\d|[.,]\d)\*{{0,2}}"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Words of a document, any white space between them, once or `often`: `{}` is each number that is computed."""

    text: str
    values: tuple[float, ...] = ()
    kind: str = "computed"
    source: str = ""
    often: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """A claim as it stands in a document: its line, the numbers said and what they are."""

    line: int
    words: str
    said: tuple[str, ...]
    claim: Claim
    covers: tuple[tuple[int, int], ...]

    @property
    def wrong(self) -> bool:
        """Whether a number is not what it is computed to be, rounded to the digits that are printed."""
        return any(not agrees(said, value) for said, value in zip(self.said, self.claim.values, strict=True))


def computed(text: str, *values: float) -> Claim:
    """A claim whose numbers come from results/, a spec or the code.

    Raises: ValueError when there are not as many values as places for them.
    """
    if text.count("{}") != len(values):
        raise ValueError(f"{text.count('{}')} places for {len(values)} values: {text}")
    return Claim(text=text, values=tuple(float(value) for value in values))


def everywhere(text: str, *values: float) -> Claim:
    """A computed claim that a document may make more than once."""
    return replace(computed(text, *values), often=True)


def stated(kind: str, text: str, source: str) -> Claim:
    """A claim whose numbers stand in its text, with what tells them.

    Raises: ValueError for a kind that is not in `KINDS`.
    """
    if kind not in KINDS or not source:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, with a source; got {kind}: {text}")
    return Claim(text=text, kind=kind, source=source, often=True)


def agrees(said: str, value: float) -> bool:
    """Whether a printed number is the value, rounded to the digits that are printed."""
    if ":" in said:
        minutes, seconds = said.split(":")
        return int(minutes) * 60 + int(seconds) == round(value)
    digits, _, exponent = said.replace(",", "").partition("e")
    scaled = value / 10 ** int(exponent or 0)
    return Decimal(digits) == Decimal(f"{scaled:.{len(digits.partition('.')[2])}f}")


def pattern_of(claim: Claim) -> re.Pattern[str]:
    """What matches the claim in a document."""
    parts = [r"\s+".join(re.escape(word) for word in re.split(r"\s+", part)) for part in claim.text.split("{}")]
    return re.compile(SLOT.join(parts) if claim.kind == "computed" else rf"(?<![\w.,]){parts[0]}(?![\w]|[.,]\d)")


def find(text: str, claim: Claim) -> Iterator[Line]:
    """Where a claim stands in a document."""
    for found in pattern_of(claim).finditer(text):
        slots = tuple(found.span(i) for i in range(1, len(claim.values) + 1))
        yield Line(
            line=line_of(text, found.start()),
            words=" ".join(found.group().split()),
            said=tuple(found.groups()),
            claim=claim,
            covers=slots if claim.kind == "computed" else (found.span(),),
        )


def problems(text: str, claims: Sequence[Claim]) -> Iterator[str]:
    """What is wrong with a document: claims that strayed or stand nowhere, numbers that have no claim."""
    covered: set[int] = set()
    for claim in claims:
        lines = list(find(text, claim))
        if not lines or (len(lines) > 1 and not claim.often):
            yield f"stands {len(lines)} times, not once: {claim.text}"
        for line in lines:
            covered.update(offset for start, end in line.covers for offset in range(start, end))
            if line.wrong:
                yield f"line {line.line}: said {', '.join(line.said)}, is {shown(claim.values)}: {line.words}"
    for number in find_numbers(text):
        if number.start not in covered:
            yield f"line {line_of(text, number.start)}: {number.said} has no claim: {_around(text, number)}"


def shown(values: Sequence[float]) -> str:
    """Values with more digits than a document needs."""
    return ", ".join(f"{value:.6g}" for value in values)


def _around(text: str, number: Number) -> str:
    return " ".join(text[max(0, number.start - 40) : number.end + 20].split())
