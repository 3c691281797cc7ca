"""The axes of timing sessions, and what this machine cannot run of them, found out before anything starts."""

from collections.abc import Callable, Mapping
from itertools import product
from types import MappingProxyType

import torch
from torch import nn

from lrbench.config.axes import AXES, Setting
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError

PRESENT: Mapping[str, Callable[[], bool]] = MappingProxyType(
    {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
)
"""Whether a device is there, by its name."""


def settings(choice: LatencyChoice) -> tuple[Setting, ...]:
    """Every combination of the axes that makes sense: threads only multiply the CPU, CUDA graphs only CUDA.

    `auto` is the CPU, and CUDA where there is one.

    Raises: InputError when a device is absent, or when a runtime does not run here.
    """
    devices: list[str] = []
    for name in choice.devices:
        if name != "auto" and not PRESENT[name]():
            raise InputError(f"device {name!r} is not to be had here: torch sees none")
        devices += [d for d in ("cpu", "cuda") if PRESENT[d]()] if name == "auto" else [name]
    devices = list(dict.fromkeys(devices))
    for runtime in choice.runtimes:
        refusal = _refuses_runtime(runtime, devices)
        if refusal:
            raise InputError(f"latency.runtimes: {runtime} does not run here: {refusal}")
    values = {name: [axis.value(word) for word in getattr(choice, axis.key)] for name, axis in AXES.items()}
    every = product(*({**values, "device": devices}).values())
    return tuple(
        one for one in (Setting(**dict(zip(AXES, row, strict=True))) for row in every) if _has_sense(one, choice)
    )


def _has_sense(setting: Setting, choice: LatencyChoice) -> bool:
    """Whether a combination is another one than its neighbours, and can run."""
    if setting.device != "cpu" and setting.threads != choice.threads[0]:
        return False
    return setting.runtime != "cuda-graph" or setting.device == "cuda"


def _refuses_runtime(runtime: str, devices: list[str]) -> str:
    """Why a runtime cannot run on any or some of the devices; "" when it can. Compiling is tried, on one tiny layer."""
    if not devices or runtime == "eager":
        return ""
    if runtime == "cuda-graph":
        return "" if "cuda" in devices else "it needs device cuda"
    for device in devices:
        try:
            with torch.inference_mode():
                torch.compile(nn.Linear(2, 2).to(device))(torch.zeros(1, 2, device=device))
        except Exception as error:  # compilers fail in many ways; each is a reason
            return f"torch.compile on {device} raised {type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return ""
