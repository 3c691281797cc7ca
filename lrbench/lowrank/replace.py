"""Put factors in the place of layers: a module's replacement at a rank, and where it goes in a model."""

import warnings

from torch import Tensor, nn

from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.factors import kernel_of, weight_of
from lrbench.lowrank.layers import Factors, weight_shape
from lrbench.lowrank.plain import Plain, plain_of
from lrbench.lowrank.schemes import SCHEMES, Scheme
from lrbench.lowrank.svd import Decomposition


def core_of(module: nn.Module) -> nn.Module:
    """The convolution or linear layer, of torch's own class, that a layer is behind its pad; any other module itself.

    It holds the layer's very weights.
    """
    plain = plain_of(module)
    return plain.core if isinstance(plain, Plain) else module


def restructure_layer(module: nn.Module, rank: int, scheme: Scheme) -> nn.Module:
    """The layers that replace a module at a rank, their weights not yet set; what pads its input stays before them."""
    plain = plain_of(module)
    if isinstance(plain, str) or not scheme.reshapes:
        return scheme.restructure(module, rank)
    layers = scheme.restructure(plain.core, rank)
    return layers if plain.pad is None else Factors(plain.pad, *layers.children())


def replace_layer(
    module: nn.Module, rank: int, *, scheme: Scheme, decomposition: Decomposition, name: str
) -> nn.Module:
    """The layers that replace a module at a rank, their weights set.

    Raises: ValueError when the rank lies outside its range.
    """
    if not 1 <= rank <= len(decomposition.kept):
        raise ValueError(f"layer {name}: rank must lie in 1..{len(decomposition.kept)}, got {rank}")
    replacement = restructure_layer(module, rank, scheme)
    scheme.fill(replacement, decomposition.cut(rank))
    if decomposition.shift is not None:
        shift_bias_(replacement, decomposition.shift(rank))
    return replacement


def replace_exactly(module: nn.Module, scheme: Scheme) -> nn.Module:
    """The layers that replace a module at full rank, filled without a decomposition: the weight beside identities."""
    core = core_of(module)
    replacement = restructure_layer(module, scheme.max_rank(weight_shape(core)), scheme)
    scheme.fill(replacement, scheme.exact(kernel_of(core)))
    return replacement


def replace_layer_(model: nn.Module, cut: Cut, decomposition: Decomposition) -> None:
    """Replace one layer of a model as its cut, which has a rank, says (in place).

    Raises: ValueError when the rank lies outside its range.

    Warns: UserWarning when the replacement has at least as many weights as the layer.
    """
    assert cut.rank is not None
    dense = model.get_submodule(cut.layer)
    replacement = replace_layer(
        dense, cut.rank, scheme=SCHEMES[cut.scheme], decomposition=decomposition, name=cut.layer
    )
    before, after = (sum(p.numel() for p in m.parameters() if p.dim() > 1) for m in (dense, replacement))
    if after >= before and isinstance(replacement, Factors):
        message = f"layer {cut.layer}: rank {cut.rank} has {after} weights, the dense layer has {before}"
        warnings.warn(message, stacklevel=3)
    put_(model, cut.layer, replacement)


def put_(model: nn.Module, layer: str, replacement: nn.Module) -> None:
    """Put a module in the place of a layer (in place), under all names by which the model has it."""
    dense = model.get_submodule(layer)
    for name in [name for name, module in model.named_modules(remove_duplicate=False) if module is dense]:
        model.set_submodule(name, replacement)


def last_layer(replacement: nn.Module) -> nn.Module:
    """The layer of a replacement that carries the bias: the last, or a dense layer itself."""
    return next(reversed(list(replacement.children())), replacement)


def shift_bias_(replacement: nn.Module, shift: Tensor) -> None:
    """Add to a replacement's bias (in place), which may have been none; a shift of one entry goes to every output."""
    last = last_layer(replacement)
    weight, bias = weight_of(last), last.bias
    before = bias.detach() if isinstance(bias, Tensor) else weight.new_zeros(len(weight))
    last.bias = nn.Parameter(before + shift.to(before), requires_grad=weight.requires_grad)
