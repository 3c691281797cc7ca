"""Timing on CUDA: events around each call, a cold L2 cache, captured graphs, and the clocks that the driver reports."""

from collections.abc import Callable
from time import process_time

import torch
from torch import Tensor

from lrbench.results.sessions import Gpu

Call = Callable[[], object]


def block(call: Call) -> Callable[[int], tuple[float, float]]:
    """Blocks of a call timed by events on the device; before each, untimed, the L2 cache is overwritten."""
    cache = torch.empty(2 * torch.cuda.get_device_properties().L2_cache_size, dtype=torch.int8, device="cuda")

    def timed(calls: int) -> tuple[float, float]:
        cpu, pairs = process_time(), []
        for _ in range(calls):
            cache.zero_()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            start.record()
            call()
            end.record()
            pairs.append((start, end))
        torch.cuda.synchronize()
        return sum(start.elapsed_time(end) for start, end in pairs) / 1000, process_time() - cpu

    return timed


def as_graph(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The call captured as one CUDA graph, after three warm-up calls on a side stream; its result is overwritten."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode(), torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        result = call()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


def read_gpu() -> Gpu | None:
    """Clocks, temperature and throttling of the current device by its driver; None without a device or an answer."""
    if not torch.cuda.is_available():
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}".encode())
        reasons = pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
        return Gpu(
            sm_clock_hz=1e6 * pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
            memory_clock_hz=1e6 * pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
            temperature_c=float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
            throttling=f"{reasons:#x}",
        )
    except pynvml.NVMLError:
        return None


def driver() -> str:
    """The driver's version; "none" without a device, "unknown" without an answer."""
    if not torch.cuda.is_available():
        return "none"
    import pynvml

    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return "unknown"
