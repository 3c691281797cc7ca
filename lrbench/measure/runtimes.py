"""The runtimes: what sweeps, layer tables, `lrbench doctor` and exports run models in.

To add one, add an entry to `RUNTIMES`. Others look it up as `runtimes.RUNTIMES[...]` when they need it.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lrbench.config.axes import Setting
from lrbench.measure import cuda, kernels
from lrbench.measure.file_runtimes import ONNXRUNTIME, TORCH_EXPORT
from lrbench.measure.prepared import Prepared, Runtime, in_torch


def _as_it_stands(model: nn.Module, inputs: Tensor, setting: Setting) -> Prepared:
    return in_torch(model, model, inputs, setting)


def _compiled(model: nn.Module, inputs: Tensor, setting: Setting) -> Prepared:
    return in_torch(torch.compile(model), model, inputs, setting)


def _cannot_compile(device: str) -> str:
    """Why torch.compile fails on a device; tried on one tiny layer."""
    try:
        with torch.inference_mode():
            torch.compile(nn.Linear(2, 2).to(device))(torch.zeros(1, 2, device=device))
    except Exception as error:  # compilers fail in many ways; each is a reason
        return f"torch.compile on {device} raised {type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return ""


def _captured(model: nn.Module, inputs: Tensor, setting: Setting) -> Prepared:
    """One captured CUDA graph. It holds addresses, so that it stays where it is in memory."""
    replay = cuda.as_graph(in_torch(model, model, inputs, setting).call)
    return Prepared(
        call=replay,
        renew=lambda: None,
        peak_bytes=lambda: kernels.peak_bytes(model, replay, device=setting.device),
    )


def _needs_cuda(setting: Setting) -> str:
    return "" if setting.device == "cuda" else "it needs device cuda"


RUNTIMES: Mapping[str, Runtime] = MappingProxyType(
    {
        "eager": Runtime(prepare=_as_it_stands),
        "compile": Runtime(prepare=_compiled, fails=_cannot_compile),
        "cuda-graph": Runtime(prepare=_captured, refuses=_needs_cuda),
        "torch.export": TORCH_EXPORT,
        "onnxruntime": ONNXRUNTIME,
    }
)
"""By the name that a setting has; those that take modules only are the words of `latency.runtimes`."""
