"""Rank rules: how a layer's rank is chosen. To add one, write a record and add one entry to `RULES`."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Protocol


class Rule(Protocol):
    """A rank rule. `needs_weights` says whether the rank depends on the trained weights."""

    @property
    def needs_weights(self) -> bool:
        """False when the shape alone decides."""
        ...

    def rank(self, max_rank: int, energies: tuple[float, ...]) -> int:
        """The rank of a layer of this largest rank; `energies[r - 1]` is the energy share that rank r keeps."""
        ...


@dataclass(frozen=True)
class Rank:
    """`rank=8`: the same rank for every layer."""

    value: int
    needs_weights = False

    def __post_init__(self) -> None:
        """Raises: ValueError when the rank is below 1."""
        if self.value < 1:
            raise ValueError(f"rank must be at least 1, got {self.value}")

    def rank(self, max_rank: int, energies: tuple[float, ...]) -> int:
        """The rank itself, whatever the layer."""
        return self.value


@dataclass(frozen=True)
class Fraction:
    """`fraction=0.25`: a share of each layer's largest useful rank, rounded up."""

    share: float
    needs_weights = False

    def __post_init__(self) -> None:
        """Raises: ValueError when the share lies outside (0, 1]."""
        _check_share("fraction", self.share)

    def rank(self, max_rank: int, energies: tuple[float, ...]) -> int:
        """At least 1; the tolerance keeps 0.3 * 10 from rounding up to 4."""
        return max(1, ceil(self.share * max_rank - 1e-9))


@dataclass(frozen=True)
class Energy:
    """`energy=0.9`: the least rank that keeps this share of the squared singular values."""

    share: float
    needs_weights = True

    def __post_init__(self) -> None:
        """Raises: ValueError when the share lies outside (0, 1]."""
        _check_share("energy", self.share)

    def rank(self, max_rank: int, energies: tuple[float, ...]) -> int:
        """The first rank whose energy reaches the share, to float64 rounding."""
        return next((i + 1 for i, kept in enumerate(energies) if kept >= self.share - 1e-12), max_rank)


def _check_share(name: str, share: float) -> None:
    if not 0 < share <= 1:
        raise ValueError(f"{name} must lie in (0, 1], got {share}")


RULES: Mapping[str, tuple[type[Rank | Fraction | Energy], type[int | float]]] = MappingProxyType(
    {"rank": (Rank, int), "fraction": (Fraction, float), "energy": (Energy, float)}
)


def parse_rule(text: str) -> Rank | Fraction | Energy:
    """Read `rank=8`, `fraction=0.25` or `energy=0.9`.

    Raises: ValueError naming what is wrong and what is allowed.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if name not in RULES or not equals:
        raise ValueError(f"{text!r} is no rank rule; allowed: {', '.join(f'{rule}=VALUE' for rule in RULES)}")
    rule, number = RULES[name]
    try:
        parsed = number(value)
    except ValueError:
        kind = "a whole number" if number is int else "a number"
        raise ValueError(f"{name} must be {kind}, got {value!r}") from None
    return rule(parsed)  # type: ignore[arg-type]


def format_rule(rule: Rank | Fraction | Energy) -> str:
    """The text that `parse_rule` reads back as the rule."""
    name = next(name for name, (kind, _) in RULES.items() if isinstance(rule, kind))
    return f"{name}={rule.value if isinstance(rule, Rank) else rule.share}"
