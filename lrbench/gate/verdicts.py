"""What a check says of one figure of one name, and the exit code that follows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Word = Literal["ok", "better", "worse", "inconclusive", "missing", "new", "incomparable"]
Tier = Literal["exact", "toleranced", "accuracy", "timed"]

BLOCKING = frozenset({"worse", "missing", "incomparable"})
"""Words that make a check fail. `inconclusive` is printed, and blocks only with `--strict`."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One judged figure.

    Attributes:
        name: of the trial, architecture or workload.
        tier: how strictly it is judged.
        figure: the column or quantity, `macs`.
        verdict: the word.
        baseline: its value before, None when there is none.
        current: its value now, None when there is none.
        bound: the value above which it would be worse, None when any change is.
        reason: in words, with numbers.
    """

    name: str
    tier: Tier
    figure: str
    verdict: Word
    baseline: float | str | None = None
    current: float | str | None = None
    bound: float | None = None
    reason: str = ""


def exit_code(verdicts: Iterable[Verdict], *, strict: bool) -> int:
    """0 when nothing blocks, else 1; `strict` lets `inconclusive` block too."""
    blocking = BLOCKING | ({"inconclusive"} if strict else set())
    return int(any(verdict.verdict in blocking for verdict in verdicts))
