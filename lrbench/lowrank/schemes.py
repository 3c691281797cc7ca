"""Schemes: how a weight is read as a matrix (or a tensor), what its factors cost, and how they become layers.

Shapes: O out, I in, H x W kernel, R rank. A weight is (O, I, H, W), of a linear layer (O, I).
To add a scheme, write its functions (layers in `factors.py`, costs here) and add one entry to `SCHEMES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType

from torch import Tensor, nn

from lrbench.lowrank import factors
from lrbench.lowrank.factors import Pair
from lrbench.lowrank.layers import Shape
from lrbench.lowrank.svd import Decomposition, decompose, decompose_modes


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A way to factorize a layer.

    Attributes:
        paper: where it comes from.
        refuses: says why a module cannot be factorized this way, None when it can.
        matrix: shape -> (M, N) of the matrix that the weight is read as, None when it is read as a tensor.
        weights: shape, rank -> parameters of the factors, bias left out.
        macs: shape, rank -> multiply-accumulates of the factors for one image.
        max_rank: shape -> largest useful rank.
        decompose: weight -> its decomposition.
        restructure: module, rank -> the layers that replace it, their weights not yet set.
        fill: replacement, factors as the decomposition cuts them -> sets the replacement's weights (in place).
        factors: replacement -> second (M, R) and first (R, N), as matrices; of a dense layer, identity and weight.
        reads_outputs: whether the matrix maps inputs to outputs, so that output truncation applies.
        reshapes: whether it changes the model's shape; False where the layer stays one layer, as dense as before.
    """

    paper: str
    refuses: Callable[[nn.Module], str | None]
    matrix: Callable[[Shape], tuple[int, int] | None]
    weights: Callable[[Shape, int], int]
    macs: Callable[[Shape, int], int]
    max_rank: Callable[[Shape], int]
    decompose: Callable[[Tensor], Decomposition]
    restructure: Callable[[nn.Module, int], nn.Module]
    fill: Callable[[nn.Module, tuple[Tensor, ...]], None]
    factors: Callable[[nn.Module], Pair]
    reads_outputs: bool = False
    reshapes: bool = True

    def breakeven_params(self, shape: Shape) -> float | None:
        """The rank at which the factors have as many weights as the layer; None when rank changes nothing."""
        return self._breakeven(lambda rank: self.weights(shape, rank), shape.weights, shape)

    def breakeven_macs(self, shape: Shape) -> float | None:
        """The rank at which the factors take as many MACs as the layer; None when rank changes nothing."""
        return self._breakeven(lambda rank: self.macs(shape, rank), shape.macs, shape)

    def _breakeven(self, cost: Callable[[int], int], dense: int, shape: Shape) -> float | None:
        """A real number where cost is proportional to rank, else the first whole rank that saves nothing."""
        first, second = cost(1), cost(2)
        if first == second:
            return None
        if self.matrix(shape) is not None:
            return dense / first
        return float(
            next((r for r in range(1, self.max_rank(shape) + 1) if cost(r) >= dense), self.max_rank(shape) + 1)
        )


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _refuses_conv(module: nn.Module) -> str | None:
    if not isinstance(module, nn.Conv2d):
        return "not a convolution"
    return f"grouped convolution (groups={module.groups})" if module.groups > 1 else None


def _refuses_linear(module: nn.Module) -> str | None:
    if isinstance(module, nn.Linear):
        return None
    if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
        return _refuses_conv(module)
    return "neither a linear layer nor a 1x1 convolution"


def _refuses_grouped(module: nn.Module) -> str | None:
    return None if isinstance(module, nn.Linear) else _refuses_conv(module)


# The weight as a matrix: its shape, and its entries


def _channel_shape(shape: Shape) -> tuple[int, int]:
    return shape.out_channels, shape.in_channels * _area(shape.kernel)


def _spatial_shape(shape: Shape) -> tuple[int, int]:
    return shape.out_channels * shape.kernel[1], shape.in_channels * shape.kernel[0]


def _weight_shape(shape: Shape) -> tuple[int, int]:
    return shape.out_channels * _area(shape.kernel), shape.in_channels


def _spatial_matrix(weight: Tensor) -> Tensor:
    return weight.permute(0, 3, 1, 2).flatten(2).flatten(0, 1)


def _weight_matrix(weight: Tensor) -> Tensor:
    return weight.permute(0, 2, 3, 1).flatten(0, 2)


def _tucker2_ranks(outs: int, ins: int, rank: int) -> tuple[int, int]:
    """Input and output rank of one rank: the larger side has it, the other its share of it, rounded up."""
    larger = max(outs, ins)
    return ceil(rank * ins / larger), ceil(rank * outs / larger)


# Costs of the factors


def _channel_macs(shape: Shape, rank: int) -> int:
    return rank * sum(_channel_shape(shape)) * _area(shape.out_size) * shape.positions


def _spatial_macs(shape: Shape, rank: int) -> int:
    second, first = _spatial_shape(shape)
    between = shape.out_size[0] * shape.in_size[1]
    return rank * (first * between + second * _area(shape.out_size)) * shape.positions


def _weight_macs(shape: Shape, rank: int) -> int:
    second, first = _weight_shape(shape)
    return rank * (first * _area(shape.in_size) + second * _area(shape.out_size)) * shape.positions


def _tucker2_parts(shape: Shape, rank: int) -> tuple[int, int, int]:
    r1, r2 = _tucker2_ranks(shape.out_channels, shape.in_channels, rank)
    return shape.in_channels * r1, r1 * r2 * _area(shape.kernel), r2 * shape.out_channels


def _tucker2_macs(shape: Shape, rank: int) -> int:
    first, core, last = _tucker2_parts(shape, rank)
    return (first * _area(shape.in_size) + (core + last) * _area(shape.out_size)) * shape.positions


def _tucker2_decompose(weight: Tensor) -> Decomposition:
    outs, ins = weight.shape[:2]
    return decompose_modes(weight, lambda rank: _tucker2_ranks(outs, ins, rank), largest=max(outs, ins))


_channel = Scheme(
    paper="Zhang et al. 2015, arXiv 1505.06798",
    refuses=_refuses_conv,
    matrix=_channel_shape,
    weights=lambda shape, rank: rank * sum(_channel_shape(shape)),
    macs=_channel_macs,
    max_rank=lambda shape: min(_channel_shape(shape)),
    decompose=lambda weight: decompose(weight.flatten(1)),
    restructure=factors.channel,
    fill=factors.fill_in_order,
    factors=factors.read_channel,
    reads_outputs=True,
)

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "channel": _channel,
        "spatial": Scheme(
            paper="Jaderberg et al. 2014, arXiv 1405.3866",
            refuses=_refuses_conv,
            matrix=_spatial_shape,
            weights=lambda shape, rank: rank * sum(_spatial_shape(shape)),
            macs=_spatial_macs,
            max_rank=lambda shape: min(_spatial_shape(shape)),
            decompose=lambda weight: decompose(_spatial_matrix(weight)),
            restructure=factors.spatial,
            fill=factors.fill_spatial,
            factors=factors.read_spatial,
        ),
        "weight": Scheme(
            paper="the mirror of channel: low rank over the inputs, after Zhang et al. 2015, arXiv 1505.06798",
            refuses=_refuses_conv,
            matrix=_weight_shape,
            weights=lambda shape, rank: rank * sum(_weight_shape(shape)),
            macs=_weight_macs,
            max_rank=lambda shape: min(_weight_shape(shape)),
            decompose=lambda weight: decompose(_weight_matrix(weight)),
            restructure=factors.weight_first,
            fill=factors.fill_weight_first,
            factors=factors.read_weight_first,
        ),
        "tucker2": Scheme(
            paper="Kim et al. 2016, arXiv 1511.06530",
            refuses=_refuses_conv,
            matrix=lambda shape: None,
            weights=lambda shape, rank: sum(_tucker2_parts(shape, rank)),
            macs=_tucker2_macs,
            max_rank=lambda shape: max(shape.out_channels, shape.in_channels),
            decompose=_tucker2_decompose,
            restructure=lambda module, rank: factors.tucker2(module, rank, ranks=_tucker2_ranks),
            fill=factors.fill_in_order,
            factors=factors.read_tucker2,
        ),
        "linear": replace(
            _channel,
            paper="Denil et al. 2013, arXiv 1306.0543",
            refuses=_refuses_linear,
            restructure=factors.linear,
        ),
        "writeback": replace(
            _channel,
            paper="none: the truncated matrix is written back dense, which saves nothing",
            refuses=_refuses_grouped,
            weights=lambda shape, rank: shape.weights,
            macs=lambda shape, rank: shape.macs,
            restructure=factors.dense,
            fill=factors.fill_dense,
            factors=factors.read_dense,
            reads_outputs=False,
            reshapes=False,
        ),
    }
)
