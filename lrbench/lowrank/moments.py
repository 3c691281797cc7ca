"""What calibration images say about a model: moments of layers' outputs, and batch norm's running statistics."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lrbench.lowrank.factors import weight_of


@dataclass(frozen=True)
class Moments:
    """Of a layer's outputs, bias left out: mean (O,) and covariance (O, O), float64."""

    mean: Tensor
    covariance: Tensor


def output_rows(module: nn.Module, output: Tensor) -> Tensor:
    """A layer's outputs, bias taken off, as rows (P, O) of float64, one for each position.

    Outputs are (N, O, H, W), (N, O, W) or (..., O).
    """
    output = output.detach()
    is_convolution = isinstance(module, nn.Conv1d | nn.Conv2d)
    last = output.movedim(1 - weight_of(module).dim(), -1) if is_convolution else output  # also of one sample
    rows = last.to(torch.float64, memory_format=torch.contiguous_format).reshape(-1, last.shape[-1])
    return rows - module.bias.detach().double() if isinstance(module.bias, Tensor) else rows


def gather_moments(model: nn.Module, names: Iterable[str], batches: Iterable[Tensor]) -> dict[str, Moments]:
    """Mean and covariance of layers' outputs, over images and positions, in one pass of the model in eval mode.

    Sums are streamed in float64; no activations are held.

    Args:
        model: left as it was.
        names: of convolutions and linear layers.
        batches: images (N, C, H, W), on the model's device.

    Raises: ValueError when there are no images.
    """
    sums: dict[str, tuple[int, Tensor, Tensor]] = {}

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
            rows = output_rows(module, output)
            count, total, squares = sums.get(name, (0, 0.0, 0.0))
            sums[name] = (count + len(rows), total + rows.sum(0), squares + rows.T @ rows)

        return model.get_submodule(name).register_forward_hook(hook)

    handles = [watch(name) for name in names]
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            for images in batches:
                model(images)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    if handles and not sums:
        raise ValueError("moments need at least one calibration image, got none")
    return {
        name: Moments(total / count, squares / count - torch.outer(total / count, total / count))
        for name, (count, total, squares) in sums.items()
    }


def reestimate_batch_norm_(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of every batch norm by those of these images (in place); nothing else changes.

    After truncation activations have other means and variances than batch norm remembers (Li et al. 2020, EagleEye,
    arXiv 2007.02491). Every batch counts the same.

    Args:
        model: left in eval mode.
        batches: images (N, C, H, W), on the model's device; two or more in each.
    """
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean over batches
        norm.train()
    try:
        with torch.no_grad():
            for images in batches:
                model(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()
