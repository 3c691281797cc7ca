"""What the factors of each scheme cost: closed formulas of a layer's shape and the rank.

Shapes: O out, I in, H x W kernel, R rank, G groups. A matrix is (M, N): its factors are (R, N), then (M, R).
"""

from dataclasses import replace
from math import ceil

from lrbench.lowrank.layers import Shape


def area(size: tuple[int, int]) -> int:
    """Height times width."""
    return size[0] * size[1]


def channel_matrix(shape: Shape) -> tuple[int, int]:
    """(O, I*H*W)."""
    return shape.out_channels, shape.in_channels * area(shape.kernel)


def spatial_matrix(shape: Shape) -> tuple[int, int]:
    """(O*W, I*H)."""
    return shape.out_channels * shape.kernel[1], shape.in_channels * shape.kernel[0]


def weight_matrix(shape: Shape) -> tuple[int, int]:
    """(O*H*W, I)."""
    return shape.out_channels * area(shape.kernel), shape.in_channels


def group_of(shape: Shape) -> Shape:
    """The shape of one group of a grouped convolution."""
    outs, ins = shape.out_channels // shape.groups, shape.in_channels // shape.groups
    return replace(shape, out_channels=outs, in_channels=ins, groups=1)


def channel_macs(shape: Shape, rank: int) -> int:
    """MACs of H x W I→R, then 1 x 1 R→O."""
    return rank * sum(channel_matrix(shape)) * area(shape.out_size) * shape.positions


def spatial_macs(shape: Shape, rank: int) -> int:
    """MACs of H x 1 I→R, then 1 x W R→O."""
    second, first = spatial_matrix(shape)
    between = shape.out_size[0] * shape.in_size[1]
    return rank * (first * between + second * area(shape.out_size)) * shape.positions


def weight_macs(shape: Shape, rank: int) -> int:
    """MACs of 1 x 1 I→R, then H x W R→O."""
    second, first = weight_matrix(shape)
    return rank * (first * area(shape.in_size) + second * area(shape.out_size)) * shape.positions


def tucker2_ranks(outs: int, ins: int, rank: int) -> tuple[int, int]:
    """Input and output rank of one rank: the larger side has it, the other its share of it, rounded up."""
    larger = max(outs, ins)
    return ceil(rank * ins / larger), ceil(rank * outs / larger)


def tucker2_parts(shape: Shape, rank: int) -> tuple[int, int, int]:
    """Weights of 1 x 1 I→R1, H x W R1→R2, 1 x 1 R2→O."""
    r1, r2 = tucker2_ranks(shape.out_channels, shape.in_channels, rank)
    return shape.in_channels * r1, r1 * r2 * area(shape.kernel), r2 * shape.out_channels


def tucker2_macs(shape: Shape, rank: int) -> int:
    """MACs of the three."""
    first, core, last = tucker2_parts(shape, rank)
    return (first * area(shape.in_size) + (core + last) * area(shape.out_size)) * shape.positions


def grouped_weights(shape: Shape, rank: int) -> int:
    """Weights of H x 1, then 1 x W, in each group."""
    return shape.groups * rank * sum(spatial_matrix(group_of(shape)))


def grouped_macs(shape: Shape, rank: int) -> int:
    """MACs of the same."""
    return shape.groups * spatial_macs(group_of(shape), rank)
