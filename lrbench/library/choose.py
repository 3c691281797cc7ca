"""Which rank, in which layers of a model at hand: `lrbench.choose`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

import pandas as pd
from torch import nn

from lrbench.lowrank.allocations import BudgetRule
from lrbench.lowrank.attention import open_attention
from lrbench.lowrank.compress import choose_rank, decompose_layer, first_schemes, refusal
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.examples import Example, call_of
from lrbench.lowrank.layers import Layer, find_layers, select
from lrbench.lowrank.ranks import RankRule
from lrbench.lowrank.rule_texts import parse_rule
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.self_check import find_unsound, mark_unsound
from lrbench.plan.trials import layer_cost

HEADINGS = {
    "layer": "layer",
    "method": "method",
    "rank": "rank",
    "breakeven_rank": "break-even",
    "params": "params",
    "dense_params": "dense params",
    "macs": "MACs",
    "dense_macs": "dense MACs",
    "reason": "why dense",
}
"""Columns of a table of cuts, with their headings when it is shown."""


@dataclass(frozen=True, repr=False)
class Cuts(Sequence[Cut]):
    """Cuts of a model's layers, in their order: a sequence of `Cut` that prints as a table.

    Attributes:
        cuts: one a layer.
        table: a row a layer: rank and break-even rank (in params or MACs, the lower one), params with bias and MACs of
            one input, before and after, and why a layer stays dense.
    """

    cuts: tuple[Cut, ...]
    table: pd.DataFrame = field(compare=False)

    def __len__(self) -> int:
        """How many layers."""
        return len(self.cuts)

    @overload
    def __getitem__(self, place: int) -> Cut: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Cut]: ...
    def __getitem__(self, place: int | slice) -> Cut | Sequence[Cut]:
        """A cut, or some of them."""
        return self.cuts[place]

    def __repr__(self) -> str:
        """The table as text."""
        return self._shown().to_string(index=False)

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        return self._shown().to_html(index=False)

    def _shown(self) -> pd.DataFrame:
        """The table as texts, with a sum below it."""
        costs = ["params", "dense_params", "macs", "dense_macs"]
        total = pd.DataFrame([{"layer": "sum", **{name: self.table[name].sum() for name in costs}}])
        shown = pd.concat([self.table.astype(object), total.astype(object)])
        formats = {"rank": "{:.0f}", "breakeven_rank": "{:.1f}", **dict.fromkeys(costs, "{:,.0f}")}
        for name in HEADINGS:
            form = formats.get(name, "{}")
            shown[name] = ["" if pd.isna(cell) else form.format(cell) for cell in shown[name]]
        return shown.rename(columns=HEADINGS)


def choose(
    model: nn.Module,
    example: Example,
    *,
    rule: str,
    schemes: Sequence[str] = ("channel", "linear", "grouped"),
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
) -> Cuts:
    """Choose a rank for each layer of a model by a rank rule; nothing is changed or trained.

    Layers that cannot be replaced without changing what the model computes stay dense, with that reason.

    Args:
        model: left alone; rules such as `energy=0.9` look at its weights.
        example: the shape of one image, (C, H, W); or what the model is called with for one image: a tensor, a sequence
            of inputs, or a mapping of them by keyword.
        rule: `rank=8`, `macs=0.5`, `energy=0.9 multiple=16`, ... A budget of the whole model is for
            `lrbench.sweep`, which measures the layers first.
        schemes: each layer gets the first of them that is possible for it.
        include: glob patterns over names of layers, any of which must match.
        exclude: glob patterns, none of which may match.

    Raises: ValueError for an unknown scheme or rule, a budget, or patterns that match no layer.
    """
    for scheme in schemes:
        if scheme not in SCHEMES:
            raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    parsed = parse_rule(rule)
    if isinstance(parsed, BudgetRule):
        raise ValueError(
            f"{rule!r} is a budget of the whole model, for lrbench.sweep; choose takes a rule for each layer"
        )
    model = open_attention(model, call_of(example))
    layers = find_layers(model, example)
    chosen = select(layers, include=include, exclude=exclude, kinds=("conv", "linear"))
    if not chosen:
        raise ValueError(
            f"no layer matches include={list(include)}; layers: {', '.join(layer.name for layer in layers)}"
        )
    unsound = find_unsound(model, first_schemes(model, chosen, schemes), call_of(example))
    chosen = mark_unsound(chosen, unsound)
    cuts = tuple(_cut(model, layer, schemes, parsed) for layer in chosen)
    return Cuts(cuts, pd.DataFrame(_rows(chosen, cuts), columns=list(HEADINGS)))


def _cut(model: nn.Module, layer: Layer, schemes: Sequence[str], rule: RankRule) -> Cut:
    reasons = {scheme: refusal(model, layer, scheme=scheme) for scheme in schemes}
    able = [scheme for scheme, reason in reasons.items() if reason is None]
    if not able:
        return Cut(layer=layer.name, scheme="dense", reason="; ".join(dict.fromkeys(map(str, reasons.values()))))
    decomposition = decompose_layer(model, layer.name, able[0]) if rule.needs_weights else None
    return choose_rank(layer, scheme=able[0], rule=rule, decomposition=decomposition)


def _rows(layers: Sequence[Layer], cuts: Sequence[Cut]) -> Iterator[tuple[object, ...]]:
    for layer, cut in zip(layers, cuts, strict=True):
        scheme, shape = SCHEMES.get(cut.scheme), layer.shape
        limits = [scheme.breakeven_params(shape), scheme.breakeven_macs(shape)] if scheme else []
        params, macs = layer_cost(layer, cut)
        yield (
            cut.layer,
            "dense" if cut.rank is None else cut.method,
            cut.rank,
            min((limit for limit in limits if limit is not None), default=None),
            params,
            shape.weights + shape.biases,
            macs,
            shape.macs,
            cut.reason or "",
        )
