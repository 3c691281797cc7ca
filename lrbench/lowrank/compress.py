"""Choose a rank for each layer, and make a smaller model of a model: the one given is left alone."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor, nn

from lrbench.lowrank.attention import open_for
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.examples import Example, call_of
from lrbench.lowrank.factors import kernel_of, weight_of
from lrbench.lowrank.fitted import decompose_fitted
from lrbench.lowrank.layers import Layer, refusals, weight_shape
from lrbench.lowrank.moments import InputMoments, Moments
from lrbench.lowrank.ranks import Candidate, RankRule
from lrbench.lowrank.replace import core_of, last_layer, put_, replace_layer_, restructure_layer, shift_bias_
from lrbench.lowrank.schemes import SCHEMES, Scheme
from lrbench.lowrank.self_check import find_unsound
from lrbench.lowrank.svd import Decomposition, decompose_outputs, numerical_rank, product_singular_values


def decompose_layer(model: nn.Module, name: str, scheme: str) -> Decomposition:
    """The plain decomposition of a layer's weight by a scheme."""
    return SCHEMES[scheme].decompose(kernel_of(core_of(model.get_submodule(name))))


def decompose_layer_outputs(model: nn.Module, name: str, *, moments: Moments) -> Decomposition:
    """The decomposition of a layer's weight that keeps most of its outputs, for schemes that read outputs."""
    weight = weight_of(model.get_submodule(name)).flatten(1)
    return decompose_outputs(
        weight, covariance=moments.covariance.to(weight.device), mean=moments.mean.to(weight.device)
    )


def decompose_layer_fitted(model: nn.Module, name: str, scheme: str, *, inputs: InputMoments) -> Decomposition:
    """The same for schemes that are fitted, by the moments of the layer's inputs."""
    return decompose_fitted(kernel_of(core_of(model.get_submodule(name))), SCHEMES[scheme], inputs=inputs)


def refusal(model: nn.Module, layer: Layer, *, scheme: str, truncation: str = "plain") -> str | None:
    """Why a layer cannot be factorized by a scheme, None when it can."""
    if layer.refusal is not None:
        return layer.refusal
    if truncation != "plain" and not SCHEMES[scheme].is_data_aware:
        return f"scheme {scheme} has no {truncation} truncation"
    return SCHEMES[scheme].refuses(core_of(model.get_submodule(layer.name)))


def first_schemes(model: nn.Module, layers: Iterable[Layer], schemes: Sequence[str]) -> dict[str, str]:
    """By name, the first scheme that is possible for each layer; layers that have none are left out."""
    possible = {
        layer.name: [scheme for scheme in schemes if refusal(model, layer, scheme=scheme) is None] for layer in layers
    }
    return {name: able[0] for name, able in possible.items() if able}


def candidate(layer: Layer, scheme: Scheme, decomposition: Decomposition | None) -> Candidate:
    """What a rank rule may look at in a layer; without a decomposition, its shape alone."""
    shape = layer.shape
    return Candidate(
        max_rank=scheme.max_rank(shape),
        params_share=lambda rank: scheme.weights(shape, rank) / shape.weights,
        macs_share=lambda rank: scheme.macs(shape, rank) / shape.macs,
        energies=() if decomposition is None else decomposition.energies(),
        singular_values=() if decomposition is None else tuple(decomposition.singular_values.tolist()),
        matrix=scheme.matrix(shape),
    )


def choose_rank(
    layer: Layer,
    *,
    scheme: str,
    rule: RankRule,
    decomposition: Decomposition | None = None,
    truncation: str = "plain",
) -> Cut:
    """The rank that a rule gives a layer, or why the layer stays dense; ask `refusal` first.

    A layer stays dense when the rank exceeds what its matrix has, and (unless the rule says `max=full`) when the rank
    reaches either break-even rank: then the factors would cost as much as the layer, in params or in MACs.
    `decomposition` may be None for a rule that needs no weights.
    """
    entry = SCHEMES[scheme]

    def dense(reason: str) -> Cut:
        return Cut(layer=layer.name, scheme=scheme, reason=reason)

    try:
        rank = rule.rank(candidate(layer, entry, decomposition))
    except ValueError as error:
        return dense(str(error))
    largest = entry.max_rank(layer.shape)
    limits = (("params", entry.breakeven_params(layer.shape)), ("MACs", entry.breakeven_macs(layer.shape)))
    for what, breakeven in limits if rule.limit == "breakeven" else ():
        if breakeven is not None and rank >= breakeven:
            return dense(f"rank {rank} reaches the break-even rank {breakeven:.2f} in {what}")
    if rank > largest:
        return dense(f"rank {rank} exceeds the largest rank {largest}")
    return make_cut(layer, rank, scheme=scheme, truncation=truncation)


def make_cut(layer: Layer, rank: int, *, scheme: str, truncation: str) -> Cut:
    """A layer factorized at a rank; all but plain truncation moves what it drops into a bias."""
    gains_bias = truncation != "plain" and not layer.shape.bias
    return Cut(layer=layer.name, scheme=scheme, truncation=truncation, rank=rank, gains_bias=gains_bias)


def restructure(model: nn.Module, cuts: Iterable[Cut]) -> nn.Module:
    """A copy of a model with the layers of cuts replaced, their weights not yet set.

    Shapes of weights are then those of the compressed model: load them, or measure cost and latency.
    """
    small = copy_of(model)
    for cut in cuts:
        if cut.rank is None:
            continue
        replacement = restructure_layer(small.get_submodule(cut.layer), cut.rank, SCHEMES[cut.scheme])
        if cut.gains_bias:
            shift_bias_(replacement, weight_of(last_layer(replacement)).new_zeros(1))
        put_(small, cut.layer, replacement)
    return small


def check_cuts(model: nn.Module, cuts: Iterable[Cut]) -> None:
    """Check that cuts fit a model before its layers are made.

    Raises: ValueError for an unknown scheme or layer, a layer that the scheme refuses, or a rank out of its range.
    """
    for cut in factorized(model, cuts):
        largest = SCHEMES[cut.scheme].max_rank(weight_shape(core_of(model.get_submodule(cut.layer))))
        if cut.rank is None or not 1 <= cut.rank <= largest:
            raise ValueError(f"layer {cut.layer}: rank must lie in 1..{largest}, got {cut.rank}")


def compress(
    model: nn.Module,
    cuts: Iterable[Cut] | Mapping[str, int],
    *,
    scheme: str = "channel",
    decompose: Callable[[Cut], Decomposition] | None = None,
    example: Example | None = None,
) -> nn.Module:
    """A copy of a model with each layer cut as its cut says. An explicit rank is always obeyed.

    Args:
        model: left alone.
        cuts: of layers, those without a rank stay dense; or layer name -> rank, all by one scheme.
        scheme: a name in `SCHEMES`, for cuts given as ranks alone.
        decompose: cut -> decomposition; when left out plain SVD, the only truncation that needs no images. Pass a
            cached one to cut it at many ranks.
        example: the shape of an image (C, H, W), or inputs of the model. With it layers are checked: those that cannot
            be replaced without changing what the model computes stay dense.

    Raises: ValueError when there is no such layer or scheme, a layer is refused by the scheme, or a rank lies outside
        its range.

    Warns: UserWarning when a replacement has at least as many weights as the layer it replaces, and for each layer that
        the check leaves dense.
    """
    if isinstance(cuts, Mapping):
        cuts = [Cut(layer=layer, scheme=scheme, rank=rank) for layer, rank in cuts.items()]
    cuts = tuple(cuts)
    model = open_for(model, [cut.layer for cut in cuts if cut.rank is not None])
    todo = factorized(model, cuts)
    unsound = _unsound(model, todo, example) if example is not None else {}
    small = copy_of(model)
    for cut in todo:
        if cut.layer not in unsound:
            replace_layer_(small, cut, (decompose or _plain(model))(cut))
    return small


def _unsound(model: nn.Module, cuts: Iterable[Cut], example: Example) -> Mapping[str, str]:
    """The layers of cuts that fail the check with an example, each told."""
    unsound = find_unsound(model, {cut.layer: cut.scheme for cut in cuts}, call_of(example))
    for layer, reason in unsound.items():
        warnings.warn(f"layer {layer} stays dense: {reason}", stacklevel=3)
    return unsound


def factorized(model: nn.Module, cuts: Iterable[Cut]) -> tuple[Cut, ...]:
    """The cuts that have a rank, the last of each layer.

    Raises: ValueError for an unknown scheme or layer, or a layer that the scheme refuses.
    """
    chosen = tuple({cut.layer: cut for cut in cuts if cut.rank is not None}.values())
    _check_named(model, chosen)
    return chosen


def _plain(model: nn.Module) -> Callable[[Cut], Decomposition]:
    """The plain decompositions of a model's layers."""

    def decompose(cut: Cut) -> Decomposition:
        if cut.truncation != "plain":
            raise ValueError(f"layer {cut.layer}: {cut.truncation} truncation needs images: pass its decomposition")
        return decompose_layer(model, cut.layer, cut.scheme)

    return decompose


def _check_named(model: nn.Module, cuts: Iterable[Cut]) -> None:
    """Raises: ValueError for an unknown scheme or layer, or a layer that the scheme refuses."""
    modules, refused = dict(model.named_modules(remove_duplicate=False)), refusals(model)
    for cut in cuts:
        if cut.scheme not in SCHEMES:
            raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {cut.scheme!r}")
        if cut.layer not in modules:
            raise ValueError(f"the model has no layer {cut.layer!r}")
        reason = refused.get(cut.layer) or SCHEMES[cut.scheme].refuses(core_of(modules[cut.layer]))
        if reason is not None:
            raise ValueError(f"layer {cut.layer} cannot be factorized by scheme {cut.scheme}: {reason}")


def singular_values(module: nn.Module, scheme: str) -> Tensor:
    """Singular values of the matrix that a replaced layer represents, float64, largest first."""
    return product_singular_values(*SCHEMES[scheme].factors(module))


def layer_rank(module: nn.Module, scheme: str) -> int:
    """The numerical rank of the matrix that a replaced layer represents, to the rounding of its dtype."""
    second, first = SCHEMES[scheme].factors(module)
    return numerical_rank(
        product_singular_values(second, first), shape=(second.shape[-2], first.shape[-1]), dtype=first.dtype
    )
