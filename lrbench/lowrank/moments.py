"""What calibration images say about a model: moments of layers' outputs and inputs, and batch norm's statistics."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from lrbench.lowrank.factors import weight_of
from lrbench.lowrank.plain import Plain, plain_of

LEAST = 1e-30
"""The least variance of inputs and outputs, and norm of weights: they may be constant, or nothing."""

HELD_BYTES = 2**26
"""How much of a layer's patches is held at a time; more images of a batch come after one another."""


@dataclass(frozen=True)
class Moments:
    """Of a layer's outputs, bias left out: mean (O,) and covariance (O, O), float64."""

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class InputMoments:
    """Of the patches of the input that a layer's kernel meets, in each of G groups, float64.

    Attributes:
        mean: (G, D), D entries I/G*H*W of a patch.
        root: (G, K, D), of which root^T root is the covariance; K is the number of patches, or D if there are more.
        count: of patches, over images and positions.
    """

    mean: Tensor
    root: Tensor
    count: int


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Patches seen so far: they themselves (G, P, D) while these are the smaller, else the sum of their products.

    Attributes:
        count: P.
        total: their sum, (G, D).
        rows: some that are not in `squares`.
        squares: (G, D, D), None when there is none.
    """

    count: int
    total: Tensor
    rows: Tensor
    squares: Tensor | None

    def moments(self) -> InputMoments:
        """Their moments."""
        mean = self.total / self.count
        if self.squares is None:
            return InputMoments(mean=mean, root=(self.rows - mean.unsqueeze(1)) / self.count**0.5, count=self.count)
        products = self.squares / self.count
        covariance = products - mean.unsqueeze(2) * mean.unsqueeze(1)
        least = 1e-9 * products.diagonal(dim1=1, dim2=2).mean(1).clamp(min=LEAST)  # above what the difference rounds
        covariance.diagonal(dim1=1, dim2=2).add_(least.unsqueeze(1))
        return InputMoments(mean=mean, root=torch.linalg.cholesky(covariance).mT, count=self.count)


def output_rows(module: nn.Module, output: Tensor) -> Tensor:
    """A layer's outputs, bias taken off, as rows (P, O) of float64, one for each position.

    Outputs are (N, O, H, W), (N, O, W) or (..., O).
    """
    output = output.detach()
    is_convolution = isinstance(module, nn.Conv1d | nn.Conv2d)
    last = output.movedim(1 - weight_of(module).dim(), -1) if is_convolution else output  # also of one sample
    rows = last.to(torch.float64, memory_format=torch.contiguous_format).reshape(-1, last.shape[-1])
    return rows - module.bias.detach().double() if isinstance(module.bias, Tensor) else rows


def convolution_of(module: nn.Module) -> Plain:
    """A convolution as plain modules; it is looked at before it is watched, since that may run it.

    Raises: ValueError when it is something else.
    """
    plain = plain_of(module)
    if isinstance(plain, str) or not isinstance(plain.core, nn.Conv1d | nn.Conv2d):
        raise ValueError(f"inputs of convolutions alone have patches, not those of {type(module).__name__}")
    return plain


def add_patches(before: Patches | None, layer: Plain, inputs: Tensor) -> Patches:
    """The patches of a layer's input, added to those of before.

    Args:
        before: those of before.
        layer: a convolution, perhaps behind a pad.
        inputs: (N, I, H, W), (N, I, W), or one sample.
    """
    core = layer.core
    assert isinstance(core, nn.Conv1d | nn.Conv2d)
    padded = inputs.detach() if layer.pad is None else layer.pad(inputs.detach())
    axes = len(core.kernel_size)
    images = padded.reshape(-1, *padded.shape[-1 - axes :])
    mode = "constant" if core.padding_mode == "zeros" else core.padding_mode
    images = functional.pad(images, core._reversed_padding_repeated_twice, mode=mode)
    flat = [1] * (2 - axes)  # a one-dimensional convolution is one of height 1
    images = images.reshape(*images.shape[:2], *flat, *images.shape[2:])
    kernel, dilation, stride = ((*flat, *sizes) for sizes in (core.kernel_size, core.dilation, core.stride))
    positions = images[0, 0].numel() // prod(core.stride)
    held = max(1, HELD_BYTES // (8 * images.shape[1] * torch.Size(kernel).numel() * positions))
    for few in torch.split(images, held):
        columns = functional.unfold(few.double(), kernel, dilation=dilation, stride=stride)
        rows = columns.reshape(len(few), core.groups, -1, columns.shape[2]).permute(1, 0, 3, 2).flatten(1, 2)
        before = _joined(before, rows)
    assert before is not None
    return before


def _joined(before: Patches | None, rows: Tensor) -> Patches:
    """Patches with more rows (G, P, D)."""
    if before is None:
        before = Patches(count=0, total=rows.new_zeros(1), rows=_none_of(rows), squares=None)
    rows, total = torch.cat([before.rows, rows], 1), before.total + rows.sum(1)
    count, squares = before.count + rows.shape[1] - before.rows.shape[1], before.squares
    if squares is None and count <= rows.shape[2]:
        return Patches(count=count, total=total, rows=rows, squares=None)
    squares = (0.0 if squares is None else squares) + rows.mT @ rows
    return Patches(count=count, total=total, rows=_none_of(rows), squares=squares)


def _none_of(rows: Tensor) -> Tensor:
    """No rows; a slice of some would keep them all in memory."""
    return rows.new_empty(len(rows), 0, rows.shape[2])


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

    def see(name: str, module: nn.Module, _: Tensor, output: Tensor) -> None:
        rows = output_rows(module, output)
        count, total, squares = sums.get(name, (0, 0.0, 0.0))
        sums[name] = (count + len(rows), total + rows.sum(0), squares + rows.T @ rows)

    _watch(model, names, batches, see)
    return {
        name: Moments(total / count, squares / count - torch.outer(total / count, total / count))
        for name, (count, total, squares) in sums.items()
    }


def gather_inputs(model: nn.Module, names: Iterable[str], batches: Iterable[Tensor]) -> dict[str, InputMoments]:
    """Moments of the inputs of convolutions, else as `gather_moments`."""
    patches: dict[str, Patches] = {}
    layers = {name: convolution_of(model.get_submodule(name)) for name in names}

    def see(name: str, _: nn.Module, inputs: Tensor, __: Tensor) -> None:
        patches[name] = add_patches(patches.get(name), layers[name], inputs)

    _watch(model, layers, batches, see)
    return {name: found.moments() for name, found in patches.items()}


def _watch(
    model: nn.Module,
    names: Iterable[str],
    batches: Iterable[Tensor],
    see: Callable[[str, nn.Module, Tensor, Tensor], None],
) -> None:
    """Run images through a model in eval mode, and let a function see the input and output of each call of layers.

    Raises: ValueError when there are no images.
    """
    seen = False

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
            see(name, module, next(iter((*args, *kwargs.values()))), output)

        return model.get_submodule(name).register_forward_hook(hook, with_kwargs=True)

    handles = [watch(name) for name in names]
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            for images in batches:
                model(images)
                seen = True
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    if handles and not seen:
        raise ValueError("moments need at least one calibration image, got none")


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
