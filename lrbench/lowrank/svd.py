"""Singular value decomposition of a weight read as a matrix, cut at any rank. Shapes: M rows, N columns, R rank."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Svd:
    """The thin decomposition `u @ diag(s) @ vh`: u (M, K), s (K,) falling, vh (K, N), K = min(M, N), float64."""

    u: Tensor
    s: Tensor
    vh: Tensor


def decompose(matrix: Tensor) -> Svd:
    """Decompose a matrix (M, N) once, for every rank. Computed in float64 whatever the dtype.

    Raises: ValueError when the matrix holds NaN or infinity.
    """
    values = matrix.detach().to(torch.float64)
    if not bool(torch.isfinite(values).all()):
        raise ValueError("weight must be finite to be decomposed, got NaN or infinity")
    return Svd(*torch.linalg.svd(values, full_matrices=False))


def truncate(svd: Svd, rank: int) -> tuple[Tensor, Tensor]:
    """Best factors of a rank (Eckart & Young 1936): second (M, R) and first (R, N), second @ first ~ the matrix.

    The singular values are shared evenly, a square root to each factor, so that both train at one learning rate.

    Raises: ValueError when the rank lies outside 1..K.
    """
    largest = len(svd.s)
    if not 1 <= rank <= largest:
        raise ValueError(f"rank must lie in 1..{largest}, got {rank}")
    root = svd.s[:rank].sqrt()
    return svd.u[:, :rank] * root, root[:, None] * svd.vh[:rank]


def energy(singular_values: Tensor, rank: int) -> float:
    """The share of squared singular values that a rank keeps, 0..1 (1 for a weight of zeros)."""
    squares = singular_values.double().square()
    total = float(squares.sum())
    return float(squares[:rank].sum()) / total if total > 0 else 1.0


def weight_error(singular_values: Tensor, rank: int) -> float:
    """Relative Frobenius error ||W - W_r|| / ||W|| of the best rank-r matrix, from the dropped tail."""
    squares = singular_values.double().square()
    total = float(squares.sum())
    return (float(squares[rank:].sum()) / total) ** 0.5 if total > 0 else 0.0


def product_singular_values(second: Tensor, first: Tensor) -> Tensor:
    """Singular values of second (M, R) @ first (R, N) without forming it, through the R x R core of two QRs."""
    left = torch.linalg.qr(second.detach().double(), mode="r").R
    right = torch.linalg.qr(first.detach().double().T, mode="r").R
    values: Tensor = torch.linalg.svdvals(left @ right.T)
    return values


def numerical_rank(singular_values: Tensor, *, shape: tuple[int, int], dtype: torch.dtype) -> int:
    """How many singular values of an (M, N) matrix stand above rounding: s > s_max * max(M, N) * eps of its dtype.

    The tolerance is that of `numpy.linalg.matrix_rank` (Press et al. 2007, Numerical Recipes, 3rd ed., p. 795).
    """
    tolerance = singular_values.max() * max(shape) * torch.finfo(dtype).eps
    return int((singular_values > tolerance).sum())
