"""Why a layer is as fast as it is: the operators that ran, the bytes that must move, the memory a call takes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else the profiler writes to stderr that it finds no GPU

Call = Callable[[], object]

BACKENDS = {
    "aten::mkldnn_convolution": "onednn",
    "mkldnn::_convolution_pointwise": "onednn",
    "aten::mkldnn_linear": "onednn",
    "aten::_slow_conv2d_forward": "slow",
    "aten::slow_conv_dilated2d": "slow",
    "aten::_nnpack_spatial_convolution": "nnpack",
    "aten::_conv_depthwise2d": "depthwise",
    "aten::cudnn_convolution": "cudnn",
    "aten::_mps_convolution": "mps",
    "aten::mm": "gemm",
    "aten::addmm": "gemm",
    "aten::bmm": "gemm",
    "aten::baddbmm": "gemm",
}
"""The library behind an operator of torch, by its name in a profile."""


def backends(call: Call) -> str:
    """What the convolutions and matrix products of one call ran on, in order: `onednn slow`.

    A slow convolution is unfolded and multiplied; the product inside it is not named again.
    """
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        call()
    names, end = [], -1.0
    for event in sorted(profiled.events() or (), key=lambda event: event.time_range.start):
        if event.name in BACKENDS and event.time_range.start >= end:
            names.append(BACKENDS[event.name])
            end = event.time_range.end
    return " ".join(names)


def traffic_bytes(model: nn.Module, call: Call) -> int:
    """Bytes of weights, inputs and results of every layer in one call, each counted once: what must move at least."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        tensors = (*module.parameters(recurse=False), inputs[0], output)
        total += sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    with _hooked(model, count):
        call()
    return total


@contextmanager
def _hooked(model: nn.Module, hook: Callable[..., None]) -> Iterator[None]:
    """A forward hook on every module without children, while it lasts."""
    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [module.register_forward_hook(hook) for module in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def peak_bytes(model: nn.Module, call: Call, *, device: str) -> int:
    """What one call takes in memory at most: the model's own tensors, and what torch allocates while it runs."""
    own = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return own + torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    now = peak = 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return own + peak
