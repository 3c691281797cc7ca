"""Models: of a library by name, or by the user's own callable; their weights, and the head that fits the data."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.config.names import is_own
from lrbench.config.sections import ModelChoice
from lrbench.errors import InputError, reading
from lrbench.guard import guarded
from lrbench.learn.checkpoint_files import WORDS, names_file, read_file
from lrbench.learn.imports import call_fitting, import_callable, try_first
from lrbench.learn.libraries import library_model
from lrbench.learn.state_dicts import State, choose_state, load_state_, renamed
from lrbench.lowrank.attention import open_attention
from lrbench.lowrank.copies import materialize
from lrbench.lowrank.examples import call_of

NEW_HEAD = "random weights"
"""How the note on a model ends whose head was replaced."""


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

    Returns: the model, and in words what was done to the weights and to its head ("" when nothing).

    Raises: InputError for an unknown model, unknown or mismatched weights, a model that does not take such images,
        or one without a head to replace.
    """
    what, make = f"model.weights={choice.weights!r}", _own_model if is_own(choice.name) else library_model
    state = None
    if names_file(choice.weights):
        state = choose_state(read_file(choice.weights), key=choice.weights_key, what=what)
    elif choice.weights_key:
        raise InputError(f"model.weights_key={choice.weights_key!r} needs model.weights to be {WORDS}")

    def build() -> tuple[nn.Module, str]:
        with guarded(f"model.name={choice.name!r} cannot be used, it raised"):
            model = make(choice, classes)
            told = () if state is None else _load_state(model, state, choice=choice, image_size=image_size)
            if choice.materialize:
                model = materialize(model)
            model, head = _fit_head(model.eval(), choice=choice, classes=classes, image_size=image_size)
            given = [f"{what}: {'; '.join(told)}"] if told else []
            model = open_attention(model, call_of((3, image_size, image_size)))
            return model, ". ".join([*given, *filter(None, [head])])

    if is_own(choice.name):
        try_first(build, choice.name, classes, image_size, key="model.name", limit_s=limit_s)
    return build()


def _own_model(choice: ModelChoice, classes: int) -> nn.Module:
    """The model of the user's builder, imported by its name."""
    if choice.has_weights and not names_file(choice.weights):
        raise InputError(f"model.weights of {choice.name!r} must be none or {WORDS}, got {choice.weights!r}")
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


def _load_state(model: nn.Module, state: State, *, choice: ModelChoice, image_size: int) -> tuple[str, ...]:
    """Load strictly (in place), after giving the head as many outputs as the file's; says what was done."""
    what, named = f"model.weights={choice.weights!r}", renamed(state, model.state_dict())
    outputs = count_outputs(model, choice=choice, image_size=image_size)
    with reading(what, f"does not fit {choice.name}"):
        for name, layer in _heads(model, outputs):
            if isinstance(given := named.tensors.get(f"{name}.weight"), Tensor) and given.dim():
                _replace_head(model, name, layer, len(given))
    return (*named.notes, *load_state_(model, named, what=what, name=choice.name))


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
    return model, f"head of {choice.name} ({names}) replaced: {outputs} -> {classes} classes, {NEW_HEAD}"


def _replace_head(model: nn.Module, name: str, layer: nn.Module, outputs: int) -> None:
    """Replace a layer by a new one with this many outputs (in place)."""
    fresh: nn.Module
    if isinstance(layer, nn.Linear):
        fresh = nn.Linear(layer.in_features, outputs, bias=layer.bias is not None)
    else:
        assert isinstance(layer, nn.Conv2d)
        fresh = nn.Conv2d(layer.in_channels, outputs, 1, bias=layer.bias is not None)
    model.set_submodule(name, fresh.to(next(layer.parameters()).device))
