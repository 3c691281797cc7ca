"""What a runtime is, the record of an entry of `RUNTIMES` in `runtimes.py`, and what several runtimes share."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from lrbench.config.axes import Setting
from lrbench.measure import kernels


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A model in its runtime, with its inputs.

    Attributes:
        call: one forward pass; gives what the model gives, for images (N, 3, H, W) the logits (N, classes).
        renew: lays the model out anew in memory; what it computes stays the same.
        peak_bytes: what one call holds in memory at most, its weights and results included; None where the runtime
            does not say.
    """

    call: Callable[[], Tensor]
    renew: Callable[[], None]
    peak_bytes: Callable[[], int | None]


Opened = Callable[[Tensor], Prepared]
"""A model that was read from a file: takes inputs (any number N of them). All that it returns share one model."""


@dataclass(frozen=True, kw_only=True)
class InFile:
    """How a runtime keeps a model in a file.

    Attributes:
        suffix: of the file's name, as the runtime's tools want it.
        write: takes a model in eval mode, the file, and example inputs (N, ...), N at least 2 since 1 would be taken
            as fixed. Raises what the runtime raises for a model that it does not support.
        open: takes a file that `write` wrote, which is not needed afterwards, and the setting that it is to run in.
    """

    suffix: str
    write: Callable[[nn.Module, Path, Tensor], None]
    open: Callable[[Path, Setting], Opened]


def _takes_all(_: Setting) -> str:
    return ""


def _works_everywhere(_: str) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What runs a model.

    Attributes:
        prepare: takes a model (in eval mode, placed as the setting says) with its inputs, which it is traced with
            where the runtime traces.
        refuses: why it does not take a setting, "" when it does. A grid of settings leaves such combinations out.
        fails: why it does not work on a device of this machine though it takes it, "" when it works. This is tried.
        package: whose version is the runtime's.
        needs: packages that must be installed beside torch.
        in_file: how it keeps a model in a file; None when it takes modules only.
    """

    prepare: Callable[[nn.Module, Tensor, Setting], Prepared]
    refuses: Callable[[Setting], str] = _takes_all
    fails: Callable[[str], str] = _works_everywhere
    package: str = "torch"
    needs: tuple[str, ...] = ()
    in_file: InFile | None = None


def absent_packages(runtime: Runtime) -> tuple[str, ...]:
    """Those that a runtime needs and that are not installed."""
    return tuple(name for name in runtime.needs if find_spec(name) is None)


def renew_(model: nn.Module) -> None:
    """Move every tensor of a model to fresh memory (in place); what it computes stays the same."""
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.clone(memory_format=torch.preserve_format)
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.clone(memory_format=torch.preserve_format))


def in_torch(run: Callable[[Tensor], Tensor], model: nn.Module, inputs: Tensor, setting: Setting) -> Prepared:
    """Something that torch runs, in the precision of a setting.

    Args:
        run: the model, or what was made of it.
        model: whose tensors `run` uses.
        inputs: of each call.
        setting: says dtype and device.
    """
    mixed = torch.autocast(setting.device, torch.bfloat16) if setting.dtype == "amp" else nullcontext()

    def call() -> Tensor:
        with mixed:
            return run(inputs)

    return Prepared(
        call=call,
        renew=partial(renew_, model),
        peak_bytes=partial(kernels.peak_bytes, model, call, device=setting.device),
    )


def renew_all(models: Iterable[Prepared]) -> None:
    """Lay models out anew in memory."""
    for model in models:
        model.renew()


def peaks_of(models: Iterable[Prepared]) -> tuple[int, ...]:
    """The most bytes that a call of each takes; empty when the runtime does not say."""
    peaks = [model.peak_bytes() for model in models]
    return tuple(peak for peak in peaks if peak is not None) if None not in peaks else ()
