"""Models: torchvision builders by name, the user's own callable, their weights, and the head that fits the data."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError, nearest, reading
from lrbench.guard import guarded
from lrbench.learn.imports import call_fitting, import_callable, try_first
from lrbench.lowrank.attention import open_attention
from lrbench.lowrank.copies import materialize
from lrbench.lowrank.examples import call_of

FILES = (".safetensors", ".pt", ".pth")


def build_model(
    choice: ModelChoice, *, classes: int, image_size: int, limit_s: float | None = None
) -> tuple[nn.Module, str]:
    """Build a model with the chosen weights and one output for each class, in eval mode.

    Random weights are drawn from torch's global generator.

    Args:
        choice: the `[model]` section.
        classes: outputs wanted.
        image_size: height and width in pixels of the RGB input.
        limit_s: seconds in which a user's own model must be built and run once; None for no limit.

    Returns: the model, and a sentence about what was done to its head ("" when nothing).

    Raises: InputError for an unknown model, unknown or mismatched weights, a model that does not take such images,
        or one without a head to replace.
    """
    state = _read_state(choice.weights) if choice.weights.endswith(FILES) else None

    def build() -> tuple[nn.Module, str]:
        with guarded(f"model.name={choice.name!r} cannot be used, it raised"):
            model = (_own_model if ":" in choice.name else _torchvision_model)(choice, classes)
            if state is not None:
                model = _load_state(model, state, choice=choice, image_size=image_size)
            if choice.materialize:
                model = materialize(model)
            model, note = _fit_head(model.eval(), choice=choice, classes=classes, image_size=image_size)
            return open_attention(model, call_of((3, image_size, image_size))), note

    if ":" in choice.name:
        try_first(build, choice.name, classes, image_size, key="model.name", limit_s=limit_s)
    return build()


def _torchvision_model(choice: ModelChoice, classes: int) -> nn.Module:
    names = torchvision.models.list_models(module=torchvision.models)
    if choice.name not in names:
        raise InputError(f"unknown model.name={choice.name!r}: {nearest(choice.name, names)}")
    if choice.weights == "none" or choice.weights.endswith(FILES):
        extra = {"init_weights": True} if choice.name in ("googlenet", "inception_v3") else {}
        model: nn.Module = torchvision.models.get_model(choice.name, num_classes=classes, **extra)
        return model
    available = {member.name: member for member in torchvision.models.get_model_weights(choice.name)}
    if choice.weights not in (*available, "DEFAULT"):
        raise InputError(
            f"unknown model.weights={choice.weights!r} for {choice.name}: "
            f"{nearest(choice.weights, (*available, 'DEFAULT', 'none'))}, or a {'/'.join(FILES)} file"
        )
    with reading(f"model.weights={choice.weights!r}", "could not be downloaded"):
        pretrained: nn.Module = torchvision.models.get_model(choice.name, weights=choice.weights)
    return pretrained


def _own_model(choice: ModelChoice, classes: int) -> nn.Module:
    """The model of the user's builder, imported by its name."""
    if choice.weights != "none" and not choice.weights.endswith(FILES):
        raise InputError(f"model.weights of {choice.name!r} must be none or a {'/'.join(FILES)} file")
    return _call_builder(import_callable(choice.name, key="model.name"), choice, classes)


def _call_builder(build: Callable[..., Any], choice: ModelChoice, classes: int) -> nn.Module:
    """Call the user's builder, with the number of classes when it takes that.

    Raises: InputError when it gives no model, or one whose layers or weights are not within reach.
    """
    model = call_fitting(build, classes, word="num_classes", name=choice.name, key="model.name")
    if not isinstance(model, nn.Module):
        raise InputError(f"model.name={choice.name!r} must return a torch.nn.Module, got {type(model).__name__}")
    scripted = [name or "the model" for name, part in model.named_modules() if isinstance(part, torch.jit.ScriptModule)]
    if scripted:
        raise InputError(f"model.name={choice.name!r} must be plain modules, but {scripted[0]} is a ScriptModule")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.device.type == "meta":
            raise InputError(f"model.name={choice.name!r} must have weights, but {name} is on device meta, without any")
    return model


def build_own(build: Callable[..., Any], choice: ModelChoice, *, classes: int, image_size: int) -> nn.Module:
    """As `build_model` without weights, with a given builder; nothing is imported by its name.

    Raises: InputError as `build_model` does.
    """
    with guarded(f"model.name={choice.name!r} cannot be used, it raised"):
        model = _call_builder(build, choice, classes).eval()
        if choice.materialize:
            model = materialize(model)
        model = _fit_head(model, choice=choice, classes=classes, image_size=image_size)[0]
        return open_attention(model, call_of((3, image_size, image_size)))


def _read_state(path: str) -> Mapping[str, Tensor]:
    """Tensors by name from a file; nothing in the file can run code."""
    if not Path(path).is_file():
        raise InputError(f"model.weights={path!r} does not exist")
    with reading(f"model.weights={path!r}", "cannot be read as plain tensors"):
        state: Any = (
            load_file(path)
            if path.endswith(".safetensors")
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise InputError(f"model.weights={path!r} must hold a state dict: tensors by name")
    return state


def _load_state(model: nn.Module, state: Mapping[str, Tensor], *, choice: ModelChoice, image_size: int) -> nn.Module:
    """Load strictly, after giving the head as many outputs as the file's."""
    own = model.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unknown:
        raise InputError(
            f"model.weights={choice.weights!r} does not fit {choice.name}: missing tensors: {_first_names(missing)}; "
            f"unexpected tensors: {_first_names(unknown)}"
        )
    outputs = count_outputs(model, choice=choice, image_size=image_size)
    with reading(f"model.weights={choice.weights!r}", f"does not fit {choice.name}"):
        for name, layer in _heads(model, outputs):
            if f"{name}.weight" in state:
                _replace_head(model, name, layer, len(state[f"{name}.weight"]))
        model.load_state_dict(state)
    return model


def _first_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "none"


def count_outputs(model: nn.Module, *, choice: ModelChoice, image_size: int) -> int:
    """How many classes a model distinguishes, by one forward pass.

    Raises: InputError when it does not take RGB images of this size, or gives no (N, classes) tensor.
    """
    mode = model.training
    refused = f"model.name={choice.name!r} does not take RGB images of data.image_size={image_size}:"
    with guarded(refused), torch.no_grad():
        weight = next(model.parameters())
        output: Any = model.eval()(torch.zeros(1, 3, image_size, image_size, device=weight.device))
        model.train(mode)
    if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != 1 or not output.is_floating_point():
        raise InputError(f"model.name={choice.name!r} must return a tensor (images, classes)")
    return output.shape[1]


def _heads(model: nn.Module, outputs: int) -> Sequence[tuple[str, nn.Module]]:
    """The layers that output the classes: the last with that many outputs, and those of auxiliary classifiers."""
    candidates = [
        (name, layer)
        for name, layer in model.named_modules()
        if (isinstance(layer, nn.Linear) and layer.out_features == outputs)
        or (isinstance(layer, nn.Conv2d) and layer.out_channels == outputs and layer.kernel_size == (1, 1))
    ]
    return [(name, layer) for name, layer in candidates if name.lower().startswith("aux")] + [
        pair for pair in candidates if not pair[0].lower().startswith("aux")
    ][-1:]


def _fit_head(model: nn.Module, *, choice: ModelChoice, classes: int, image_size: int) -> tuple[nn.Module, str]:
    """Replace the head when its number of outputs is not the number of classes."""
    outputs = count_outputs(model, choice=choice, image_size=image_size)
    if outputs == classes:
        return model, ""
    heads = _heads(model, outputs)
    if not heads:
        raise InputError(
            f"model.name={choice.name!r} has {outputs} outputs, the data has {classes} classes, and the model has no "
            f"linear layer or 1x1 convolution with {outputs} outputs to replace"
        )
    for name, layer in heads:
        _replace_head(model, name, layer, classes)
    names = ", ".join(name for name, _ in heads)
    return model, f"head of {choice.name} ({names}) replaced: {outputs} -> {classes} classes, random weights"


def _replace_head(model: nn.Module, name: str, layer: nn.Module, outputs: int) -> None:
    """Replace a layer by a new one with this many outputs (in place)."""
    fresh: nn.Module
    if isinstance(layer, nn.Linear):
        fresh = nn.Linear(layer.in_features, outputs, bias=layer.bias is not None)
    else:
        assert isinstance(layer, nn.Conv2d)
        fresh = nn.Conv2d(layer.in_channels, outputs, 1, bias=layer.bias is not None)
    model.set_submodule(name, fresh.to(next(layer.parameters()).device))
