"""Decompositions of a weight, made once and cut at any rank.

Shapes: M rows, N columns, R rank, K the largest rank. Computed in float64 whatever the weight's dtype.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Decomposition:
    """A weight, ready to be cut.

    Attributes:
        kept: (K,) squared Frobenius norm of the weight that ranks 1..K keep; where factors are fitted, of the
            whitened weight.
        scores: (K,) what an energy rule adds up, largest first: squared singular values, or variances of outputs.
        cut: rank -> the factors' weights, first layer first, in the shapes that the scheme fills in.
        shift: rank -> what the output's bias gains (O,), None when nothing.
        error: rank -> relative Frobenius error of the weight, where `kept` does not tell it.
    """

    kept: Tensor
    scores: Tensor
    cut: Callable[[int], tuple[Tensor, ...]]
    shift: Callable[[int], Tensor] | None = None
    error: Callable[[int], float] | None = None

    @property
    def singular_values(self) -> Tensor:
        """(K,) what each rank adds to the weight's norm: of a plain SVD, its singular values."""
        return torch.diff(self.kept, prepend=self.kept.new_zeros(1)).clamp(min=0).sqrt()

    def energies(self) -> tuple[float, ...]:
        """The share of the scores that each rank keeps, 0..1 (1 when there is nothing to keep)."""
        total = self.scores.sum()
        shares = self.scores.cumsum(0) / total if total > 0 else torch.ones_like(self.scores)
        return tuple(shares.tolist())

    def weight_error(self, rank: int) -> float:
        """Relative Frobenius error ||W - W_r|| / ||W|| of the weight at a rank."""
        if self.error is not None:
            return self.error(rank)
        total = float(self.kept[-1])
        return max(0.0, 1 - float(self.kept[rank - 1]) / total) ** 0.5 if total > 0 else 0.0

    def spectral_error(self, rank: int) -> float:
        """Relative spectral error ||W - W_r|| / ||W|| at a rank (in output truncation: of the outputs)."""
        left = self.scores[rank:]
        return float((left.max() / self.scores.max()).sqrt()) if len(left) and self.scores.max() > 0 else 0.0


def decompose(matrix: Tensor) -> Decomposition:
    """Truncated SVD of a matrix (M, N) for every rank (Eckart & Young 1936).

    The basis comes from the eigenvectors of the smaller Gram matrix, several times cheaper than a full SVD. A basis is
    orthonormal to rounding however small its singular value, and the other factor is the weight seen in that basis, so
    that no digits are lost in a division: a float32 weight keeps all of its own.

    Raises: ValueError when the matrix holds NaN or infinity.
    """
    values = _finite(matrix)
    if values.shape[0] <= values.shape[1]:
        return project(values, _eigenvectors(values @ values.T))
    turned = project(values.T, _eigenvectors(values.T @ values))
    return Decomposition(
        kept=turned.kept, scores=turned.scores, cut=lambda rank: tuple(f.T for f in reversed(turned.cut(rank)))
    )


def project(matrix: Tensor, basis: Tensor, *, scores: Tensor | None = None) -> Decomposition:
    """Project a matrix (M, N) on the first R columns of an orthonormal basis (M, K), best first.

    `cut` gives first (R, N) and second (M, R), the norm of each pair shared evenly so that both train at one rate.
    """
    rows = basis.T @ matrix
    squares = rows.square().sum(1)
    root = squares.sqrt().sqrt()
    scale = torch.where(root > root.max() * 1e-6, root, torch.ones_like(root))
    return Decomposition(
        kept=squares.cumsum(0),
        scores=squares if scores is None else scores,
        cut=lambda rank: (rows[:rank] / scale[:rank, None], basis[:, :rank] * scale[:rank]),
    )


def decompose_outputs(matrix: Tensor, *, covariance: Tensor, mean: Tensor) -> Decomposition:
    """The cut that keeps most of a layer's outputs instead of its weight (Zhang et al. 2015, arXiv 1505.06798, linear).

    The output y = Wx is projected on the top eigenvectors U of its covariance; what is dropped is replaced by its mean,
    which goes into the bias: (I - U U^T) E[y].

    Args:
        matrix: the weight (M, N).
        covariance: of the outputs, bias left out, (M, M).
        mean: of the outputs, bias left out, (M,).
    """
    values = _finite(matrix)
    variances, vectors = torch.linalg.eigh(covariance.double())
    basis = vectors.flip(1)
    cut = project(values, basis, scores=variances.flip(0).clamp(min=0))

    def shift(rank: int) -> Tensor:
        dropped: Tensor = mean - basis[:, :rank] @ (basis[:, :rank].T @ mean)
        return dropped

    return Decomposition(kept=cut.kept, scores=cut.scores, cut=cut.cut, shift=shift)


def decompose_groups(matrices: Tensor) -> Decomposition:
    """Truncated SVDs of several matrices (G, M, N), all of one rank.

    Returns: a decomposition whose `cut` gives first (G, R, N) and second (G, M, R).
    """
    left, values, right = torch.linalg.svd(_finite(matrices), full_matrices=False)
    root, squares = values.sqrt(), values.square().sum(0)
    return Decomposition(
        kept=squares.cumsum(0),
        scores=squares,
        cut=lambda rank: (right[:, :rank] * root[:, :rank, None], left[:, :, :rank] * root[:, None, :rank]),
    )


def decompose_modes(weight: Tensor, ranks: Callable[[int], tuple[int, int]], *, largest: int) -> Decomposition:
    """Tucker-2 by truncated higher-order SVD of a weight (O, I, H, W) (Kim et al. 2016, arXiv 1511.06530).

    Args:
        weight: the kernel.
        ranks: rank -> (input rank, output rank).
        largest: the largest rank.

    Returns: a decomposition whose `cut` gives (r1, I), (r2, r1, H, W) and (O, r2).
    """
    values = _finite(weight)
    outs = _eigenvectors(_gram(values))
    ins = _eigenvectors(_gram(values.transpose(0, 1)))
    core = torch.einsum("oihw,op,iq->pqhw", values, outs, ins)
    squares = core.square().sum((2, 3)).cumsum(0).cumsum(1)
    kept = torch.stack([squares[r2 - 1, r1 - 1] for r1, r2 in map(ranks, range(1, largest + 1))])

    def cut(rank: int) -> tuple[Tensor, ...]:
        r1, r2 = ranks(rank)
        return ins[:, :r1].T, core[:r2, :r1], outs[:, :r2]

    return Decomposition(kept=kept, scores=torch.diff(kept, prepend=kept.new_zeros(1)).clamp(min=0), cut=cut)


def _gram(weight: Tensor) -> Tensor:
    flat = weight.flatten(1)
    return flat @ flat.T


def _eigenvectors(gram: Tensor) -> Tensor:
    """Eigenvectors of a symmetric matrix, that of the largest eigenvalue first."""
    vectors: Tensor = torch.linalg.eigh(gram).eigenvectors
    return vectors.flip(1)


def _finite(weight: Tensor) -> Tensor:
    values = weight.detach().to(torch.float64)
    if not bool(torch.isfinite(values).all()):
        raise ValueError("weight must be finite to be decomposed, got NaN or infinity")
    return values


def product_singular_values(second: Tensor, first: Tensor) -> Tensor:
    """Singular values of second (M, R) @ first (R, N) without forming it, through the R x R core of two QRs.

    Of stacks (G, M, R) and (G, R, N) each is the root of the sum of its squares over all.
    """
    left = torch.linalg.qr(second.detach().double(), mode="r").R
    right = torch.linalg.qr(first.detach().double().mT, mode="r").R
    values: Tensor = torch.linalg.svdvals(left @ right.mT)
    return values if values.dim() == 1 else values.square().sum(0).sqrt()


def numerical_rank(singular_values: Tensor, *, shape: tuple[int, int], dtype: torch.dtype) -> int:
    """How many singular values of an (M, N) matrix stand above rounding: s > s_max * max(M, N) * eps of its dtype.

    The tolerance is that of `numpy.linalg.matrix_rank` (Press et al. 2007, Numerical Recipes, 3rd ed., p. 795).
    """
    tolerance = singular_values.max() * max(shape) * torch.finfo(dtype).eps
    return int((singular_values > tolerance).sum())
