"""The ranks at which single layers are probed and timed, and the methods that they are probed by."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from torch import nn

from lrbench.config.sections import LayerTableChoice, SensitivityChoice
from lrbench.lowrank.compress import refusal
from lrbench.lowrank.cuts import truncation_alone
from lrbench.lowrank.layers import Layer, Shape
from lrbench.lowrank.schemes import SCHEMES
from lrbench.plan.spec import SweepSpec


def ranks_to_time(shape: Shape, scheme: str, choice: LayerTableChoice) -> tuple[int, ...]:
    """Multiples of the step, up to the first at or above the break-even rank in MACs, evenly thinned to `points`.

    Break-even lies between the last two ranks, which are always kept.
    """
    factorization = SCHEMES[scheme]
    limit, largest = factorization.breakeven_macs(shape), factorization.max_rank(shape)
    if limit is None:
        return ()
    last = min(ceil(limit / choice.step) * choice.step, largest)
    ranks = [*range(choice.step, last, choice.step), last]
    if len(ranks) <= choice.points:
        return tuple(ranks)
    head = [ranks[round(i * (len(ranks) - 2) / (choice.points - 2))] for i in range(choice.points - 1)]
    return tuple(dict.fromkeys((*head, ranks[-1])))


def timed_pairs(spec: SweepSpec, layer: Layer, *, model: nn.Module) -> tuple[tuple[str, int], ...]:
    """The (scheme, rank) pairs at which a layer of a model is timed."""
    return tuple(
        (scheme, rank)
        for scheme in spec.sweep.schemes_used()
        if refusal(model, layer, scheme=scheme) is None
        for rank in ranks_to_time(layer.shape, scheme, spec.layer_table)
    )


def ranks_to_probe(shape: Shape, scheme: str, choice: SensitivityChoice) -> tuple[int, ...]:
    """Multiples of the step below the break-even rank in MACs, at most `points`, denser towards low ranks."""
    factorization = SCHEMES[scheme]
    limit = factorization.breakeven_macs(shape)
    if limit is None:
        return ()
    ranks = [rank for rank in range(1, factorization.max_rank(shape) + 1) if rank % choice.step == 0 and rank < limit]
    return thinned(ranks, choice.points)


def thinned(ranks: Sequence[int], points: int) -> tuple[int, ...]:
    """At most `points` of some increasing ranks, spread evenly over their logarithms, both ends included."""
    if len(ranks) <= points:
        return tuple(ranks)
    if points < 2:
        return tuple(ranks[:points])
    wanted = np.geomspace(ranks[0], ranks[-1], points)
    places: list[int] = []
    for number, ideal in enumerate(wanted):  # the nearest rank that is left and leaves enough for the rest
        first, last = (places[-1] + 1 if places else 0), len(ranks) - (points - number)
        places.append(min(range(first, last + 1), key=lambda i: abs(ranks[i] - ideal)))
    return tuple(ranks[i] for i in places)


def probed_methods(spec: SweepSpec) -> tuple[tuple[str, str], ...]:
    """The methods by which layers are probed; a layer alone is truncated the same in `sequential` as in `output`."""
    methods = (method for pair in spec.grid_methods() for method in spec.methods(*pair))
    return tuple(dict.fromkeys((scheme, truncation_alone(kept)) for scheme, kept in methods))
