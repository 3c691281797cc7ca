"""Output truncation one layer after another, each made to repair what the layers before it lost.

Zhang et al. 2015, arXiv 1505.06798, asymmetric reconstruction, linear case: a layer of the compressed network sees
other inputs than the dense layer did. Fitting its outputs to the dense ones is a reduced-rank regression (Izenman
1975, Journal of Multivariate Analysis 5). Schemes without a closed form are fitted to what this regression, at full
rank, makes of the weight.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.lowrank.compress import decompose_layer, factorized
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.cuts import Cut
from lrbench.lowrank.factors import kernel_of, weight_of
from lrbench.lowrank.fitted import decompose_fitted
from lrbench.lowrank.moments import LEAST, InputMoments, Patches, add_patches, convolution_of, output_rows
from lrbench.lowrank.passes import Batches, Networks, paired_outputs
from lrbench.lowrank.replace import core_of, replace_layer_
from lrbench.lowrank.schemes import SCHEMES, Scheme
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


@torch.no_grad()
def compress_sequentially(
    model: nn.Module,
    cuts: Iterable[Cut],
    *,
    batches: Batches,
    memory_bytes: float = 4e9,
    on_layer: Callable[[int, int], None] = lambda done, total: None,
) -> nn.Module:
    """A copy of a model with layers truncated in turn, each fitted to the dense outputs on what reaches it.

    Layers whose scheme is not data-aware are truncated plainly; those after them repair what that loses.

    Args:
        model: left alone, in eval mode.
        cuts: in the order of the forward pass (in another it takes longer); those without a rank stay dense.
        batches: gives the calibration images from the start at each call, (N, C, H, W) on the model's device.
        memory_bytes: how much of activations may be held between layers; with less the result takes longer.
        on_layer: called with the layers done and their number after each.

    Raises: ValueError as `compress` does, when there are no images, or when no forward pass calls a layer.
    """
    todo = factorized(model, cuts)
    fitted = [cut.layer for cut in todo if SCHEMES[cut.scheme].is_data_aware]
    small = copy_of(model)
    networks = Networks(dense=model, small=small, batches=batches, memory_bytes=memory_bytes)
    outputs = paired_outputs(networks, [cut.layer for cut in todo], wanted=fitted) if fitted else None
    for done, cut in enumerate(todo, 1):
        layer, scheme = model.get_submodule(cut.layer), SCHEMES[cut.scheme]
        if outputs is None or not scheme.is_data_aware:
            decomposition = decompose_layer(model, cut.layer, cut.scheme)
        elif scheme.reads_outputs:
            decomposition = decompose_regression(weight_of(layer).flatten(1), _gather(layer, outputs(cut.layer)))
        else:
            decomposition = _fit(
                layer, scheme, *_gather_both(layer, small.get_submodule(cut.layer), outputs(cut.layer))
            )
        replace_layer_(small, cut, decomposition)
        on_layer(done, len(todo))
    return small


def decompose_regression(matrix: Tensor, moments: JointMoments) -> Decomposition:
    """The cut of a weight (M, N) whose outputs predict the dense ones best, at every rank.

    The best linear map from x to y is B = C_yx C_xx^-1; the best of rank R projects its predictions on the top
    eigenvectors U of B C_xx B^T. The factors are U and U^T B W, and the bias gains E[y] - U U^T B E[x].
    """
    predict = _predictor(moments)
    predicted = predict @ moments.xx @ predict.T
    variances, vectors = torch.linalg.eigh((predicted + predicted.T) / 2)
    basis = vectors.flip(1)
    cut = project(predict @ matrix.detach().double(), basis, scores=variances.flip(0).clamp(min=0))

    def shift(rank: int) -> Tensor:
        kept = basis[:, :rank] @ (basis[:, :rank].T @ (predict @ moments.x_mean))
        gained: Tensor = moments.y_mean - kept
        return gained

    return Decomposition(kept=cut.kept, scores=cut.scores, cut=cut.cut, shift=shift)


def _predictor(moments: JointMoments, block: slice = slice(None)) -> Tensor:
    """The linear map from outputs of the small network to those of the dense one, pulled towards the identity."""
    xx, yx = moments.xx[block, block], moments.yx[block, block]
    ridge = RIDGE * xx.diagonal().mean().clamp(min=LEAST) * torch.eye(len(xx)).to(xx)
    predict: Tensor = torch.linalg.solve(xx + ridge, (yx + ridge).T).T
    return predict


def _fit(layer: nn.Module, scheme: Scheme, moments: JointMoments, inputs: InputMoments) -> Decomposition:
    """The factors, of a scheme that is fitted, whose outputs predict the dense ones best; of each group by itself."""
    kernel = kernel_of(core_of(layer))
    groups = len(inputs.mean)
    size = len(moments.x_mean) // groups
    blocks = [slice(start, start + size) for start in range(0, len(moments.x_mean), size)]
    weights = kernel.detach().double().reshape(groups, size, -1)
    target = torch.stack([_predictor(moments, block) @ weight for block, weight in zip(blocks, weights, strict=True)])
    return decompose_fitted(kernel, scheme, inputs=inputs, target=target.reshape(kernel.shape), mean=moments.y_mean)


def _gather_both(
    layer: nn.Module, here: nn.Module, pairs: Iterable[tuple[Tensor, Tensor]]
) -> tuple[JointMoments, InputMoments]:
    """The joint moments of a layer's outputs, and those of what it meets in the small network."""
    patches: list[Patches] = []
    plain = convolution_of(layer)

    def seen() -> Iterator[tuple[Tensor, Tensor]]:
        with _last_input(here) as inputs:
            for pair in pairs:
                patches[:] = [add_patches(patches[0] if patches else None, plain, inputs.pop())]
                inputs.clear()
                yield pair

    joint = _gather(layer, seen())
    return joint, patches[0].moments()


@contextmanager
def _last_input(module: nn.Module) -> Iterator[list[Tensor]]:
    """The inputs of a module's calls, the last at the end; the caller empties the list."""
    inputs: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs[:] = [next(iter((*args, *kwargs.values()))).detach().clone()]  # the next layer may work in place

    handle = module.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield inputs
    finally:
        handle.remove()


def _gather(layer: nn.Module, pairs: Iterable[tuple[Tensor, Tensor]]) -> JointMoments:
    """Stream the joint moments of a layer's outputs in the small network and in the dense one."""
    count, sums = 0, [torch.zeros((), dtype=torch.float64)] * 4
    for outputs in pairs:
        x, y = (output_rows(layer, output) for output in outputs)
        count += len(x)
        sums = [a.to(x.device) + b for a, b in zip(sums, (x.sum(0), y.sum(0), x.T @ x, y.T @ x), strict=True)]
    x_mean, y_mean, xx, yx = (total / count for total in sums)
    return JointMoments(
        x_mean=x_mean, y_mean=y_mean, xx=xx - torch.outer(x_mean, x_mean), yx=yx - torch.outer(y_mean, x_mean)
    )
