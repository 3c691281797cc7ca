"""Verdicts as text for machines and people: a function each, none of which prints."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from xml.etree import ElementTree

from lrbench.gate.verdicts import BLOCKING, Verdict, exit_code
from lrbench.report.texts import markdown

Format = Callable[[Sequence[Verdict]], str]

LEVELS = MappingProxyType({"worse": "error", "missing": "error", "incomparable": "error", "inconclusive": "warning"})


def count_words(verdicts: Sequence[Verdict]) -> str:
    """How many of each word: `2 worse, 10 ok`."""
    counts = Counter[str](verdict.verdict for verdict in verdicts)
    order = ("worse", "missing", "incomparable", "inconclusive", "better", "new", "ok")
    return ", ".join(f"{counts[word]} {word}" for word in order if counts[word]) or "nothing was judged"


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


def to_json(verdicts: Sequence[Verdict]) -> str:
    """All verdicts, and whether they block."""
    body = {"passed": exit_code(verdicts, strict=False) == 0, "verdicts": [asdict(verdict) for verdict in verdicts]}
    return json.dumps(body, indent=2)


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A summary, and a table of what is not ok."""
    title = "failed" if exit_code(verdicts, strict=False) else "passed"
    lines = [f"**lrbench check {title}**: {count_words(verdicts)}"]
    rows = [cells(verdict) for verdict in verdicts if verdict.verdict != "ok"]
    if rows:
        lines += ["", markdown(HEADS, rows)]
    return "\n".join(lines)


def to_junit(verdicts: Sequence[Verdict]) -> str:
    """A JUnit test suite: blocking verdicts are failures, inconclusive ones skipped."""
    failed = sum(verdict.verdict in BLOCKING for verdict in verdicts)
    skipped = sum(verdict.verdict == "inconclusive" for verdict in verdicts)
    counts = {"tests": str(len(verdicts)), "failures": str(failed), "skipped": str(skipped), "errors": "0"}
    suite = ElementTree.Element("testsuite", {"name": "lrbench check", **counts})
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"{verdict.tier}.{verdict.figure}", "name": _xml_text(verdict.name)}
        )
        if verdict.verdict in BLOCKING:
            ElementTree.SubElement(case, "failure", {"message": _xml_text(f"{verdict.verdict}: {verdict.reason}")})
        elif verdict.verdict == "inconclusive":
            ElementTree.SubElement(case, "skipped", {"message": _xml_text(verdict.reason)})
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _xml_text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(char for char in text if char.isprintable() or char in "\t\n")


def to_github(verdicts: Sequence[Verdict]) -> str:
    """Workflow commands of GitHub Actions: an annotation for each verdict that is not fine."""
    lines = [
        f"::{LEVELS[verdict.verdict]} title={_escape(f'{verdict.verdict}: {verdict.name}', (':', ','))}::"
        f"{_escape(f'{verdict.figure}: {verdict.reason or verdict.verdict}')}"
        for verdict in verdicts
        if verdict.verdict in LEVELS
    ]
    return "\n".join([*lines, f"lrbench check: {count_words(verdicts)}"])


def _escape(text: str, also: Sequence[str] = ()) -> str:
    for char in ("%", "\r", "\n", *also):
        text = text.replace(char, f"%{ord(char):02X}")
    return text


FORMATS: Mapping[str, Format] = MappingProxyType(
    {"json": to_json, "markdown": to_markdown, "junit": to_junit, "github": to_github}
)
"""By name; `table` is drawn on the screen."""
