"""The layers of a model that can be read as matrices: found by one shape pass, selected by glob patterns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

KINDS = {nn.Conv2d: "conv", nn.Linear: "linear"}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the cost of a layer depends on. Sizes are (height, width); a linear layer has kernel and sizes of 1.

    `positions` is how often the layer is applied to one image beside its output size: tokens, windows; mostly 1.
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
    """A convolution or linear layer by its qualified name; `kind` is `conv` or `linear`."""

    name: str
    kind: str
    shape: Shape


def shape_of(module: nn.Module, *, inputs: Tensor, output: Tensor) -> Shape:
    """The shape of a Conv2d, inputs (P, C, H, W), or of a Linear, inputs (..., C), on the way of one image."""
    if isinstance(module, nn.Conv2d):
        return Shape(
            out_channels=module.out_channels,
            in_channels=module.in_channels,
            groups=module.groups,
            kernel=(module.kernel_size[0], module.kernel_size[1]),
            in_size=(inputs.shape[-2], inputs.shape[-1]),
            out_size=(output.shape[-2], output.shape[-1]),
            bias=module.bias is not None,
            positions=inputs.shape[0],
        )
    assert isinstance(module, nn.Linear)
    return Shape(
        out_channels=module.out_features,
        in_channels=module.in_features,
        groups=1,
        kernel=(1, 1),
        in_size=(1, 1),
        out_size=(1, 1),
        bias=module.bias is not None,
        positions=inputs.numel() // module.in_features,
    )


def find_layers(model: nn.Module, input_shape: Sequence[int]) -> tuple[Layer, ...]:
    """All layers that one forward pass reaches, in the order of the model's modules.

    Args:
        model: any module; its mode and gradients are left as they are.
        input_shape: of one image, (C, H, W).
    """
    seen: dict[str, Layer] = {}
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            seen[name] = Layer(
                name=name, kind=KINDS[type(module)], shape=shape_of(module, inputs=args[0], output=output)
            )

        handles.append(module.register_forward_hook(hook))

    names = [name for name, module in model.named_modules() if type(module) in KINDS]
    for name in names:
        watch(name, model.get_submodule(name))
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        parameter = next(model.parameters())
        with torch.no_grad():
            model(torch.zeros(1, *input_shape, dtype=parameter.dtype, device=parameter.device))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    return tuple(seen[name] for name in names if name in seen)


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
