"""A training kept on disk between its epochs, so that a kill costs minutes, not hours; tensors and plain values."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from lrbench.learn.generators import generator_states, restore_generators
from lrbench.learn.odd_state import odd_state, restore_odd_
from lrbench.limits import put_aside, writing
from lrbench.results.records import Epoch
from lrbench.whole import replacing

_epochs: TypeAdapter[tuple[Epoch, ...]] = TypeAdapter(tuple[Epoch, ...])


class Stateful(Protocol):
    """A part of a training: model, optimizer, schedule, scaler."""

    def state_dict(self) -> Any:
        """Tensors and plain values."""
        ...

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take a state back (in place)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a training is kept while it runs, the least seconds between two checkpoints, who is told of a bad one."""

    path: Path
    every_s: float
    tell: Callable[[str], None] = lambda text: None


def keep_checkpoint(path: Path, parts: Mapping[str, Stateful], *, epochs: Iterable[Epoch]) -> None:
    """Write all of a training, through a temporary name, flushed: its parts, all generators, its epochs so far.

    Raises: InputError when the disk refuses it.
    """
    state = {
        "of": path.name,
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "odd": _odd_of(parts),
        **generator_states(),
        "epochs": _epochs.dump_json(tuple(epochs)).decode(),
    }
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, RuntimeError) as part:
        torch.save(state, part)


def resume_(path: Path, parts: Mapping[str, Stateful]) -> tuple[Epoch, ...]:
    """Continue a kept training (in place, with all generators); does nothing when there is no checkpoint.

    Returns: the epochs already trained.

    Raises: ValueError when the file is not a checkpoint of such a training.
    """
    if not path.exists():
        return ()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if (of := state.get("of", path.name)) != path.name:
            raise ValueError(f"it was kept as {of}")
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        for name, odd in state.get("odd", {}).items():
            _restore_odd_(parts[name], odd)
        restore_generators(state)
        return _epochs.validate_json(state["epochs"])
    except Exception as error:  # unpickler, zip reader and each part raise their own
        raise ValueError(f"{path} is not a checkpoint of this training, remove it to start anew: {error}") from error


def resumed_(
    path: Path, parts: Mapping[str, Stateful], *, tell: Callable[[str], None] = lambda text: None
) -> tuple[Epoch, ...]:
    """As `resume_`; a file that is no checkpoint of this training is put aside, told of, and not used."""
    before = {name: deepcopy(part.state_dict()) for name, part in parts.items()} if path.exists() else {}
    odd, generators = _odd_of(parts), generator_states()
    try:
        return resume_(path, parts)
    except ValueError:
        for name, state in before.items():
            parts[name].load_state_dict(state)
        for name, tensors in odd.items():
            _restore_odd_(parts[name], tensors)
        restore_generators(generators)
        aside = put_aside(path)
        tell(f"{aside} is not a checkpoint of this training, which starts anew")
        return ()


def _odd_of(parts: Mapping[str, Stateful]) -> dict[str, dict[str, Tensor]]:
    """What models keep beside their state dicts, by the name of the part; copied."""
    models = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    return {name: {key: value.clone() for key, value in odd_state(model).items()} for name, model in models.items()}


def _restore_odd_(part: Stateful, tensors: Mapping[str, Tensor]) -> None:
    assert isinstance(part, nn.Module)
    restore_odd_(part, tensors)
