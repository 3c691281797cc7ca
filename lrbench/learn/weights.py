"""Trained weights kept as safetensors under the digest of what made them, with the epochs that led there."""

from pathlib import Path

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import nn

from lrbench.limits import writing
from lrbench.results.records import Epoch
from lrbench.whole import replacing

_epochs: TypeAdapter[tuple[Epoch, ...]] = TypeAdapter(tuple[Epoch, ...])


def weights_path(weights: Path, key: str) -> Path:
    """Where the weights of a training are kept, in the directory of trained weights."""
    return weights / f"{key}.safetensors"


def keep_weights(model: nn.Module, path: Path, *, epochs: tuple[Epoch, ...]) -> None:
    """Write a model's weights, through a temporary name, flushed.

    Raises: InputError when the disk refuses them.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, SafetensorError) as part:
        save_model(model, str(part), metadata={"epochs": _epochs.dump_json(epochs).decode()})


def fits(model: nn.Module, path: Path) -> bool:
    """Whether kept weights have a model's shapes."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    with safe_open(path, framework="pt") as file:
        return all(shapes.get(name) == tuple(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def recall_weights(model: nn.Module, path: Path) -> tuple[Epoch, ...]:
    """Load kept weights into a model (in place), and give the epochs that led there.

    Raises: RuntimeError when the weights are another model's.
    """
    load_model(model, path, device=str(next(model.parameters()).device))
    with safe_open(path, framework="pt") as file:
        return _epochs.validate_json(file.metadata()["epochs"])
