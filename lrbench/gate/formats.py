"""Verdicts as text for machines and people: a function each, none of which prints."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from operator import attrgetter
from types import MappingProxyType
from xml.etree import ElementTree

from lrbench.gate.verdicts import STRICT, Judgement, Power, Verdict
from lrbench.report.texts import markdown, plain_markdown

Format = Callable[[Judgement], str]


def headline(judgement: Judgement) -> str:
    """The outcome, and how many of each word: `lrbench check: failed (2 worse, 10 ok)`."""
    counts = Counter[str](verdict.verdict for verdict in judgement.verdicts)
    order = ("worse", "missing", "incomparable", "inconclusive", "better", "new", "ok")
    words = ", ".join(f"{counts[word]} {word}" for word in order if counts[word])
    return f"lrbench check: {judgement.outcome} ({words or 'no verdicts'})"


def summary(judgement: Judgement) -> list[str]:
    """The headline, and for each figure that is an accuracy what drop could have been found."""
    powers: dict[str, list[Power]] = {}
    for verdict in judgement.verdicts:
        if verdict.power:
            powers.setdefault(verdict.figure, []).append(verdict.power)
    return [headline(judgement), *(_power_line(figure, found) for figure, found in powers.items())]


def _power_line(figure: str, powers: Sequence[Power]) -> str:
    """By the name in which a drop is hardest to find."""
    hardest = max(powers, key=attrgetter("excess"))
    images, seeds = _span([power.images for power in powers]), _span([power.seeds for power in powers])
    moves = "moves" if hardest.seed_freedom else "is assumed to move"
    return (
        f"{figure}: a drop {100 * hardest.excess:.1f} points larger than the allowed {100 * hardest.allowed:g} would "
        f"be found in 9 of 10 runs (names: {len(powers)}; images: {images}; seeds: {seeds}; a seed {moves} an "
        f"accuracy by {100 * hardest.seed_sd:.2f} points)"
    )


def _span(values: Sequence[int]) -> str:
    low, high = f"{min(values):,}", f"{max(values):,}"
    return low if low == high else f"{low} to {high}"


def cells(verdict: Verdict) -> tuple[str, ...]:
    """A verdict as texts: verdict, tier, name, figure, baseline, current, bound, reason."""
    numbers = (verdict.baseline, verdict.current, verdict.bound)
    return (verdict.verdict, verdict.tier, verdict.name, verdict.figure, *map(_number, numbers), verdict.reason)


def _number(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.5g}" if value < 1e6 else f"{value:,.0f}"


HEADS = ("verdict", "tier", "name", "figure", "#baseline", "#current", "#bound", "reason")
"""Over `cells`; those that start with `#` stand over numbers."""


def to_json(judgement: Judgement) -> str:
    """The outcome and all verdicts."""
    outcome, verdicts = judgement.outcome, [asdict(verdict) for verdict in judgement.verdicts]
    return json.dumps({"passed": outcome == "passed", "outcome": outcome, "verdicts": verdicts}, indent=2)


def to_markdown(judgement: Judgement) -> str:
    """A summary, and a table of what is not ok."""
    first, *more = map(plain_markdown, summary(judgement))
    lines = [f"**{first}**", *(part for line in more for part in ("", line))]
    rows = [cells(verdict) for verdict in judgement.verdicts if verdict.verdict != "ok"]
    if rows:
        lines += ["", markdown(HEADS, rows)]
    return "\n".join(lines)


def to_junit(judgement: Judgement) -> str:
    """A JUnit test suite: what blocks is a failure, what else is inconclusive skipped, nothing judged an error."""
    suite = ElementTree.Element("testsuite", {"name": "lrbench check"})
    for verdict in judgement.verdicts:
        names = {"classname": f"{verdict.tier}.{verdict.figure}", "name": _xml_text(verdict.name)}
        case = ElementTree.SubElement(suite, "testcase", names)
        if verdict.verdict in judgement.blocking:
            ElementTree.SubElement(case, "failure", {"message": _xml_text(f"{verdict.verdict}: {verdict.reason}")})
        elif verdict.verdict == "inconclusive":
            ElementTree.SubElement(case, "skipped", {"message": _xml_text(verdict.reason)})
    if judgement.outcome == "nothing judged":
        case = ElementTree.SubElement(suite, "testcase", {"classname": "check", "name": "something was judged"})
        ElementTree.SubElement(case, "error", {"message": headline(judgement)})
    for count, tag in (("tests", ""), ("failures", "/failure"), ("skipped", "/skipped"), ("errors", "/error")):
        suite.set(count, str(len(suite.findall(f"testcase{tag}"))))
    ElementTree.SubElement(suite, "system-out").text = "\n".join(summary(judgement))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _xml_text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(char for char in text if char.isprintable() or char in "\t\n")


def to_github(judgement: Judgement) -> str:
    """Workflow commands of GitHub Actions: an annotation for each verdict that is not fine, and for nothing judged."""
    lines = [
        f"::{'error' if verdict.verdict in judgement.blocking else 'warning'} "
        f"title={_escape(f'{verdict.verdict}: {verdict.name}', (':', ','))}::"
        f"{_escape(f'{verdict.figure}: {verdict.reason or verdict.verdict}')}"
        for verdict in judgement.verdicts
        if verdict.verdict in STRICT
    ]
    if judgement.outcome == "nothing judged":
        lines.append(f"::error title=nothing judged::{_escape(headline(judgement))}")
    return "\n".join([*lines, *summary(judgement)])


def _escape(text: str, also: Sequence[str] = ()) -> str:
    for char in ("%", "\r", "\n", *also):
        text = text.replace(char, f"%{ord(char):02X}")
    return text


FORMATS: Mapping[str, Format] = MappingProxyType(
    {"json": to_json, "markdown": to_markdown, "junit": to_junit, "github": to_github}
)
"""By name; `table` is drawn on the screen."""
