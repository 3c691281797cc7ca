"""Schemes: how a weight is read as a matrix, and how two factors become two layers.

Shapes: O out, I in, H x W kernel, R rank. A weight is (O, I, H, W), of a linear layer (O, I).
To add a scheme, write its functions and add one entry to `SCHEMES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lrbench.lowrank.layers import Shape


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A way to factorize a layer.

    Attributes:
        paper: where it comes from.
        refuses: says why a module cannot be factorized this way, None when it can.
        matrix: weight -> matrix (M, N).
        weights: shape, rank -> parameters of the factors, bias left out.
        macs: shape, rank -> multiply-accumulates of the factors for one image.
        max_rank: shape -> largest useful rank, min(M, N).
        restructure: module, rank -> the layers that replace it, their weights not yet set.
        fill: replacement, second (M, R), first (R, N) -> sets the replacement's weights (in place).
        factors: replacement -> its second (M, R) and first (R, N), as matrices; of a dense layer, identity and weight.
    """

    paper: str
    refuses: Callable[[nn.Module], str | None]
    matrix: Callable[[Tensor], Tensor]
    weights: Callable[[Shape, int], int]
    macs: Callable[[Shape, int], int]
    max_rank: Callable[[Shape], int]
    restructure: Callable[[nn.Module, int], nn.Module]
    fill: Callable[[nn.Module, Tensor, Tensor], None]
    factors: Callable[[nn.Module], tuple[Tensor, Tensor]]

    def breakeven_params(self, shape: Shape) -> float | None:
        """The rank at which the factors have as many weights as the layer; None when rank changes nothing."""
        return _ratio(shape.weights, self.weights(shape, 1), self.weights(shape, 2))

    def breakeven_macs(self, shape: Shape) -> float | None:
        """The rank at which the factors take as many MACs as the layer; None when rank changes nothing."""
        return _ratio(shape.macs, self.macs(shape, 1), self.macs(shape, 2))


def _ratio(dense: int, one: int, two: int) -> float | None:
    """Where a cost that is proportional to the rank reaches the dense one, from its values at ranks 1 and 2."""
    return None if one == two else dense / (two - one)


def weight_of(module: nn.Module) -> Tensor:
    """The weight of a convolution or linear layer."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def _pair(replacement: nn.Module) -> tuple[Tensor, Tensor]:
    """The weights of the second and of the first factor."""
    first, second = replacement.children()
    return weight_of(second), weight_of(first)


def _like(module: nn.Conv2d | nn.Linear, first: nn.Conv2d | nn.Linear, second: nn.Conv2d | nn.Linear) -> nn.Module:
    """Two factors with the dtype, device, mode, requires_grad and bias of the module they replace."""
    for factor in (first, second):
        factor.to(dtype=module.weight.dtype, device=module.weight.device)
        factor.weight.requires_grad_(module.weight.requires_grad)
    if module.bias is not None:
        second.bias = nn.Parameter(module.bias.detach().clone(), requires_grad=module.bias.requires_grad)
    return nn.Sequential(first, second).train(module.training)


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


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


# channel: first H x W I->R with all of the geometry, second 1x1 R->O


def _channel_weights(shape: Shape, rank: int) -> int:
    return rank * (shape.in_channels * _area(shape.kernel) + shape.out_channels)


def _channel_macs(shape: Shape, rank: int) -> int:
    return _channel_weights(shape, rank) * _area(shape.out_size) * shape.positions


def _channel_restructure(module: nn.Module, rank: int) -> nn.Module:
    assert isinstance(module, nn.Conv2d)
    first = nn.Conv2d(
        module.in_channels,
        rank,
        module.kernel_size,  # type: ignore[arg-type]
        stride=module.stride,  # type: ignore[arg-type]
        padding=module.padding,  # type: ignore[arg-type]
        dilation=module.dilation,  # type: ignore[arg-type]
        padding_mode=module.padding_mode,
        bias=False,
    )
    return _like(module, first, nn.Conv2d(rank, module.out_channels, 1, bias=False))


def _fill_pair(replacement: nn.Module, second: Tensor, first: Tensor) -> None:
    with torch.no_grad():
        for weight, values in zip(_pair(replacement), (second, first), strict=True):
            weight.copy_(values.reshape(weight.shape))


def _pair_factors(replacement: nn.Module) -> tuple[Tensor, Tensor]:
    second, first = _pair(replacement)
    return second.flatten(1), first.flatten(1)


# spatial: first H x 1 I->R, second 1 x W R->O; the matrix is (O*W, I*H)


def _spatial_matrix(weight: Tensor) -> Tensor:
    return weight.permute(0, 3, 1, 2).reshape(weight.shape[0] * weight.shape[3], -1)


def _spatial_weights(shape: Shape, rank: int) -> int:
    return rank * (shape.in_channels * shape.kernel[0] + shape.out_channels * shape.kernel[1])


def _spatial_macs(shape: Shape, rank: int) -> int:
    between = (shape.out_size[0], shape.in_size[1])
    first = shape.in_channels * shape.kernel[0] * _area(between)
    second = shape.out_channels * shape.kernel[1] * _area(shape.out_size)
    return rank * (first + second)


def _spatial_max_rank(shape: Shape) -> int:
    return min(shape.in_channels * shape.kernel[0], shape.out_channels * shape.kernel[1])


def _spatial_restructure(module: nn.Module, rank: int) -> nn.Module:
    assert isinstance(module, nn.Conv2d)
    height, width = module.kernel_size
    named = isinstance(module.padding, str)

    def factor(ins: int, outs: int, *, axis: int) -> nn.Conv2d:
        def along(values: tuple[int, ...], other: int) -> tuple[int, int]:
            return (values[0], other) if axis == 0 else (other, values[1])

        return nn.Conv2d(
            ins,
            outs,
            along((height, width), 1),
            stride=along(module.stride, 1),
            padding=module.padding if named else along(module.padding, 0),  # type: ignore[arg-type]
            dilation=along(module.dilation, 1),
            padding_mode=module.padding_mode,
            bias=False,
        )

    return _like(module, factor(module.in_channels, rank, axis=0), factor(rank, module.out_channels, axis=1))


def _spatial_fill(replacement: nn.Module, second: Tensor, first: Tensor) -> None:
    width = _pair(replacement)[0].shape[3]
    _fill_pair(replacement, second.reshape(-1, width, second.shape[1]).transpose(1, 2), first)


def _spatial_factors(replacement: nn.Module) -> tuple[Tensor, Tensor]:
    second, first = _pair(replacement)
    return second.flatten(2).transpose(1, 2).reshape(-1, second.shape[1]), first.flatten(1)


# linear: I->R, R->O, for linear layers and 1x1 convolutions (their stride stays on the first factor)


def _linear_restructure(module: nn.Module, rank: int) -> nn.Module:
    if isinstance(module, nn.Conv2d):
        return _channel_restructure(module, rank)
    assert isinstance(module, nn.Linear)
    first = nn.Linear(module.in_features, rank, bias=False)
    return _like(module, first, nn.Linear(rank, module.out_features, bias=False))


def _matrix_max_rank(shape: Shape) -> int:
    return min(shape.out_channels, shape.in_channels * _area(shape.kernel))


# writeback: the truncated matrix goes back into the dense layer


def _dense_weights(shape: Shape, _: int) -> int:
    return shape.weights


def _dense_macs(shape: Shape, _: int) -> int:
    return shape.macs


def _writeback_restructure(module: nn.Module, _: int) -> nn.Module:
    return module


def _writeback_fill(replacement: nn.Module, second: Tensor, first: Tensor) -> None:
    weight = weight_of(replacement)
    with torch.no_grad():
        weight.copy_((second @ first).reshape(weight.shape))


def _writeback_factors(replacement: nn.Module) -> tuple[Tensor, Tensor]:
    weight = weight_of(replacement)
    return torch.eye(len(weight), dtype=weight.dtype, device=weight.device), weight.flatten(1)


_channel = Scheme(
    paper="Zhang et al. 2015, arXiv 1505.06798",
    refuses=_refuses_conv,
    matrix=lambda weight: weight.flatten(1),
    weights=_channel_weights,
    macs=_channel_macs,
    max_rank=_matrix_max_rank,
    restructure=_channel_restructure,
    fill=_fill_pair,
    factors=_pair_factors,
)

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "channel": _channel,
        "spatial": Scheme(
            paper="Jaderberg et al. 2014, arXiv 1405.3866",
            refuses=_refuses_conv,
            matrix=_spatial_matrix,
            weights=_spatial_weights,
            macs=_spatial_macs,
            max_rank=_spatial_max_rank,
            restructure=_spatial_restructure,
            fill=_spatial_fill,
            factors=_spatial_factors,
        ),
        "linear": Scheme(
            paper="Denil et al. 2013, arXiv 1306.0543",
            refuses=_refuses_linear,
            matrix=lambda weight: weight.flatten(1),
            weights=_channel_weights,
            macs=_channel_macs,
            max_rank=_matrix_max_rank,
            restructure=_linear_restructure,
            fill=_fill_pair,
            factors=_pair_factors,
        ),
        "writeback": Scheme(
            paper="none: the truncated matrix is written back dense, which saves nothing",
            refuses=lambda module: None if isinstance(module, nn.Linear) else _refuses_conv(module),
            matrix=lambda weight: weight.flatten(1),
            weights=_dense_weights,
            macs=_dense_macs,
            max_rank=_matrix_max_rank,
            restructure=_writeback_restructure,
            fill=_writeback_fill,
            factors=_writeback_factors,
        ),
    }
)
