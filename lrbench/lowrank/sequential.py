"""Output truncation one layer after another, each made to repair what the layers before it lost.

Zhang et al. 2015, arXiv 1505.06798, asymmetric reconstruction, linear case: a layer of the compressed network sees
other inputs than the dense layer did. Fitting its outputs to the dense ones is a reduced-rank regression (Izenman
1975, Journal of Multivariate Analysis 5).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.lowrank.compress import compress
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.factors import weight_of
from lrbench.lowrank.moments import output_rows
from lrbench.lowrank.schemes import SCHEMES
from lrbench.lowrank.svd import Decomposition, project

RIDGE = 0.01
"""How strongly the regression is pulled towards the identity, as a share of the mean output variance."""


@dataclass(frozen=True)
class JointMoments:
    """Of a layer's outputs, bias left out: x in the compressed network, y in the dense one. Float64.

    Means (O,), covariance of x and cross-covariance of y with x, (O, O).
    """

    x_mean: Tensor
    y_mean: Tensor
    xx: Tensor
    yx: Tensor


def compress_sequentially(
    model: nn.Module, cuts: Iterable[Cut], *, batches: Callable[[], Iterable[Tensor]]
) -> nn.Module:
    """A copy of a model with layers truncated in turn, each fitted to the dense outputs on what reaches it.

    Layers whose scheme does not read outputs are truncated plainly; those after them repair what that loses.

    Args:
        model: left alone, in eval mode.
        cuts: in the order of the forward pass; those without a rank stay dense.
        batches: gives the calibration images from the start at each call, (N, C, H, W) on the model's device.

    Raises: ValueError as `compress` does, or when there are no images.
    """
    small = model
    for cut in cuts:
        if cut.rank is None:
            continue
        if not SCHEMES[cut.scheme].reads_outputs:
            small = compress(small, [replace(cut, truncation="plain")])
            continue
        moments = _gather(model, small, name=cut.layer, batches=batches())
        decomposition = decompose_regression(weight_of(model.get_submodule(cut.layer)).flatten(1), moments)
        small = compress(small, [cut], decompose={cut: decomposition}.__getitem__)
    return small


def decompose_regression(matrix: Tensor, moments: JointMoments) -> Decomposition:
    """The cut of a weight (M, N) whose outputs predict the dense ones best, at every rank.

    The best linear map from x to y is B = C_yx C_xx^-1; the best of rank R projects its predictions on the top
    eigenvectors U of B C_xx B^T. The factors are U and U^T B W, and the bias gains E[y] - U U^T B E[x].
    """
    ridge = RIDGE * moments.xx.diagonal().mean() * torch.eye(len(moments.xx)).to(moments.xx)
    predict = torch.linalg.solve(moments.xx + ridge, (moments.yx + ridge).T).T
    predicted = predict @ moments.xx @ predict.T
    variances, vectors = torch.linalg.eigh((predicted + predicted.T) / 2)
    basis = vectors.flip(1)
    cut = project(predict @ matrix.detach().double(), basis, scores=variances.flip(0).clamp(min=0))

    def shift(rank: int) -> Tensor:
        kept = basis[:, :rank] @ (basis[:, :rank].T @ (predict @ moments.x_mean))
        gained: Tensor = moments.y_mean - kept
        return gained

    return Decomposition(kept=cut.kept, scores=cut.scores, cut=cut.cut, shift=shift)


def _gather(model: nn.Module, small: nn.Module, *, name: str, batches: Iterable[Tensor]) -> JointMoments:
    """Stream the joint moments of one layer's outputs in both networks."""
    seen: dict[str, Tensor] = {}

    def watch(network: nn.Module, key: str) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
            seen[key] = output_rows(module, output)

        return network.get_submodule(name).register_forward_hook(hook)

    # Before the first cut both names mean one module, so that one network is run after the other with its own hook.
    count, sums = 0, [torch.zeros((), dtype=torch.float64)] * 4
    with torch.no_grad():
        for images in batches:
            for network, key in ((model, "y"), (small, "x")):
                handle = watch(network, key)
                network(images)
                handle.remove()
            x, y = seen["x"], seen["y"]
            count += len(x)
            sums = [a.to(x.device) + b for a, b in zip(sums, (x.sum(0), y.sum(0), x.T @ x, y.T @ x), strict=True)]
    if count == 0:
        raise ValueError("moments need at least one calibration image, got none")
    x_mean, y_mean, xx, yx = (total / count for total in sums)
    return JointMoments(
        x_mean=x_mean, y_mean=y_mean, xx=xx - torch.outer(x_mean, x_mean), yx=yx - torch.outer(y_mean, x_mean)
    )
