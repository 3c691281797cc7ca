"""One call of a model: by the shape of an image, or by whatever a user passes to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

Example = Sequence[int] | Tensor | Sequence[Any] | Mapping[str, Any]
"""The shape of one image (C, H, W); or an input with its batch; or several, in a sequence or by keyword."""

Call = Callable[[nn.Module], Any]
"""Runs a model once, and gives its output."""


def call_of(example: Example) -> Call:
    """A call with an example: of a mere shape, one image of zeros in the dtype and on the device of the model."""
    if isinstance(example, Tensor):
        return lambda model: model(example)
    if isinstance(example, Mapping):
        return lambda model: model(**example)
    if all(isinstance(size, int) for size in example):
        return lambda model: model(torch.zeros(1, *example, **place_of(model)))
    return lambda model: model(*example)


def random_call(shape: Sequence[int]) -> Call:
    """A call with a random image, always the same."""
    values = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    return lambda model: model(values.to(**place_of(model)))


def place_of(model: nn.Module) -> dict[str, Any]:
    """The dtype and the device of a model: those of its first weight of real numbers."""
    tensors = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
    first = next(tensors, torch.zeros(()))
    return {"dtype": first.dtype, "device": first.device}


def tensors_of(output: Any) -> Iterator[Tensor]:
    """The tensors in an output: it may be one, or hold them in sequences, mappings and records."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from tensors_of(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from tensors_of(value)
    elif is_dataclass(output) and not isinstance(output, type):
        for field in fields(output):
            yield from tensors_of(getattr(output, field.name))
