"""Sections of a spec that say which trials there are: the grid, and the sets of layers."""

from functools import partial
from operator import eq
from typing import Annotated

from pydantic import Field

from lrbench.config import names
from lrbench.config.choice import Choice
from lrbench.config.ranges import Seed, Times
from lrbench.config.words import OneOf, Written

Scheme = Annotated[str, OneOf("scheme", lambda: names.SCHEMES, joint=names.JOINT)]
Truncation = Annotated[str, OneOf("truncation", lambda: names.TRUNCATIONS)]
Rule = Annotated[str, Written(names.rules_in_a_row)]


class GridChoice(Choice):
    """`[[sweep.grid]]`: a grid of its own; what it does not say is as in `[sweep]`."""

    schemes: tuple[Scheme, ...] = Field((), description="how layers are factorized")
    layer_sets: tuple[str, ...] = Field((), description="names of `[layer_sets.NAME]`")
    truncations: tuple[Truncation, ...] = Field((), description="what a cut keeps")
    ranks: tuple[Rule, ...] = Field((), description="rank rules")


class SweepChoice(Choice):
    """`[sweep]`: the grid. Every combination is a trial; each seed also gets a dense control."""

    schemes: tuple[Scheme, ...] = Field(
        ("channel", "spatial"),
        min_length=1,
        description="how layers are factorized; of names joined as `channel+linear` each layer gets the first possible",
    )
    layer_sets: tuple[str, ...] = Field(
        (),
        description="names of `[layer_sets.NAME]`; empty: all of them, or without such a table `all`: every "
        "convolution",
    )
    truncations: tuple[Truncation, ...] = Field(("plain",), min_length=1, description="what a cut keeps")
    ranks: tuple[Rule, ...] = Field(("fraction=0.25",), min_length=1, description="rank rules")
    grid: tuple[GridChoice, ...] = Field(
        (),
        exclude_if=partial(eq, ()),
        description="tables `[[sweep.grid]]` with `schemes`, `truncations`, `layer_sets` and `ranks`, each as here "
        "where it is left out; their grids together replace the one of all combinations",
    )
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="one replicate for each")
    front_seeds: Times = Field(
        0,
        ge=0,
        le=1000,
        exclude_if=partial(eq, 0),
        description="number of seeds that each point on or near the front gets in the end, the dense control always: "
        "those of `seeds`, then the numbers after the largest of them; 0: those of `seeds` only",
    )


class LayerSetChoice(Choice):
    """`[layer_sets.NAME]`: a named selection of layers by their qualified names."""

    include: tuple[str, ...] = Field(
        ("*",), min_length=1, description="glob patterns, at least one of which must match"
    )
    exclude: tuple[str, ...] = Field((), description="glob patterns, none of which may match")
    kinds: tuple[Annotated[str, OneOf("kind of layer", lambda: names.KINDS)], ...] = Field(
        ("conv",), min_length=1, description="kinds of layers"
    )
