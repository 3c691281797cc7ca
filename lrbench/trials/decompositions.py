"""The decompositions of a dense model's layers, each made once and cut at any rank."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

from torch import Tensor, nn

from lrbench.lowrank.compress import decompose_layer, decompose_layer_fitted, decompose_layer_outputs
from lrbench.lowrank.layers import Layer
from lrbench.lowrank.moments import InputMoments, Moments, gather_inputs, gather_moments
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.svd import Decomposition
from lrbench.plan.cuts import Decompose


def decompositions(model: nn.Module, layers: Sequence[Layer], batches: Callable[[], Iterable[Tensor]]) -> Decompose:
    """What gives the decomposition of a layer by scheme and truncation.

    Args:
        model: trained.
        layers: those of it that may be asked for, all of which can be factorized.
        batches: gives the calibration images from the start; it is called once for outputs, once for inputs of layers,
            each when a truncation first needs them.
    """

    @cache
    def outputs() -> dict[str, Moments]:
        return gather_moments(model, [layer.name for layer in layers if layer.shape.groups == 1], batches())

    @cache
    def inputs() -> dict[str, InputMoments]:
        return gather_inputs(model, [layer.name for layer in layers if layer.kind == "conv"], batches())

    @cache
    def decompose(layer: str, scheme: str, truncation: str) -> Decomposition:
        if truncation == "plain":
            return decompose_layer(model, layer, scheme)
        if SCHEMES[scheme].reads_outputs:
            return decompose_layer_outputs(model, layer, moments=outputs()[layer])
        return decompose_layer_fitted(model, layer, scheme, inputs=inputs()[layer])

    return decompose
