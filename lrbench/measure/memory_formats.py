"""Whether a model computes the same in the memory format channels_last, tried on two random images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lrbench.guard import Interrupted, reason_of, user_code
from lrbench.lowrank.copies import copy_of
from lrbench.lowrank.examples import place_of, tensors_of

WITHIN = 1e-3
"""Largest difference of outputs, as a share of their norm: memory formats sum in another order."""


def refuses_channels_last(model: nn.Module, shape: Sequence[int]) -> str:
    """Why a model cannot be trained or timed in channels_last, in words; "" where it can.

    A `.view` may fail on such images, and parameters of five dimensions do not take the format. What fails anyway, or
    gives other outputs from call to call, is not held against it.

    Args:
        model: left alone.
        shape: of one image, (C, H, W).
    """
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).to(**place_of(model))
    expected = _outputs(model, images, torch.contiguous_format)
    given = _outputs(model, images, torch.channels_last)
    if isinstance(expected, str):
        return ""
    if isinstance(given, str):
        return f"in it the model raises {given}"
    if _close(given, expected) or not _close(_outputs(model, images, torch.contiguous_format), expected):
        return ""
    return "in it the model gives other outputs"


def _outputs(model: nn.Module, images: Tensor, memory_format: torch.memory_format) -> list[Tensor] | str:
    """The outputs of a copy of a model in a memory format, or what it raises."""
    try:
        with user_code(), torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            placed = copy_of(model).eval().to(memory_format=memory_format)
            return list(tensors_of(placed(images.contiguous(memory_format=memory_format))))
    except Interrupted:
        raise
    except BaseException as error:  # whatever torch or the model's own code raises
        return " ".join(reason_of(error).split())


def _within(output: Tensor) -> float:
    """`WITHIN`, or what number formats of few digits round."""
    return max(WITHIN, 4 * torch.finfo(output.dtype).eps) if output.is_floating_point() else WITHIN


def _close(outputs: list[Tensor] | str, expected: list[Tensor]) -> bool:
    if isinstance(outputs, str) or [one.shape for one in outputs] != [other.shape for other in expected]:
        return False
    return all(
        float((one - other).norm()) <= _within(other) * float(other.norm())
        for one, other in zip(outputs, expected, strict=True)
    )
