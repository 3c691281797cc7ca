"""What a layer's outputs lose when it alone is replaced: measured on the inputs that the dense model gives it."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lrbench.lowrank.moments import output_rows


def output_errors(
    model: nn.Module, name: str, replacements: Sequence[nn.Module], batches: Iterable[Tensor]
) -> tuple[float, ...]:
    """The mean square of what each replacement loses of a layer's outputs, over the variance of these outputs.

    One pass of the dense model serves all replacements, each of which sees the layer's own inputs. Where the model has
    batch norm, shifts of the mean are left out: re-estimation repairs them. For output truncation with the same images
    it is the share of the output variance that was dropped.

    Args:
        model: left as it was.
        name: of a convolution or linear layer.
        replacements: take the layer's inputs.
        batches: images (N, C, H, W), on the model's device.

    Raises: ValueError when there are no images.
    """
    centred = any(isinstance(module, _BatchNorm) for module in model.modules())
    sums: list[tuple[Tensor, Tensor]] = []
    count = 0

    def watch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        nonlocal count, sums
        rows = output_rows(module, output)
        lost = (output_rows(module, replacement(*args, **kwargs)) - rows for replacement in replacements)
        batch_sums = [(values.sum(0), values.square().sum(0)) for values in (rows, *lost)]
        sums = [(a + c, b + d) for (a, b), (c, d) in zip(sums, batch_sums, strict=True)] if sums else batch_sums
        count += len(rows)

    training = model.training
    model.eval()
    handle = model.get_submodule(name).register_forward_hook(watch, with_kwargs=True)
    try:
        with torch.no_grad():
            for images in batches:
                model(images)
    finally:
        handle.remove()
        model.train(training)
    if not sums:
        raise ValueError("output errors need at least one calibration image, got none")

    def mean_square(total: Tensor, squares: Tensor, *, centre: bool) -> float:
        return float((squares / count - (total / count).square() * centre).clamp(min=0).sum())

    variance, *errors = (
        mean_square(total, squares, centre=centred or i == 0) for i, (total, squares) in enumerate(sums)
    )
    return tuple(error / variance if variance > 0 else 0.0 for error in errors)
