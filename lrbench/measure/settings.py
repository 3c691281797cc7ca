"""The axes of timing sessions, and what this machine cannot run of them, found out before anything starts."""

from collections.abc import Callable, Mapping
from itertools import product
from types import MappingProxyType

import torch
from torch import nn

from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.results.sessions import Setting

PRESENT: Mapping[str, Callable[[], bool]] = MappingProxyType(
    {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
)
"""Whether a device is there, by its name."""


def settings(choice: LatencyChoice) -> tuple[Setting, ...]:
    """Every combination of the axes that makes sense: threads only multiply the CPU, CUDA graphs only CUDA.

    `auto` is the CPU, and CUDA where there is one.

    Raises: InputError when a device is unknown or absent, or when a runtime does not run here.
    """
    devices: list[str] = []
    for name in choice.devices:
        if name != "auto" and name not in PRESENT:
            raise InputError(f"unknown device {name!r}, allowed: auto, {', '.join(PRESENT)}")
        if name != "auto" and not PRESENT[name]():
            raise InputError(f"device {name!r} is not to be had here: torch sees none")
        devices += [d for d in ("cpu", "cuda") if PRESENT[d]()] if name == "auto" else [name]
    devices = list(dict.fromkeys(devices))
    for runtime in choice.runtimes:
        refusal = _refuses_runtime(runtime, devices)
        if refusal:
            raise InputError(f"latency.runtimes: {runtime} does not run here: {refusal}")
    return tuple(
        Setting(
            device=device,
            batch_size=batch_size,
            threads=threads,
            memory_format=memory_format,
            dtype=dtype,
            runtime=runtime,
            folded=batch_norm == "folded",
        )
        for device in devices
        for threads in (choice.threads if device == "cpu" else choice.threads[:1])
        for runtime in choice.runtimes
        if runtime != "cuda-graph" or device == "cuda"
        for memory_format, dtype, batch_norm, batch_size in product(
            choice.memory_formats, choice.dtypes, choice.batch_norms, choice.batch_sizes
        )
    )


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
