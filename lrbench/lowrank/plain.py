"""What a layer is as plain modules: a convolution or linear layer, perhaps behind a pad; or why it is not that.

To read one more kind of layer, add its class to `KINDS`, or to `_candidates` what else a forward may consist of.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrbench.lowrank.copies import copy_of

KINDS = (nn.Conv1d, nn.Conv2d, nn.Linear)
"""The classes that schemes can factorize."""

CODE = ("forward", "_conv_forward", "__call__")
"""The methods that decide what a layer computes."""


class SamePad(nn.Module):
    """Zeros around an image, more behind than before, so that a convolution gives ceil(size / stride) outputs.

    TensorFlow pads so, and models that came from there (EfficientNet; Tan & Le 2019, arXiv 1905.11946).
    """

    def __init__(self, convolution: nn.Conv1d | nn.Conv2d) -> None:
        """Take the geometry of a convolution."""
        super().__init__()
        axes = zip(convolution.kernel_size, convolution.stride, convolution.dilation, strict=True)
        self.axes = tuple((1 + dilation * (kernel - 1), stride) for kernel, stride, dilation in axes)

    def forward(self, images: Tensor) -> Tensor:
        """Images with their borders."""
        pads: list[int] = []
        for size, (extent, stride) in zip(images.shape[-len(self.axes) :], self.axes, strict=True):
            lacking = max((-(-size // stride) - 1) * stride + extent - size, 0)
            pads = [lacking // 2, lacking - lacking // 2, *pads]  # the last axis comes first
        return functional.pad(images, pads)


@dataclass(frozen=True)
class Plain:
    """A layer as plain modules: `core` holds its very weights, `pad` is what its input goes through before."""

    core: nn.Module
    pad: nn.Module | None = None


def plain_of(module: nn.Module) -> Plain | str:
    """A layer as plain modules, or in words why it is none of these.

    A subclass with a forward of its own is run, as a copy, on random inputs beside the plain modules that it may be.
    """
    name = type(module).__name__
    kind = next((kind for kind in KINDS if isinstance(module, kind)), None)
    if kind is None:
        return f"{name}: only Conv1d, Conv2d and Linear can be factorized"
    if reason := _lost(module):
        return reason
    if type(module) is kind:
        return Plain(module)
    core = _core(module, kind)
    if all(getattr(type(module), method) is getattr(kind, method, None) for method in CODE if hasattr(kind, method)):
        return Plain(core)
    if others := [name for name, _ in module.named_parameters() if name not in ("weight", "bias")]:
        return f"{name}: it has a forward of its own and other parameters ({', '.join(others)})"
    fitting = (plain for plain in _candidates(module, core) if _computes_the_same(module, plain))
    return next(fitting, f"{name}: its forward is not that of {kind.__name__}")


def _lost(module: nn.Module) -> str | None:
    """What factors would lose of a layer beside its class; None when nothing."""
    if any(method in vars(module) for method in CODE):
        return "its forward was replaced"
    for name in ("weight", "bias"):
        if name not in module._parameters:
            return f"its {name} is parametrized"
    weight = module._parameters["weight"]
    if weight is not None and not weight.dtype.is_floating_point:
        return f"its weight is {str(weight.dtype).removeprefix('torch.')}"
    return None


def _core(module: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """A module of a plain class with the geometry, the mode and the very parameters of one of a subclass."""
    core = kind.__new__(kind)
    held = {key: dict(value) if isinstance(value, dict) else value for key, value in vars(module).items()}
    core.__dict__.update({**held, "_modules": {}})
    return core


def _candidates(module: nn.Module, core: nn.Module) -> Iterator[Plain]:
    """What a subclass may be, the simplest first."""
    yield Plain(core)
    if isinstance(core, nn.Conv1d | nn.Conv2d):
        yield from (Plain(core, pad) for pad in module.children())
        unpadded = _core(core, type(core))
        assert isinstance(unpadded, nn.Conv1d | nn.Conv2d)
        unpadded.padding, unpadded.padding_mode = (0,) * len(core.kernel_size), "zeros"
        yield Plain(unpadded, SamePad(core))


def _computes_the_same(module: nn.Module, plain: Plain) -> bool:
    """Whether a layer and its plain modules give the same outputs, in training too."""
    parts = [part for part in (plain.pad, plain.core) if part is not None]
    probe, again = copy_of(module), copy_of(nn.Sequential(*parts))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for training in (False, True):
            for inputs in _inputs(plain.core):
                outputs: list[Any] = []
                for part in (probe, again):
                    torch.manual_seed(0)
                    try:
                        outputs.append(part.train(training)(inputs))
                    except Exception:  # whatever a user's own code does on such inputs
                        return False
                if not _close(*outputs):
                    return False
    return True


def _inputs(core: nn.Module) -> Iterator[Tensor]:
    """Random inputs of two sizes that a layer takes; both draw the same pads from no other rule."""
    weight = core.weight
    assert isinstance(weight, Tensor)
    generator = torch.Generator().manual_seed(0)
    for extra in (3, 6):
        if isinstance(core, nn.Linear):
            size: tuple[int, ...] = (extra, core.in_features)
        else:
            assert isinstance(core, nn.Conv1d | nn.Conv2d)
            axes = zip(core.kernel_size, core.stride, core.dilation, strict=True)
            size = (core.in_channels, *(d * (k - 1) + s + extra + place for place, (k, s, d) in enumerate(axes)))
        yield torch.randn(2, *size, generator=generator).to(weight)


def _close(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.shape != other.shape:
        return False
    tolerance = max(1e-5, 8 * torch.finfo(other.dtype).eps)
    return bool((one - other).norm() <= tolerance * other.norm())
