"""Timing sessions: the dense model, its copy and some architectures, interleaved in one process, raw rounds kept.

Why interleaved: a shared machine has fast and slow minutes. Times taken one after the other compare the minutes,
times taken within one round compare the models (see the README for the numbers).
"""

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter, process_time

import torch
from torch import Tensor, nn

from lrbench.choices import LatencyChoice
from lrbench.errors import InputError
from lrbench.records import Round, Setting

Call = Callable[[], object]


def settings(choice: LatencyChoice) -> tuple[Setting, ...]:
    """Every combination of the axes. `auto` is the CPU, and CUDA where there is one; threads only multiply the CPU.

    Raises: InputError when a device is unknown or absent.
    """
    devices: list[str] = []
    for name in choice.devices:
        if name not in ("auto", "cpu", "cuda"):
            raise InputError(f"unknown device {name!r}, allowed: auto, cpu, cuda")
        if name == "cuda" and not torch.cuda.is_available():
            raise InputError("device 'cuda' is not to be had here: torch sees no GPU")
        devices += ["cpu", *(["cuda"] if torch.cuda.is_available() else [])] if name == "auto" else [name]
    return tuple(
        Setting(device=device, batch_size=batch_size, threads=threads, memory_format=memory_format)
        for device in dict.fromkeys(devices)
        for threads in (choice.threads if device == "cpu" else choice.threads[:1])
        for memory_format in choice.memory_formats
        for batch_size in choice.batch_sizes
    )


def prepare(model: nn.Module, setting: Setting, *, image_size: int) -> Call:
    """A call of the model on one random batch, complete when it returns (CUDA is synchronised)."""
    memory_format = torch.channels_last if setting.memory_format == "channels_last" else torch.contiguous_format
    model.eval().to(device=setting.device, memory_format=memory_format)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(0)
    images: Tensor = torch.rand(setting.batch_size, 3, image_size, image_size, generator=generator)
    images = images.to(device=setting.device).contiguous(memory_format=memory_format)
    if setting.device == "cpu":
        return lambda: model(images)

    def synchronised() -> None:
        model(images)
        torch.cuda.synchronize()

    return synchronised


@contextmanager
def quiet(threads: int) -> Iterator[None]:
    """Inference mode, this many threads, no garbage collection, denormals flushed; all restored afterwards.

    Raises: InputError when torch does not take that many threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    if torch.get_num_threads() != threads:
        raise InputError(f"torch runs {torch.get_num_threads()} threads, {threads} were asked for")
    torch.set_flush_denormal(True)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        with torch.inference_mode():
            yield
    finally:
        gc.enable()
        gc.unfreeze()
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def time_block(
    call: Call, calls: int, *, clock: Callable[[], float], cpu_clock: Callable[[], float]
) -> tuple[float, float]:
    """Wall and CPU seconds a call, over a block of calls."""
    cpu, wall = cpu_clock(), clock()
    for _ in range(calls):
        call()
    return (clock() - wall) / calls, (cpu_clock() - cpu) / calls


def time_rounds(
    runs: Sequence[Call],
    choice: LatencyChoice,
    *,
    seed: int = 0,
    clock: Callable[[], float] = perf_counter,
    cpu_clock: Callable[[], float] = process_time,
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[Round, ...]]:
    """Time calls side by side: each runs once in each round, in shuffled order.

    Args:
        runs: one call for each model.
        choice: rounds, warm-up and block length.
        seed: of the order.
        clock: wall seconds.
        cpu_clock: CPU seconds of the process.

    Returns: calls a block of each, wall seconds of the very first call of each, and the rounds.
    """
    first = tuple(time_block(run, 1, clock=clock, cpu_clock=cpu_clock)[0] for run in runs)
    calls = tuple(_warm_up(run, choice, clock=clock) for run in runs)
    shuffle = random.Random(seed)
    rounds = []
    for _ in range(choice.rounds):
        order = shuffle.sample(range(len(runs)), len(runs))
        taken = {i: time_block(runs[i], calls[i], clock=clock, cpu_clock=cpu_clock) for i in order}
        rounds.append(
            Round(
                order=tuple(order),
                wall_s=tuple(taken[i][0] for i in range(len(runs))),
                cpu_s=tuple(taken[i][1] for i in range(len(runs))),
            )
        )
    return calls, first, tuple(rounds)


def _warm_up(run: Call, choice: LatencyChoice, *, clock: Callable[[], float]) -> int:
    """Call until the warm-up is over, and say how many calls fill a block at the fastest pace seen."""
    start, fastest = clock(), float("inf")
    while True:
        before = clock()
        run()
        now = clock()
        fastest = min(fastest, now - before)
        if now - start >= choice.warmup_s:
            return max(1, int(-(-choice.block_s // fastest)) if fastest > 0 else 1)
