"""Schemes: how a weight is read as a matrix (or a tensor), what its factors cost, and how they become layers.

Shapes: O out, I in, H x W kernel, R rank, G groups. A weight is (O, I, H, W), of a linear layer (O, I), of a grouped
convolution (G, O/G, I/G, H, W); of a one-dimensional convolution H is 1.
To add a scheme, write its functions (layers in `factors.py`, costs in `costs.py`) and add one entry to `SCHEMES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lrbench.lowrank import costs, factors
from lrbench.lowrank.factors import Pair
from lrbench.lowrank.layers import Shape
from lrbench.lowrank.svd import Decomposition, decompose, decompose_groups, decompose_modes


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A way to factorize a layer.

    Attributes:
        paper: where it comes from.
        refuses: says why a module cannot be factorized this way, None when it can.
        matrix: shape -> (M, N) of the matrix that the weight is read as, None when it is read as a tensor or several.
        weights: shape, rank -> parameters of the factors, bias left out.
        macs: shape, rank -> multiply-accumulates of the factors for one image.
        max_rank: shape -> largest useful rank.
        decompose: weight -> its decomposition.
        exact: weight -> factors of the largest rank that make up the weight, as a decomposition cuts them, without one.
        restructure: module, rank -> the layers that replace it, their weights not yet set.
        fill: replacement, factors as the decomposition cuts them -> sets the replacement's weights (in place).
        factors: replacement -> second (M, R) and first (R, N), as matrices, or one of each for every group (G, ...); of
            a dense layer, identity and weight.
        reads_outputs: whether the matrix maps inputs to outputs, so that data-aware truncation has a closed form.
        positions: kernel height, width -> at how many of its positions the last layer looks, where data-aware
            truncation is fitted; None where there is none, or a closed form.
        reshapes: whether it changes the model's shape; False where the layer stays one layer, as dense as before.
    """

    paper: str
    refuses: Callable[[nn.Module], str | None]
    matrix: Callable[[Shape], tuple[int, int] | None]
    weights: Callable[[Shape, int], int]
    macs: Callable[[Shape, int], int]
    max_rank: Callable[[Shape], int]
    decompose: Callable[[Tensor], Decomposition]
    exact: Callable[[Tensor], tuple[Tensor, ...]]
    restructure: Callable[[nn.Module, int], nn.Module]
    fill: Callable[[nn.Module, tuple[Tensor, ...]], None]
    factors: Callable[[nn.Module], Pair]
    reads_outputs: bool = False
    positions: Callable[[int, int], int] | None = None
    reshapes: bool = True

    @property
    def is_data_aware(self) -> bool:
        """Whether it has output and sequential truncation."""
        return self.reads_outputs or self.positions is not None

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


def _refuses_conv(module: nn.Module) -> str | None:
    if not isinstance(module, nn.Conv1d | nn.Conv2d):
        return "not a convolution"
    return f"grouped convolution (groups={module.groups})" if module.groups > 1 else None


def _refuses_spatial(module: nn.Module) -> str | None:
    return "one-dimensional convolution" if isinstance(module, nn.Conv1d) else _refuses_conv(module)


def _refuses_linear(module: nn.Module) -> str | None:
    if isinstance(module, nn.Linear):
        return None
    if isinstance(module, nn.Conv1d | nn.Conv2d) and set(module.kernel_size) == {1}:
        return _refuses_conv(module)
    return "neither a linear layer nor a 1x1 convolution"


def _refuses_ungrouped(module: nn.Module) -> str | None:
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        return None
    return "not a grouped convolution" if isinstance(module, nn.Conv2d) else "not a two-dimensional convolution"


def _refuses_grouped(module: nn.Module) -> str | None:
    return None if isinstance(module, nn.Linear) else _refuses_conv(module)


# The weight as a matrix


def _spatial(weight: Tensor) -> Tensor:
    return weight.permute(0, 3, 1, 2).flatten(2).flatten(0, 1)


def _weight(weight: Tensor) -> Tensor:
    return weight.permute(0, 2, 3, 1).flatten(0, 2)


def _groups(weight: Tensor) -> Tensor:
    """The spatial matrices (G, O/G*W, I/G*H) of a weight (G, O/G, I/G, H, W)."""
    return weight.permute(0, 1, 4, 2, 3).flatten(3).flatten(1, 2)


def _exact(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """First (R, N) and second (M, R): a matrix (M, N), or a stack of them, beside identities."""
    rows, columns = matrix.shape[-2:]
    identity = torch.eye(min(rows, columns), dtype=matrix.dtype, device=matrix.device).expand(
        *matrix.shape[:-2], -1, -1
    )
    return (matrix, identity) if rows <= columns else (identity, matrix)


def _exact_tucker2(weight: Tensor) -> tuple[Tensor, ...]:
    outs, ins = (torch.eye(size, dtype=weight.dtype, device=weight.device) for size in weight.shape[:2])
    return ins, weight, outs


def _tucker2_decompose(weight: Tensor) -> Decomposition:
    outs, ins = weight.shape[:2]
    return decompose_modes(weight, lambda rank: costs.tucker2_ranks(outs, ins, rank), largest=max(outs, ins))


_channel = Scheme(
    paper="Zhang et al. 2015, arXiv 1505.06798",
    refuses=_refuses_conv,
    matrix=costs.channel_matrix,
    weights=lambda shape, rank: rank * sum(costs.channel_matrix(shape)),
    macs=costs.channel_macs,
    max_rank=lambda shape: min(costs.channel_matrix(shape)),
    decompose=lambda weight: decompose(weight.flatten(1)),
    exact=lambda weight: _exact(weight.flatten(1)),
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
            refuses=_refuses_spatial,
            matrix=costs.spatial_matrix,
            weights=lambda shape, rank: rank * sum(costs.spatial_matrix(shape)),
            macs=costs.spatial_macs,
            max_rank=lambda shape: min(costs.spatial_matrix(shape)),
            decompose=lambda weight: decompose(_spatial(weight)),
            exact=lambda weight: _exact(_spatial(weight)),
            restructure=factors.spatial,
            fill=factors.fill_spatial,
            factors=factors.read_spatial,
            positions=lambda height, width: width,
        ),
        "weight": Scheme(
            paper="the mirror of channel: low rank over the inputs, after Zhang et al. 2015, arXiv 1505.06798",
            refuses=_refuses_conv,
            matrix=costs.weight_matrix,
            weights=lambda shape, rank: rank * sum(costs.weight_matrix(shape)),
            macs=costs.weight_macs,
            max_rank=lambda shape: min(costs.weight_matrix(shape)),
            decompose=lambda weight: decompose(_weight(weight)),
            exact=lambda weight: _exact(_weight(weight)),
            restructure=factors.weight_first,
            fill=factors.fill_weight_first,
            factors=factors.read_weight_first,
            positions=lambda height, width: height * width,
        ),
        "tucker2": Scheme(
            paper="Kim et al. 2016, arXiv 1511.06530",
            refuses=_refuses_conv,
            matrix=lambda shape: None,
            weights=lambda shape, rank: sum(costs.tucker2_parts(shape, rank)),
            macs=costs.tucker2_macs,
            max_rank=lambda shape: max(shape.out_channels, shape.in_channels),
            decompose=_tucker2_decompose,
            exact=_exact_tucker2,
            restructure=lambda module, rank: factors.tucker2(module, rank, ranks=costs.tucker2_ranks),
            fill=factors.fill_in_order,
            factors=factors.read_tucker2,
            positions=lambda height, width: height * width,
        ),
        "linear": replace(
            _channel,
            paper="Denil et al. 2013, arXiv 1306.0543",
            refuses=_refuses_linear,
            restructure=factors.linear,
        ),
        "grouped": Scheme(
            paper="Jaderberg et al. 2014, arXiv 1405.3866, in each group by itself",
            refuses=_refuses_ungrouped,
            matrix=lambda shape: None,
            weights=costs.grouped_weights,
            macs=costs.grouped_macs,
            max_rank=lambda shape: min(costs.spatial_matrix(costs.group_of(shape))),
            decompose=lambda weight: decompose_groups(_groups(weight)),
            exact=lambda weight: _exact(_groups(weight)),
            restructure=factors.spatial,
            fill=factors.fill_grouped,
            factors=factors.read_grouped,
            positions=lambda height, width: width,
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
