"""The grid of a sweep: which schemes, truncations, layer sets and rank rules go together."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from pydantic import field_validator, model_validator

from lrbench.config.grid import GridChoice, SweepChoice
from lrbench.config.names import JOINT, MIXED, parts_of
from lrbench.config.ranges import MOST_SEED
from lrbench.lowrank.allocations import parse_budget
from lrbench.lowrank.rule_texts import format_rule, parse_rule
from lrbench.lowrank.schemes import SCHEMES

Point = tuple[str, str, str, str]
"""Scheme, truncation, layer set, rank rule."""


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _schemes(names: Sequence[str]) -> tuple[str, ...]:
    """Raises: ValueError when `mixed`, or a scheme that saves nothing, is joined with others."""
    for name in names:
        alone = [part for part in parts_of(name) if part == MIXED or not SCHEMES[part].reshapes]
        if JOINT in name and alone:
            raise ValueError(f"{name}: {alone[0]} cannot be joined with other schemes")
    return _unique(names)


def _rules(texts: Sequence[str]) -> tuple[str, ...]:
    return _unique([format_rule(parse_rule(text)) for text in texts])


def _tables(tables: tuple[GridChoice, ...]) -> tuple[GridChoice, ...]:
    return tuple(
        table.model_copy(update={"schemes": _schemes(table.schemes), "ranks": _rules(table.ranks)}) for table in tables
    )


class Grid(SweepChoice):
    """`[sweep]` with checked rank rules in their canonical spelling, and without duplicates."""

    _check_schemes = field_validator("schemes")(_schemes)
    _check_ranks = field_validator("ranks")(_rules)
    _check_tables = field_validator("grid")(_tables)

    @model_validator(mode="after")
    def _schemes_to_mix(self) -> "Grid":
        for table in self.tables():
            if MIXED in table.schemes and not _mixable(table.schemes):
                raise ValueError(f"schemes: {MIXED} needs other schemes to choose among")
        return self

    @model_validator(mode="after")
    def _seeds_to_follow(self) -> "Grid":
        if (last := max(self.later_seeds(), default=0)) > MOST_SEED:
            raise ValueError(f"front_seeds: seeds must be at most {MOST_SEED}, got {last} after those of seeds")
        return self

    def later_seeds(self) -> tuple[int, ...]:
        """The seeds that make `front_seeds` of `seeds`: the numbers after the largest of them."""
        seeds = set(self.seeds)
        first = max(seeds) + 1
        return tuple(range(first, first + self.front_seeds - len(seeds)))

    def tables(self) -> tuple[GridChoice, ...]:
        """The tables `[[sweep.grid]]` with what they leave to `[sweep]`; without any, `[sweep]` itself as one."""
        keys = GridChoice.model_fields
        whole: dict[str, Any] = {key: getattr(self, key) for key in keys}
        return tuple(GridChoice(**{key: getattr(table, key) or whole[key] for key in keys}) for table in self.grid) or (
            GridChoice(**whole),
        )

    def schemes_used(self) -> tuple[str, ...]:
        """Every scheme that a layer may get."""
        names = [part for table in self.tables() for scheme in table.schemes for part in parts_of(scheme)]
        return tuple(name for name in _unique(names) if name != MIXED)

    def methods(self, scheme: str, truncation: str) -> tuple[tuple[str, str], ...]:
        """The methods that a layer may have in a trial: those of its scheme, or with `mixed` all that save something.

        Where there are several a rank rule gives each layer the first that is possible, and a budget rule any.
        """
        if scheme == MIXED:
            tables = [table for table in self.tables() if MIXED in table.schemes and truncation in table.truncations]
            names = _unique([name for table in tables for name in _mixable(table.schemes)])
        else:
            names = parts_of(scheme)
        return tuple((name, truncation if SCHEMES[name].is_data_aware else "plain") for name in names)

    def has_truncation(self, scheme: str, truncation: str) -> bool:
        """Whether a scheme, one of those joined, or one of those mixed has a truncation."""
        return truncation == "plain" or scheme == MIXED or any(SCHEMES[part].is_data_aware for part in parts_of(scheme))

    def points(self, layer_sets: Sequence[str]) -> Iterator[Point]:
        """Scheme, truncation, layer set and rank rule of each point; `layer_sets` stand for none named."""
        for table in self.tables():
            methods = [
                (scheme, truncation)
                for scheme in table.schemes
                for truncation in _unique(table.truncations)
                if self.has_truncation(scheme, truncation)
            ]
            for (scheme, truncation), layer_set, rule in product(
                methods, _unique(table.layer_sets) or layer_sets, table.ranks
            ):
                if scheme != MIXED or parse_budget(rule):
                    yield scheme, truncation, layer_set, rule

    def left_out(self) -> Iterator[str]:
        """The combinations that the grid leaves out, in words."""
        for table in self.tables():
            for scheme in table.schemes:
                for truncation in _unique(table.truncations):
                    if not self.has_truncation(scheme, truncation):
                        yield f"scheme {scheme} does not support {truncation} truncation: left out"
            if MIXED in table.schemes:
                rules = [rule for rule in table.ranks if not parse_budget(rule)]
                yield from (f"rule {rule} chooses no schemes: left out for {MIXED}" for rule in rules)


def _mixable(schemes: Sequence[str]) -> tuple[str, ...]:
    """The single schemes that `mixed` chooses among."""
    names = _unique([part for scheme in schemes for part in parts_of(scheme) if part != MIXED])
    return tuple(name for name in names if SCHEMES[name].reshapes)
