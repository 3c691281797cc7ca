"""Choose a rank for each layer, and make a smaller model of a model: the one given is left alone."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from torch import Tensor, nn

from lrbench.lowrank.layers import Layer
from lrbench.lowrank.ranks import Energy, Fraction, Rank
from lrbench.lowrank.schemes import SCHEMES, weight_of
from lrbench.lowrank.svd import Svd, decompose, numerical_rank, product_singular_values, truncate


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What happens to a layer: a rank, or None and the reason why it stays dense."""

    layer: Layer
    scheme: str
    rank: int | None
    reason: str | None


def decompose_layer(model: nn.Module, name: str, scheme: str) -> Svd:
    """The decomposition of a layer's weight, read as a matrix by the scheme."""
    return decompose(SCHEMES[scheme].matrix(weight_of(model.get_submodule(name))))


def choose_rank(
    model: nn.Module, layer: Layer, *, scheme: str, rule: Rank | Fraction | Energy, energies: tuple[float, ...]
) -> Cut:
    """The rank that a rule gives a layer, or why the layer stays dense.

    A layer stays dense when the scheme cannot read it, when the rank exceeds what its matrix has, and when the rank
    reaches either break-even rank: then the factors would cost as much as the layer, in params or in MACs.
    `energies` may be empty for a rule that needs no weights.
    """
    kind = SCHEMES[scheme]

    def dense(reason: str) -> Cut:
        return Cut(layer=layer, scheme=scheme, rank=None, reason=reason)

    refusal = kind.refuses(model.get_submodule(layer.name))
    if refusal is not None:
        return dense(refusal)
    largest = kind.max_rank(layer.shape)
    rank = rule.rank(largest, energies)
    for what, breakeven in (("params", kind.breakeven_params(layer.shape)), ("MACs", kind.breakeven_macs(layer.shape))):
        if breakeven is not None and rank >= breakeven:
            return dense(f"rank {rank} reaches the break-even rank {breakeven:.2f} in {what}")
    if rank > largest:
        return dense(f"rank {rank} exceeds the largest rank {largest}")
    return Cut(layer=layer, scheme=scheme, rank=rank, reason=None)


def restructure(model: nn.Module, layers: Iterable[tuple[str, str, int]]) -> nn.Module:
    """A copy of a model with the layers (name, scheme, rank) replaced, their weights not yet set.

    Shapes of weights are then those of the compressed model: load them, or measure cost and latency.
    """
    small = deepcopy(model)
    for name, scheme, rank in layers:
        small.set_submodule(name, SCHEMES[scheme].restructure(small.get_submodule(name), rank))
    return small


def compress(
    model: nn.Module,
    ranks: Mapping[str, int],
    *,
    scheme: str = "channel",
    decompose: Callable[[nn.Module, str, str], Svd] = decompose_layer,
) -> nn.Module:
    """A copy of a model with each named layer truncated to its rank by the truncated SVD of its weight.

    Args:
        model: left alone.
        ranks: layer name -> rank.
        scheme: a name in `SCHEMES`.
        decompose: (model, layer name, scheme) -> Svd; pass a cached one to cut one decomposition at many ranks.

    Raises: ValueError when a layer is refused by the scheme or a rank lies outside its range.
    """
    kind = SCHEMES[scheme]
    for name in ranks:
        refusal = kind.refuses(model.get_submodule(name))
        if refusal is not None:
            raise ValueError(f"layer {name} cannot be factorized by scheme {scheme}: {refusal}")
    factors = {name: truncate(decompose(model, name, scheme), rank) for name, rank in ranks.items()}
    small = restructure(model, [(name, scheme, rank) for name, rank in ranks.items()])
    for name, (second, first) in factors.items():
        kind.fill(small.get_submodule(name), second, first)
    return small


def singular_values(module: nn.Module, scheme: str) -> Tensor:
    """Singular values of the matrix that a replaced layer stands for, float64, largest first."""
    return product_singular_values(*SCHEMES[scheme].factors(module))


def layer_rank(module: nn.Module, scheme: str) -> int:
    """The numerical rank of the matrix that a replaced layer stands for, to the rounding of its dtype."""
    second, first = SCHEMES[scheme].factors(module)
    return numerical_rank(
        product_singular_values(second, first), shape=(second.shape[0], first.shape[1]), dtype=first.dtype
    )
