"""The axes of timing sessions, and which of them this machine cannot run, checked before anything starts."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from types import MappingProxyType

import torch

from lrbench.config.axes import AXES, Setting
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.measure import runtimes
from lrbench.measure.prepared import Runtime, absent_packages

PRESENT: Mapping[str, Callable[[], bool]] = MappingProxyType(
    {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
)
"""By name, whether a device is available."""


def settings(choice: LatencyChoice) -> tuple[Setting, ...]:
    """Every combination of the axes that makes sense: only the CPU has several threads, a runtime what it supports.

    `auto` is the CPU, and CUDA where there is one.

    Raises: InputError when a device is not available on this machine, or a runtime cannot run any of its settings.
    """
    devices: list[str] = []
    for name in choice.devices:
        if name != "auto" and not PRESENT[name]():
            raise InputError(f"device {name!r} is not available on this machine: torch finds none")
        devices += [d for d in ("cpu", "cuda") if PRESENT[d]()] if name == "auto" else [name]
    devices = list(dict.fromkeys(devices))
    values = {name: [axis.value(word) for word in getattr(choice, axis.key)] for name, axis in AXES.items()}
    combinations = product(*({**values, "device": devices}).values())
    grid = [Setting(**dict(zip(AXES, row, strict=True))) for row in combinations]
    grid = [setting for setting in grid if setting.device == "cpu" or setting.threads == choice.threads[0]]
    for name in choice.runtimes:
        reason = _why_not(runtimes.RUNTIMES[name], [setting for setting in grid if setting.runtime == name])
        if reason:
            raise InputError(f"latency.runtimes: {name} cannot run: {reason}")
    return tuple(setting for setting in grid if not runtimes.RUNTIMES[setting.runtime].refuses(setting))


def _why_not(runtime: Runtime, grid: Sequence[Setting]) -> str:
    """Why a runtime takes none of the settings, or does not work on one of their devices; "" when it runs."""
    if not grid:
        return ""
    if absent := absent_packages(runtime):
        return f"it needs {', '.join(absent)}"
    supported = [setting for setting in grid if not runtime.refuses(setting)]
    if not supported:
        return runtime.refuses(grid[0])
    return next(filter(None, map(runtime.fails, dict.fromkeys(setting.device for setting in supported))), "")
