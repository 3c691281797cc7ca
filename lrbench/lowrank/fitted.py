"""Factors that keep most of a layer's outputs, for schemes whose second layer looks at more than one position.

There no closed form is known. Given the first factor the best second one is a least squares, so that the error is a
function of the first alone (variable projection; Golub & Pereyra 1973, SIAM Journal on Numerical Analysis 10), which
L-BFGS makes small. It starts at the truncated SVD of the weight whitened by the covariance of the inputs, taken for the
product of one over what the first factor reads and one over the positions of the second: then nearly all is done. The
norm is that of the inputs' covariance (Tucker-2 in it by alternating least squares: arXiv 2511.04494).

Shapes: G groups, O outputs of each, R rank. An entry of a patch (D of them) is (a, b): A entries that the first factor
reads, B positions of the kernel for the second. A weight is then (G, O, A, B), first (G, R, A), second (G, O, B, R).
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from lrbench.lowrank.moments import LEAST, InputMoments
from lrbench.lowrank.schemes import Scheme
from lrbench.lowrank.svd import Decomposition

VERSION = 1
"""Raised when other factors come out; trials that have such say it in their keys."""

STEPS, GAIN = 20, 1e-3
"""L-BFGS ends after so many steps, or when one lowers the error by a smaller share."""

TUCKER2 = 3
"""Factors of Tucker-2."""

RIDGE = 1e-6
"""What the covariance gains on its diagonal, as a share of its mean there: else it may have no inverse."""

SHRINK = 0.1
"""The same, for each entry of a patch that there is for each patch: few images say little of the covariance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Problem:
    """Find factors whose outputs are near those of a target.

    Attributes:
        rows: of the root of the covariance of patches, (G, K, B, A).
        ridge: what the covariance gains on its diagonal, (G, 1, 1).
        seen: target times covariance, (G, O, B, A).
        total: the variance of the target's outputs.
    """

    rows: Tensor
    ridge: Tensor
    seen: Tensor
    total: float

    def best_second(self, first: Tensor, outs: int | None) -> tuple[Tensor, float, Tensor]:
        """The best second factor, the error of both as a share of the total, and its slope in the first.

        outs: the rank of second as a matrix (O, B*R), None when full (reduced-rank regression, Izenman 1975).
        """
        (groups, rank, _), b = first.shape, self.rows.shape[2]
        met = (self.rows @ first.mT.unsqueeze(1)).flatten(2)  # what the second factor sees, (G, K, B*R)
        alone = self.ridge * (first @ first.mT)
        gram = met.mT @ met
        gram.view(groups, b, rank, b, rank).diagonal(dim1=1, dim2=3).add_(alone.unsqueeze(3))
        gram.diagonal(dim1=1, dim2=2).add_(LEAST)  # a weight of a lower rank has components of nothing
        cross = (self.seen @ first.mT.unsqueeze(1)).flatten(2)
        second = torch.cholesky_solve(cross.mT, torch.linalg.cholesky_ex(gram).L).mT
        if outs is not None:
            basis = torch.linalg.eigh(second @ cross.mT).eigenvectors[..., -outs:]
            second = basis @ (basis.mT @ second)
        error = 1 + float(((second @ gram - 2 * cross) * second).sum()) / self.total
        pairs = second.mT @ second
        second = second.reshape(groups, -1, b, rank)
        push = (met @ pairs).reshape(groups, -1, b, rank).permute(0, 2, 3, 1) @ self.rows.transpose(1, 2)
        own = pairs.reshape(groups, b, rank, b, rank).diagonal(dim1=1, dim2=3).sum(-1) @ first * self.ridge
        pull = second.permute(0, 2, 3, 1) @ self.seen.transpose(1, 2)
        return second, error, 2 * ((push - pull).sum(1) + own) / self.total


def decompose_fitted(
    kernel: Tensor, scheme: Scheme, *, inputs: InputMoments, target: Tensor | None = None, mean: Tensor | None = None
) -> Decomposition:
    """The cut whose outputs are nearest to the layer's on what it meets, at every rank; each is fitted when it is cut.

    Args:
        kernel: of the layer, as `kernel_of` reads it.
        scheme: one that has `positions`.
        inputs: moments of what the layer meets.
        target: the kernel (of the same shape) whose outputs are wanted; the layer's own when left out.
        mean: of the outputs wanted, bias left out, (O,); those of the target when left out.

    Returns: a decomposition whose scores are those of the whitened weight.
    """
    assert scheme.positions is not None
    own = kernel.detach().double()
    wanted = own if target is None else target.detach().double()
    groups, size = inputs.mean.shape
    b = scheme.positions(kernel.shape[-2], kernel.shape[-1])
    start, unwhiten = _whitened(wanted, scheme, inputs, b)

    @cache
    def fit(rank: int) -> tuple[Tensor, Tensor, int | None]:
        factors = start.cut(rank)
        outs = factors[-1].shape[-1] if len(factors) == TUCKER2 else None
        problem = _problem(wanted.reshape(groups, -1, size), inputs, b)
        return *_improve(problem, factors[0].reshape(groups, -1, size // b), unwhiten, outs), outs

    def product(rank: int) -> Tensor:
        first, second, _ = fit(rank)
        return (second @ first.unsqueeze(1)).mT.flatten(2)

    def cut(rank: int) -> tuple[Tensor, ...]:
        first, second, outs = fit(rank)
        if outs is not None:
            return _three(first[0], second[0], outs, kernel.shape)
        pair = _balanced(first, second.flatten(1, 2))
        return pair if groups > 1 else (pair[0][0], pair[1][0])

    def shift(rank: int) -> Tensor:
        wanted_mean = wanted.reshape(groups, -1, size) @ inputs.mean.unsqueeze(2) if mean is None else mean
        lost: Tensor = wanted_mean.flatten() - (product(rank) @ inputs.mean.unsqueeze(2)).flatten()
        return lost

    def error(rank: int) -> float:
        return float((own.reshape(groups, -1, size) - product(rank)).norm() / own.norm().clamp(min=LEAST))

    return Decomposition(kept=start.kept, scores=start.scores, cut=cut, shift=shift, error=error)


def _problem(wanted: Tensor, inputs: InputMoments, b: int) -> _Problem:
    """Of a target (G, O, D); it is made for each rank anew, since what it holds may be large."""
    groups, size = inputs.mean.shape
    ridge = _ridge(inputs)
    seen = (wanted @ inputs.root.mT) @ inputs.root + ridge * wanted
    rows, seen_split = (values.reshape(groups, -1, size // b, b).mT.contiguous() for values in (inputs.root, seen))
    return _Problem(rows=rows, ridge=ridge, seen=seen_split, total=max(float((seen * wanted).sum()), LEAST))


def _whitened(wanted: Tensor, scheme: Scheme, inputs: InputMoments, b: int) -> tuple[Decomposition, Tensor]:
    """The decomposition of the whitened weight, and what a first factor of it is multiplied by to be one of the weight.

    The covariance is taken for the product of its traces over A and over B.
    """
    groups, size = inputs.mean.shape
    a, ridge = size // b, _ridge(inputs)
    rows = inputs.root.reshape(groups, -1, a, b)
    over_b, over_a = rows.mT.flatten(1, 2), rows.flatten(1, 2)
    root_a, inverse_a = _roots(over_b.mT @ over_b + b * ridge * torch.eye(a).to(rows))
    root_b, _ = _roots(over_a.mT @ over_a + a * ridge * torch.eye(b).to(rows))
    split = wanted.reshape(groups, -1, a, b)
    whitened = root_a.unsqueeze(1) @ split @ root_b.unsqueeze(1)
    return scheme.decompose(whitened.reshape(wanted.shape)), inverse_a


def _improve(problem: _Problem, start: Tensor, unwhiten: Tensor, outs: int | None) -> tuple[Tensor, Tensor]:
    """First and second factor after L-BFGS, from a first factor of the whitened weight.

    What it moves is scaled so that each component of a factor bends the error alike.
    """
    second, error, _ = problem.best_second(start @ unwhiten, outs)
    sizes = second.square().sum((1, 2)).sqrt().unsqueeze(2)
    scale = 1 / sizes.clamp(min=max(1e-4 * float(sizes.max()), LEAST))
    moved = (start / scale).requires_grad_(True)
    best, errors = (start @ unwhiten, second), [error]

    def closure() -> float:
        nonlocal best
        with torch.no_grad():
            first = (scale * moved) @ unwhiten
            second, error, slope = problem.best_second(first, outs)
            moved.grad = scale * (slope @ unwhiten)
        if error < errors[-1]:
            best = first, second
            errors[-1] = error
        return error

    search = torch.optim.LBFGS([moved], max_iter=1, line_search_fn="strong_wolfe", tolerance_grad=0, tolerance_change=0)
    for _ in range(STEPS):
        errors.append(errors[-1])
        search.step(closure)  # type: ignore[no-untyped-call]
        if errors[-1] <= LEAST or errors[-1] > (1 - GAIN) * errors[-2]:
            break
    return best


def _ridge(inputs: InputMoments) -> Tensor:
    """What the covariance gains on its diagonal, (G, 1, 1)."""
    size = inputs.mean.shape[1]
    variance = inputs.root.square().sum((1, 2), keepdim=True) / size
    return (RIDGE + SHRINK * size / inputs.count) * variance.clamp(min=LEAST)


def _roots(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The symmetric roots of covariances (G, N, N), each over its mean variance, and their inverses."""
    values, vectors = torch.linalg.eigh(covariance / covariance.diagonal(dim1=1, dim2=2).mean(1)[:, None, None])
    roots = values.clamp(min=RIDGE).sqrt().unsqueeze(1)
    return (vectors * roots) @ vectors.mT, (vectors / roots) @ vectors.mT


def _balanced(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The same product of (G, R, A) and (G, M, R), the norm of each component shared evenly, the largest first."""
    (q1, r1), (q2, r2) = torch.linalg.qr(first.mT), torch.linalg.qr(second)
    left, values, right = torch.linalg.svd(r2 @ r1.mT)
    root = values.sqrt()
    return root.unsqueeze(2) * (right @ q1.mT), (q2 @ left) * root.unsqueeze(1)


def _three(first: Tensor, second: Tensor, outs: int, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
    """Factors (R, I), (outs, R, H, W) and (O, outs) of Tucker-2, the outer ones orthonormal.

    From (R, I) and (O, B, R) of rank outs.
    """
    basis, mixed = torch.linalg.qr(first.T)
    core = second @ mixed.T
    ends = torch.linalg.svd(core.flatten(1), full_matrices=False).U[:, :outs]
    inner = (ends.T @ core.flatten(1)).reshape(outs, *core.shape[1:])
    return basis.T, inner.mT.reshape(outs, -1, *shape[-2:]), ends
