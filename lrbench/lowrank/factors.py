"""The layers that replace a layer: made of its geometry, filled with factors, read back as matrices.

Shapes: O out, I in, H x W kernel, R rank. A bias and the place of stride, padding and dilation are those that make the
layers together compute what the original layer computes at full rank.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.lowrank.layers import Factors

Pair = tuple[Tensor, Tensor]
Convolution = nn.Conv1d | nn.Conv2d
Layer = Convolution | nn.Linear


def weight_of(module: nn.Module) -> Tensor:
    """The weight of a convolution or linear layer."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def kernel_of(module: nn.Module) -> Tensor:
    """The weight of a layer as schemes read it: (O, I, H, W), (O, I), or in groups (G, O/G, I/G, H, W)."""
    weight = weight_of(module).detach()
    kernel = weight.unsqueeze(2) if isinstance(module, nn.Conv1d) else weight
    groups = module.groups if isinstance(module, Convolution) else 1
    return kernel.reshape(groups, -1, *kernel.shape[1:]) if groups > 1 else kernel


def _weights(replacement: nn.Module) -> tuple[Tensor, ...]:
    """The weights of a replacement's layers, in order; a pad before them has none."""
    return tuple(weight_of(layer) for layer in replacement.children() if isinstance(layer, Layer))


def _like(module: Layer, *layers: Layer) -> nn.Module:
    """Layers with the dtype, device, mode, requires_grad and bias of the module they replace."""
    for layer in layers:
        layer.to(dtype=module.weight.dtype, device=module.weight.device)
        layer.weight.requires_grad_(module.weight.requires_grad)
    if module.bias is not None:
        layers[-1].bias = nn.Parameter(module.bias.detach().clone(), requires_grad=module.bias.requires_grad)
    return Factors(*layers).train(module.training)


def _kernel(module: Convolution, ins: int, outs: int) -> Convolution:
    """A convolution with all of the geometry of another."""
    kernel: Convolution = _kind(module)(
        ins,
        outs,
        module.kernel_size,
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        padding_mode=module.padding_mode,
        bias=False,
    )
    return kernel


def _point(module: Convolution, ins: int, outs: int) -> Convolution:
    point: Convolution = _kind(module)(ins, outs, 1, bias=False)
    return point


def _kind(module: Convolution) -> Any:
    """The class of a convolution with as many dimensions."""
    return nn.Conv1d if isinstance(module, nn.Conv1d) else nn.Conv2d


def fill_in_order(replacement: nn.Module, factors: tuple[Tensor, ...]) -> None:
    """Set the weights of a replacement's layers (in place) to factors of as many entries, in order."""
    with torch.no_grad():
        for weight, values in zip(_weights(replacement), factors, strict=True):
            weight.copy_(values.reshape(weight.shape))


def channel(module: nn.Module, rank: int) -> nn.Module:
    """H x W I->R with all of the geometry, then 1 x 1 R->O."""
    assert isinstance(module, Convolution)
    return _like(module, _kernel(module, module.in_channels, rank), _point(module, rank, module.out_channels))


def read_channel(replacement: nn.Module) -> Pair:
    """(O, R) and (R, I*H*W)."""
    first, second = _weights(replacement)
    return second.flatten(1), first.flatten(1)


def linear(module: nn.Module, rank: int) -> nn.Module:
    """I->R, then R->O; the stride of a 1 x 1 convolution stays on the first, where it saves most."""
    if isinstance(module, Convolution):
        return channel(module, rank)
    assert isinstance(module, nn.Linear)
    first, second = nn.Linear(module.in_features, rank, bias=False), nn.Linear(rank, module.out_features, bias=False)
    return _like(module, first, second)


def weight_first(module: nn.Module, rank: int) -> nn.Module:
    """1 x 1 I->R, then H x W R->O with all of the geometry."""
    assert isinstance(module, Convolution)
    return _like(module, _point(module, module.in_channels, rank), _kernel(module, rank, module.out_channels))


def fill_weight_first(replacement: nn.Module, factors: tuple[Tensor, ...]) -> None:
    """From first (R, I) and second (O*H*W, R)."""
    first, second = factors
    o, rank, *kernel = _weights(replacement)[1].shape
    fill_in_order(replacement, (first, second.reshape(o, *kernel, rank).movedim(-1, 1)))


def read_weight_first(replacement: nn.Module) -> Pair:
    """(O*H*W, R) and (R, I)."""
    first, second = _weights(replacement)
    return second.movedim(1, -1).flatten(0, -2), first.flatten(1)


def spatial(module: nn.Module, rank: int) -> nn.Module:
    """H x 1 I->R, then 1 x W R->O, each with the geometry of its axis; of a grouped convolution in each group."""
    assert isinstance(module, nn.Conv2d)
    padding: str | tuple[int, ...] = module.padding

    def along(axis: int, values: tuple[int, ...], across: int) -> tuple[int, int]:
        return (values[0], across) if axis == 0 else (across, values[1])

    def line(ins: int, outs: int, *, axis: int) -> nn.Conv2d:
        return nn.Conv2d(
            ins,
            outs,
            along(axis, module.kernel_size, 1),
            stride=along(axis, module.stride, 1),
            padding=padding if isinstance(padding, str) else along(axis, padding, 0),
            dilation=along(axis, module.dilation, 1),
            groups=module.groups,
            padding_mode=module.padding_mode,
            bias=False,
        )

    middle = module.groups * rank
    return _like(module, line(module.in_channels, middle, axis=0), line(middle, module.out_channels, axis=1))


def fill_spatial(replacement: nn.Module, factors: tuple[Tensor, ...]) -> None:
    """From first (R, I*H) and second (O*W, R)."""
    first, second = factors
    width = _weights(replacement)[1].shape[3]
    fill_in_order(replacement, (first, second.reshape(-1, width, second.shape[1]).transpose(1, 2)))


def fill_grouped(replacement: nn.Module, factors: tuple[Tensor, ...]) -> None:
    """From first (G, R, I/G*H) and second (G, O/G*W, R)."""
    first, second = factors
    fill_spatial(replacement, (first.flatten(0, 1), second.flatten(0, 1)))


def read_spatial(replacement: nn.Module) -> Pair:
    """(O*W, R) and (R, I*H)."""
    first, second = _weights(replacement)
    return second.flatten(2).transpose(1, 2).flatten(0, 1), first.flatten(1)


def read_grouped(replacement: nn.Module) -> Pair:
    """For each group (O/G*W, R) and (R, I/G*H), stacked: (G, M, R) and (G, R, N)."""
    first, second = (layer for layer in replacement.children() if isinstance(layer, nn.Conv2d))
    columns, rows = first.weight, second.weight
    groups, rank = first.groups, columns.shape[0] // first.groups
    return rows.flatten(2).transpose(1, 2).reshape(groups, -1, rank), columns.reshape(groups, rank, -1)


def tucker2(module: nn.Module, rank: int, *, ranks: Callable[[int, int, int], tuple[int, int]]) -> nn.Module:
    """1 x 1 I->R1, H x W R1->R2 with all of the geometry, 1 x 1 R2->O; `ranks` splits (O, I, rank) into R1 and R2."""
    assert isinstance(module, Convolution)
    r1, r2 = ranks(module.out_channels, module.in_channels, rank)
    outer = _point(module, module.in_channels, r1), _point(module, r2, module.out_channels)
    return _like(module, outer[0], _kernel(module, r1, r2), outer[1])


def read_tucker2(replacement: nn.Module) -> Pair:
    """(O, R2) and (R2, I*H*W): the first two layers as one."""
    first, core, last = _weights(replacement)
    return last.flatten(1), torch.einsum("pq...,qi->pi...", core, first.flatten(1)).flatten(1)


def dense(module: nn.Module, _: int) -> nn.Module:
    """The layer as it is."""
    return module


def fill_dense(replacement: nn.Module, factors: tuple[Tensor, ...]) -> None:
    """The product of second (O, R) and first (R, I*H*W), written back."""
    first, second = factors
    weight = weight_of(replacement)
    with torch.no_grad():
        weight.copy_((second @ first).reshape(weight.shape))


def read_dense(replacement: nn.Module) -> Pair:
    """The identity (O, O) and the weight (O, I*H*W)."""
    weight = weight_of(replacement)
    return torch.eye(len(weight), dtype=weight.dtype, device=weight.device), weight.flatten(1)
