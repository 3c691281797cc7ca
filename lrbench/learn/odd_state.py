"""State that a model keeps beside its state dict: arrays and tensors that are plain attributes of its modules."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ODD = "attribute "
"""Before the names of such state, which no parameter begins with: `attribute layer1.0 scale`."""

_OWN = frozenset(vars(nn.Module()))
"""What every module has."""
_KINDS = "biuf"
"""Kinds of numpy's types that can be kept: booleans, whole and real numbers."""


def odd_state(model: nn.Module) -> dict[str, Tensor]:
    """Arrays, numbers of numpy and tensors that are plain attributes of a model's modules, as tensors by name."""
    return {
        f"{ODD}{name} {attribute}": tensor
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if attribute not in _OWN and (tensor := _as_tensor(value)) is not None
    }


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _KINDS:
        return torch.from_numpy(np.array(value, order="C"))  # a copy
    return None


def restore_odd_(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Set such attributes again (in place), each of the type that it has in the model.

    Raises: KeyError or AttributeError when the model has no such attribute.
    """
    for name, tensor in tensors.items():
        path, _, attribute = name.removeprefix(ODD).rpartition(" ")
        module = model.get_submodule(path)
        setattr(module, attribute, _like(getattr(module, attribute), tensor))


def _like(value: Any, tensor: Tensor) -> Any:
    """A tensor as the type of a value."""
    if isinstance(value, Tensor):
        return tensor.to(value.device)
    array = tensor.cpu().numpy().astype(value.dtype)
    return array[()] if isinstance(value, np.generic) else array
