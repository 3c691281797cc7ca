"""Trained weights kept as safetensors under the digest of what made them, with the epochs that led there.

A tensor that a model holds under several names is kept once, under the first of them.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lrbench.learn.odd_state import ODD, odd_state, restore_odd_
from lrbench.limits import writing
from lrbench.results.records import Epoch, KeptStage
from lrbench.whole import replacing

_epochs: TypeAdapter[tuple[Epoch, ...]] = TypeAdapter(tuple[Epoch, ...])


def weights_path(weights: Path, key: str) -> Path:
    """Where the weights of a training are kept, in the directory of trained weights."""
    return weights / f"{key}.safetensors"


def first_names(model: nn.Module) -> dict[str, str]:
    """By name of a tensor, the first of the names under which the model holds it."""
    firsts: dict[Any, str] = {}
    return {name: firsts.setdefault(_place(tensor), name) for name, tensor in sorted(tensors_of(model).items())}


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """A model's tensors by name; what else its state holds is left out."""
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def _place(tensor: Tensor) -> Any:
    """What two names of one tensor have in common."""
    where = tensor.untyped_storage().data_ptr() or id(tensor)
    return where, tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()), str(tensor.device), tensor.dtype


def save_weights(model: nn.Module, path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a model's tensors, plain and contiguous, whatever they share or however they lie; raises what fails."""
    save_file(_kept(model), str(path), metadata=dict(metadata) if metadata else None)


def _kept(model: nn.Module) -> dict[str, Tensor]:
    """What is kept of a model: each tensor once, plain and contiguous; also those that are plain attributes."""
    tensors = tensors_of(model)
    names = [name for name, first in first_names(model).items() if name == first]
    kept = {name: tensors[name] for name in names} | odd_state(model)
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in kept.items()}


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """A digest of tensors and their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def load_weights(model: nn.Module, path: Path) -> None:
    """Load kept weights into a model (in place).

    Raises: RuntimeError when the weights are another model's; what the reader raises when the file is damaged.
    """
    file, firsts = load_file(path), first_names(model)
    kept = {name: value for name, value in file.items() if not name.startswith(ODD)}
    restore_odd_(model, {name: value for name, value in file.items() if name.startswith(ODD)})
    by_first = {firsts.get(name, name): value for name, value in kept.items()}
    whole = {name: by_first[first] for name, first in firsts.items() if first in by_first}
    others = {name: value for name, value in model.state_dict().items() if name not in firsts}
    model.load_state_dict({**kept, **whole, **others})


def keep_weights(model: nn.Module, path: Path, *, epochs: tuple[Epoch, ...], stage: KeptStage | None = None) -> None:
    """Write a model's weights, through a temporary name, flushed; `stage` is that of a trial before any training.

    Raises: InputError when the disk refuses them.
    """
    notes = {"epochs": _epochs.dump_json(epochs).decode(), "sha256": _digest(_kept(model))}
    notes |= {"stage": stage} if stage else {}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, SafetensorError) as part:
        save_weights(model, part, metadata=notes)


def is_training(path: Path) -> bool:
    """Whether kept weights are those that a training ended with, and not those of an earlier stage of a trial."""
    with safe_open(path, framework="pt") as file:
        return "stage" not in (file.metadata() or {})


def fits(model: nn.Module, path: Path) -> bool:
    """Whether kept weights have a model's shapes."""
    shapes = {name: tuple(tensor.shape) for name, tensor in (model.state_dict() | odd_state(model)).items()}
    with safe_open(path, framework="pt") as file:
        return all(shapes.get(name) == tuple(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def recall_weights(model: nn.Module, path: Path) -> tuple[Epoch, ...]:
    """Load kept weights into a model (in place), and give the epochs that led there.

    Raises: RuntimeError when the weights are another model's; ValueError when they are not as they were written, then
        the model is left as it was; what the reader raises when the file is damaged.
    """
    with safe_open(path, framework="pt") as file:
        notes = file.metadata() or {}
    epochs = _epochs.validate_json(notes["epochs"])
    if "sha256" in notes and notes["sha256"] != _digest(load_file(path)):  # files of earlier versions have none
        raise ValueError("its tensors are not those that were written")
    load_weights(model, path)
    return epochs
