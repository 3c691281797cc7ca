"""The layers of a model that can be read as matrices: found by one shape pass, selected by glob patterns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Factors(nn.Sequential):
    """The layers that replace one layer."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the cost of a layer depends on. Sizes are (height, width); a linear layer has kernel and sizes of 1.

    `positions` is how often the layer is applied to one image, on top of its output size: tokens, windows; mostly 1.
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

    `refusal` says why no scheme can factorize it, None when some can.
    """

    name: str
    kind: str
    shape: Shape
    refusal: str | None = None


def _shape_of(module: nn.Module, *, inputs: Tensor, output: Tensor) -> Shape:
    """The shape of a convolution, inputs (P, C, H, W), or of a Linear, inputs (..., C), on the way of one image.

    Of a convolution over other than two dimensions, sizes are flattened into one.
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


def weight_shape(module: nn.Module) -> Shape:
    """The shape of a Conv2d or Linear as far as its weight says it; its inputs and outputs are taken as 1 x 1."""
    image = torch.empty(1, module.in_features if isinstance(module, nn.Linear) else 1, 1, 1)
    return _shape_of(module, inputs=image.flatten(1) if isinstance(module, nn.Linear) else image, output=image)


def find_layers(model: nn.Module, input_shape: Sequence[int]) -> tuple[Layer, ...]:
    """All convolutions and linear layers that one forward pass reaches, in the order of the model's modules.

    Layers that no scheme can factorize are among them, with the reason. A layer that is only read by another module
    (as attention reads its output projection) is not reached and not listed.

    Args:
        model: any module; its mode and gradients are left as they are.
        input_shape: of one image, (C, H, W).
    """
    modules = {n: m for n, m in model.named_modules() if isinstance(m, (*CONVOLUTIONS, nn.Linear))}
    shapes: dict[str, list[Shape]] = {name: [] for name in modules}

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            shapes[name].append(_shape_of(module, inputs=args[0], output=output))

        return modules[name].register_forward_hook(hook)

    handles = [watch(name) for name in modules]
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
    reasons = refusals(model)
    return tuple(
        Layer(
            name=name,
            kind="linear" if isinstance(modules[name], nn.Linear) else "conv",
            shape=calls[0],
            refusal=reasons.get(name) or ("called several times in one forward pass" if len(calls) > 1 else None),
        )
        for name, calls in shapes.items()
        if calls
    )


def refusals(model: nn.Module) -> dict[str, str]:
    """By name, why convolutions and linear layers cannot be factorized, whatever the scheme."""
    modules = {n: m for n, m in model.named_modules() if isinstance(m, (*CONVOLUTIONS, nn.Linear))}
    factorized = [name for name, module in model.named_modules() if isinstance(module, Factors)]
    names = [name for name, _ in model.named_modules(remove_duplicate=False)]
    owners: dict[int, list[str]] = {}
    for name in names:
        weight = getattr(model.get_submodule(name), "weight", None) if name else None
        if isinstance(weight, nn.Parameter):
            owners.setdefault(id(weight), []).append(name)
    reasons = {}
    for name, module in modules.items():
        shared = [owner for owner in owners.get(id(module.weight), []) if owner != name]
        if any(name.startswith(f"{parent}.") for parent in factorized):
            reasons[name] = "already factorized"
        elif is_parametrized(module) or hasattr(module, "weight_g"):
            reasons[name] = "its weight is parametrized"
        elif shared:
            reasons[name] = f"shares its weight with {shared[0]}"
        elif type(module) not in (nn.Conv2d, nn.Linear):
            reasons[name] = f"{type(module).__name__}: only Conv2d and Linear can be factorized"
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
