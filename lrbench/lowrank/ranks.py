"""Rank rules: how a layer's rank is chosen. To add one, write a record and add one entry to `RULES`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Literal, Protocol

from lrbench.lowrank.evbmf import evbmf_rank


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a rule may look at in a layer, as one scheme reads it.

    `params_share` and `macs_share` give a rank's cost over the dense layer's. `energies[r - 1]` is the energy share
    that rank r keeps; it and `singular_values` are empty for rules that need no weights. `matrix` is (M, N), None when
    the scheme reads no matrix.
    """

    max_rank: int
    params_share: Callable[[int], float]
    macs_share: Callable[[int], float]
    energies: tuple[float, ...] = ()
    singular_values: tuple[float, ...] = ()
    matrix: tuple[int, int] | None = None


class Rule(Protocol):
    """A way to a rank. `needs_weights` says whether it depends on the trained weights."""

    @property
    def needs_weights(self) -> bool:
        """False when the shape alone decides."""
        ...

    def rank(self, candidate: Candidate) -> int:
        """The rank, at least 1. Raises: ValueError when the rule cannot read such a layer."""
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

    def rank(self, candidate: Candidate) -> int:
        """The rank itself, whatever the layer."""
        return self.value


@dataclass(frozen=True)
class _Share:
    """A rule with a share in (0, 1]."""

    value: float
    needs_weights = False

    def __post_init__(self) -> None:
        """Raises: ValueError when the share lies outside (0, 1]."""
        if not 0 < self.value <= 1:
            raise ValueError(f"{type(self).__name__.lower()} must lie in (0, 1], got {self.value}")


class Fraction(_Share):
    """`fraction=0.25`: a share of each layer's full rank (the smaller side of its matrix), rounded up."""

    def rank(self, candidate: Candidate) -> int:
        """At least 1; the tolerance keeps 0.3 * 10 from rounding up to 4."""
        return max(1, ceil(self.value * candidate.max_rank - 1e-9))


class Energy(_Share):
    """`energy=0.9`: the least rank that keeps this share of the squared singular values (or of output variance)."""

    needs_weights = True

    def rank(self, candidate: Candidate) -> int:
        """The first rank whose energy reaches the share, to float64 rounding."""
        reached = (i + 1 for i, kept in enumerate(candidate.energies) if kept >= self.value - 1e-12)
        return next(reached, candidate.max_rank)


class Params(_Share):
    """`params=0.5`: the largest rank whose factors have at most this share of each layer's parameters."""

    def rank(self, candidate: Candidate) -> int:
        """1 when even that costs more."""
        return _largest(candidate.max_rank, lambda rank: candidate.params_share(rank) <= self.value)


class Macs(_Share):
    """`macs=0.5`: the largest rank whose factors take at most this share of each layer's MACs."""

    def rank(self, candidate: Candidate) -> int:
        """1 when even that costs more."""
        return _largest(candidate.max_rank, lambda rank: candidate.macs_share(rank) <= self.value)


@dataclass(frozen=True)
class Evbmf:
    """`evbmf`: the rank that stands above noise (Nakajima et al. 2013, see `lrbench.lowrank.evbmf`)."""

    needs_weights = True

    def rank(self, candidate: Candidate) -> int:
        """At least 1, also where all is noise."""
        if candidate.matrix is None:
            raise ValueError("evbmf needs a matrix, and this scheme has none")
        return max(1, evbmf_rank(candidate.singular_values, candidate.matrix))


def _largest(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest rank of 1..limit that fits, by bisection (cost rises with rank); 1 when none does."""
    low, high = 1, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


Limit = Literal["breakeven", "full"]


@dataclass(frozen=True, kw_only=True)
class RankRule:
    """A rule with what may follow it: `macs=0.5 multiple=16 max=full`.

    Attributes:
        base: gives the rank.
        multiple: rounds it up to the next multiple (kernels come in steps), at most to the largest rank.
        limit: `breakeven`: a layer stays dense when its rank saves nothing; `full`: it is factorized all the same.
    """

    base: Rule
    multiple: int = 1
    limit: Limit = "breakeven"

    @property
    def needs_weights(self) -> bool:
        """Whether the rank depends on the trained weights."""
        return self.base.needs_weights

    def rank(self, candidate: Candidate) -> int:
        """The rank of a layer, rounded up; see `Rule.rank`."""
        rank = self.base.rank(candidate)
        if self.multiple == 1:
            return rank
        return max(rank, min(-(-rank // self.multiple) * self.multiple, candidate.max_rank))


RULES: Mapping[str, tuple[type[Rule], type[int | float] | None]] = MappingProxyType(
    {
        "rank": (Rank, int),
        "fraction": (Fraction, float),
        "energy": (Energy, float),
        "params": (Params, float),
        "macs": (Macs, float),
        "evbmf": (Evbmf, None),
    }
)
"""By name, the rule and the type of its value (None: it takes none)."""
