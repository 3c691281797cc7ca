"""What a check says of one figure of one name, and what follows from all of them: an outcome and its exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Word = Literal["ok", "better", "worse", "inconclusive", "missing", "new", "incomparable"]
Tier = Literal["exact", "toleranced", "accuracy", "timed"]

BLOCKING = frozenset[Word]({"worse", "missing", "incomparable"})
"""Words that make a check fail."""

STRICT = BLOCKING | frozenset[Word]({"inconclusive"})
"""Words that make it fail with `--strict`."""

PASSING = frozenset[Word]({"ok", "better"})
"""Words of which a check needs one to pass; the others say that nothing could be compared or decided."""

Outcome = Literal["passed", "failed", "nothing judged"]

EXIT_CODES: Mapping[Outcome, int] = MappingProxyType({"passed": 0, "failed": 1, "nothing judged": 3})
"""By outcome; 2 is for input that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Power:
    """How small a drop a comparison of accuracies could have found.

    Attributes:
        allowed: the drop that is allowed, 0..1.
        excess: how much larger a drop must be to be found in 9 of 10 runs.
        images: of the test split.
        seeds: of the side that has fewer.
        seed_sd: standard deviation of an accuracy from seed to seed, 0..1.
        seed_freedom: degrees of freedom with which the folders show that; 0 where it is assumed.
    """

    allowed: float
    excess: float
    images: int
    seeds: int
    seed_sd: float
    seed_freedom: int


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
        power: of accuracies, what could have been found.
    """

    name: str
    tier: Tier
    figure: str
    verdict: Word
    baseline: float | str | None = None
    current: float | str | None = None
    bound: float | None = None
    reason: str = ""
    power: Power | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """All verdicts, and the words that make a check fail."""

    verdicts: tuple[Verdict, ...]
    blocking: frozenset[Word] = BLOCKING

    @property
    def outcome(self) -> Outcome:
        """Failed when a verdict blocks, else passed when at least one is fine."""
        words = {verdict.verdict for verdict in self.verdicts}
        return "failed" if words & self.blocking else "passed" if words & PASSING else "nothing judged"
