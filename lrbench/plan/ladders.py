"""The ranks at which single layers are probed and timed, and the methods that they are probed by."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from torch import nn

from lrbench.config.names import MIXED
from lrbench.config.sections import LayerTableChoice, SensitivityChoice
from lrbench.lowrank.compress import refusal
from lrbench.lowrank.layers import Layer, Shape
from lrbench.lowrank.schemes import SCHEMES
from lrbench.plan.spec import SweepSpec


def staircase(shape: Shape, scheme: str, choice: LayerTableChoice) -> tuple[int, ...]:
    """Multiples of the step up to the first at or above the break-even rank in MACs, thinned evenly to so many points.

    The last two, between which break-even in MACs lies, are always kept.
    """
    kind = SCHEMES[scheme]
    limit, largest = kind.breakeven_macs(shape), kind.max_rank(shape)
    if limit is None:
        return ()
    last = min(ceil(limit / choice.step) * choice.step, largest)
    ranks = [*range(choice.step, last, choice.step), last]
    if len(ranks) <= choice.points:
        return tuple(ranks)
    head = [ranks[round(i * (len(ranks) - 2) / (choice.points - 2))] for i in range(choice.points - 1)]
    return tuple(dict.fromkeys((*head, ranks[-1])))


def timed_at(spec: SweepSpec, layer: Layer, *, model: nn.Module) -> tuple[tuple[str, int], ...]:
    """The (scheme, rank) pairs to time a layer of a model at."""
    return tuple(
        (scheme, rank)
        for scheme in spec.sweep.schemes
        if scheme != MIXED and refusal(model, layer, scheme=scheme) is None
        for rank in staircase(layer.shape, scheme, spec.layer_table)
    )


def ladder(shape: Shape, scheme: str, choice: SensitivityChoice) -> tuple[int, ...]:
    """Multiples of the step below the break-even rank in MACs, as many as wanted, denser towards low ranks."""
    kind = SCHEMES[scheme]
    limit = kind.breakeven_macs(shape)
    if limit is None:
        return ()
    ranks = [rank for rank in range(1, kind.max_rank(shape) + 1) if rank % choice.step == 0 and rank < limit]
    return thinned(ranks, choice.points)


def thinned(ranks: Sequence[int], points: int) -> tuple[int, ...]:
    """At most so many of some rising ranks, spread evenly over their logarithms, both ends among them."""
    if len(ranks) <= points:
        return tuple(ranks)
    if points < 2:
        return tuple(ranks[:points])
    wanted = np.geomspace(ranks[0], ranks[-1], points)
    places: list[int] = []
    for number, ideal in enumerate(wanted):  # each the nearest that is left, and that leaves enough for those to come
        first, last = (places[-1] + 1 if places else 0), len(ranks) - (points - number)
        places.append(min(range(first, last + 1), key=lambda i: abs(ranks[i] - ideal)))
    return tuple(ranks[i] for i in places)


def probed_methods(spec: SweepSpec) -> tuple[tuple[str, str], ...]:
    """The methods whose layers are probed; in sequential truncation a layer alone is cut as in output truncation."""
    methods = (method for pair in spec.grid_methods() for method in spec.methods(*pair))
    return tuple(dict.fromkeys((scheme, "output" if kept == "sequential" else kept) for scheme, kept in methods))
