"""The layers of a model that can be read as matrices: found by one shape pass, selected by glob patterns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.lowrank.attention import is_opened
from lrbench.lowrank.examples import Example, call_of
from lrbench.lowrank.plain import Plain, plain_of

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Factors(nn.Sequential):
    """The layers that replace one layer."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the cost of a layer depends on. Sizes are (height, width); a linear layer has kernel and sizes of 1.

    `positions` is how often the layer is applied to one image, on top of its output size: tokens, windows, calls of a
    shared layer; mostly 1.
    """

    out_channels: int
    in_channels: int
    groups: int
    kernel: tuple[int, int]
    in_size: tuple[int, int]
    out_size: tuple[int, int]
    bias: bool
    positions: int = 1

    @property
    def weights(self) -> int:
        """Parameters of the dense weight, bias left out."""
        return self.out_channels * self.in_channels // self.groups * self.kernel[0] * self.kernel[1]

    @property
    def biases(self) -> int:
        """Parameters of the bias."""
        return self.out_channels if self.bias else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer for one image."""
        return self.weights * self.out_size[0] * self.out_size[1] * self.positions


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution or linear layer by its qualified name; `kind` is `conv` or `linear`.

    `refusal` says why no scheme can factorize it, None when some can. `input_shape` is that of one image at its first
    call. `mended`: the first version of lrbench that gave results treated it otherwise, so that keys must tell.
    """

    name: str
    kind: str
    shape: Shape
    refusal: str | None = None
    input_shape: tuple[int, ...] = ()
    mended: bool = False


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One call of a layer on the way of one image."""

    shape: Shape
    input_shape: tuple[int, ...]


def _shape_of(module: nn.Module, *, inputs: Tensor, output: Tensor) -> Shape:
    """The shape of a convolution, inputs (P, C, H, W), or of a Linear, inputs (..., C), on the way of one image.

    Of a convolution over other than two dimensions, sizes are flattened into one. Inputs (C, H, W) are one sample.
    """
    weight = module.weight
    assert isinstance(weight, Tensor)
    bias = module.bias is not None
    if isinstance(module, nn.Linear):
        unit = (1, 1)
        return Shape(
            out_channels=module.out_features,
            in_channels=module.in_features,
            groups=1,
            kernel=unit,
            in_size=unit,
            out_size=unit,
            bias=bias,
            positions=inputs.numel() // module.in_features,
        )
    assert isinstance(module, CONVOLUTIONS)
    if not _is_batched(module, inputs):
        inputs, output = inputs.unsqueeze(0), output.unsqueeze(0)
    sizes = [tuple(t.shape[2:]) if t.dim() == 4 else (1, t[0, 0].numel()) for t in (inputs, output)]
    kernel = tuple(weight.shape[2:]) if weight.dim() == 4 else (1, weight[0, 0].numel())
    return Shape(
        out_channels=module.out_channels,
        in_channels=module.in_channels,
        groups=module.groups,
        kernel=(kernel[0], kernel[1]),
        in_size=(sizes[0][0], sizes[0][1]),
        out_size=(sizes[1][0], sizes[1][1]),
        bias=bias,
        positions=inputs.shape[0],
    )


def _is_batched(module: nn.Module, inputs: Tensor) -> bool:
    """Whether inputs have a batch dimension; a linear layer takes any number of dimensions before its last."""
    return inputs.dim() > 1 if isinstance(module, nn.Linear) else inputs.dim() == module.weight.dim()  # type: ignore[operator]


def weight_shape(module: nn.Module) -> Shape:
    """The shape of a convolution or Linear as far as its weight says it; its inputs and outputs are taken as 1 x 1."""
    if isinstance(module, nn.Linear):
        rows = torch.empty(1, module.in_features)
        return _shape_of(module, inputs=rows, output=rows)
    image = torch.empty(1, 1, *[1] * (module.weight.dim() - 2))  # type: ignore[operator]
    return _shape_of(module, inputs=image, output=image)


def find_layers(model: nn.Module, example: Example) -> tuple[Layer, ...]:
    """All convolutions and linear layers that one forward pass reaches, in the order of the model's modules.

    Layers that no scheme can factorize are among them, with the reason. A layer that is only read by another module
    is not reached and not listed. A layer that is registered under several names has the first of them.

    Args:
        model: any module; its mode and gradients are left as they are.
        example: the shape of one image, (C, H, W), or inputs of one image.
    """
    modules = {n: m for n, m in model.named_modules() if isinstance(m, (*CONVOLUTIONS, nn.Linear))}
    plain = {name: plain_of(module) for name, module in modules.items()}
    calls: dict[str, list[_Call]] = {name: [] for name in modules}

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
            inputs, read = args[0] if args else kwargs["input"], plain[name]
            padded = read.pad(inputs) if isinstance(read, Plain) and read.pad is not None else inputs
            shape = _shape_of(module, inputs=padded, output=output)
            calls[name].append(_Call(shape=shape, input_shape=tuple(inputs.shape[_is_batched(module, inputs) :])))

        return modules[name].register_forward_hook(hook, with_kwargs=True)

    handles = [watch(name) for name in modules]
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            call_of(example)(model)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    hooked = {name: "it has hooks, which its factors would not have" for name in modules if _has_hooks(modules[name])}
    reasons = {**hooked, **refusals(model)}
    found = (_layer(name, modules[name], made, reason=reasons.get(name)) for name, made in calls.items() if made)
    opened = tuple(f"{name}." for name, module in model.named_modules() if is_opened(module))
    return tuple(replace(layer, mended=True) if layer.name.startswith(opened) else layer for layer in found)


def _has_hooks(module: nn.Module) -> bool:
    return any((module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks))


def _layer(name: str, module: nn.Module, calls: Sequence[_Call], *, reason: str | None) -> Layer:
    """A layer of a model by its calls: of the same sizes they are positions of one call."""
    shapes = {replace(call.shape, positions=1) for call in calls}
    if len(shapes) > 1:
        reason = reason or "called with inputs of several sizes in one forward pass"
    once_able = (
        type(module) in (nn.Conv2d, nn.Linear)
        and "weight" in module._parameters
        and not (reason or "").startswith(("already factorized", "shares its weight"))
        and len(calls) == 1
    )
    return Layer(
        name=name,
        kind="linear" if isinstance(module, nn.Linear) else "conv",
        shape=replace(calls[0].shape, positions=sum(call.shape.positions for call in calls)),
        refusal=reason,
        input_shape=calls[0].input_shape,
        mended=once_able != (reason is None),
    )


def refusals(model: nn.Module) -> dict[str, str]:
    """By name, why convolutions and linear layers cannot be factorized, whatever the scheme."""
    modules = {n: m for n, m in model.named_modules() if isinstance(m, (*CONVOLUTIONS, nn.Linear))}
    factorized = [name for name, module in model.named_modules() if isinstance(module, Factors)]
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        if name and isinstance(weight := getattr(module, "weight", None), nn.Parameter):
            owners.setdefault(id(weight), []).append(name)
    reasons = {}
    for name, module in modules.items():
        shared = [owner for owner in owners.get(id(module._parameters.get("weight")), []) if owner != name]
        plain = plain_of(module)
        if not name:
            reasons[name] = "it is the whole model"
        elif any(name.startswith(f"{parent}.") for parent in factorized):
            reasons[name] = "already factorized"
        elif shared:
            reasons[name] = f"shares its weight with {shared[0]}"
        elif isinstance(plain, str):
            reasons[name] = plain
    return reasons


def select(
    layers: Iterable[Layer], *, include: Sequence[str], exclude: Sequence[str], kinds: Sequence[str]
) -> tuple[Layer, ...]:
    """The layers of the named kinds whose name matches a pattern of `include` and none of `exclude`."""
    return tuple(
        layer
        for layer in layers
        if layer.kind in kinds
        and any(fnmatchcase(layer.name, pattern) for pattern in include)
        and not any(fnmatchcase(layer.name, pattern) for pattern in exclude)
    )
