"""Timing sessions: the dense model, its copy and further models, interleaved in one process, raw rounds kept.

Why interleaved: a shared machine has fast and slow minutes. Times taken one after the other compare the minutes,
times taken within one round compare the models (see docs/latency.md for the numbers).
"""

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from time import perf_counter, process_time

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from lrbench.config.axes import Setting
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.limits import require_cpus
from lrbench.measure import cuda, runtimes
from lrbench.measure.environment import Watch, read_watch
from lrbench.measure.prepared import Prepared
from lrbench.results.sessions import DENSE, ROUNDS_A_LAYOUT, Round, Timed
from lrbench.statistics.paired import Logs, widest_half_width

Call = Callable[[], object]
Clock = Callable[[], float]

Block = Callable[[int], tuple[float, float]]
"""calls -> wall and CPU seconds that these calls took, complete when it returns."""

LEAST_LAYOUTS = 2
"""One layout gives no interval."""

STRETCHES = 6
"""The most stretches of warm-up; a model that still gets faster after them is timed anyway."""

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "amp": torch.float32}


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy in eval mode with each batch norm folded into the convolution before it, as torch.fx does it.

    Raises: InputError when the model cannot be traced.
    """
    try:
        folded: nn.Module = fuse(model.eval())
    except Exception as error:  # whatever the model's own code raises under tracing
        reason = str(error).strip().splitlines()[0]
        raise InputError(f'latency.batch_norms: "folded" needs a model that torch.fx can trace: {reason}') from error
    return folded


def place(model: nn.Module, setting: Setting) -> nn.Module:
    """A model in eval mode as a setting wants it: device, dtype, memory format, batch norm folded or not (in place).

    Raises: InputError when batch norm is to be folded and the model cannot be traced.
    """
    model = fold_batch_norm(model) if setting.folded else model.eval()
    dtype = DTYPES[setting.dtype]  # of real numbers only: `.to` would also make complex ones real
    model.to(device=setting.device)
    model._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)  # type: ignore[no-untyped-call]
    model.to(memory_format=MEMORY_FORMATS[setting.memory_format])
    return model


def prepare(model: nn.Module, setting: Setting, *, shape: Sequence[int]) -> Prepared:
    """Place a model (in place) and take it into the runtime of a setting, with one random batch of its own.

    Args:
        model: to be timed.
        setting: to time it in.
        shape: of one input, without the batch.

    Raises: InputError when batch norm is to be folded and the model cannot be traced.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(setting.batch_size, *shape, generator=generator)
    inputs = inputs.to(device=setting.device, dtype=DTYPES[setting.dtype])
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=MEMORY_FORMATS[setting.memory_format])
    return runtimes.RUNTIMES[setting.runtime].prepare(place(model, setting), inputs, setting)


def block_of(call: Call, setting: Setting) -> Block:
    """How blocks of a call are timed on a device: by the processor's clock, on CUDA by events."""
    if setting.device == "cuda":
        return cuda.block(call)
    synchronise = torch.mps.synchronize if setting.device == "mps" else None
    return clocked(call, synchronise=synchronise)


def clocked(
    call: Call, *, clock: Clock = perf_counter, cpu_clock: Clock = process_time, synchronise: Call | None = None
) -> Block:
    """Blocks of a call timed by a clock; `synchronise` waits for a device that works on its own."""

    def block(calls: int) -> tuple[float, float]:
        cpu, wall = cpu_clock(), clock()
        for _ in range(calls):
            call()
        if synchronise is not None:
            synchronise()
        return clock() - wall, cpu_clock() - cpu

    return block


@contextmanager
def quiet(threads: int) -> Iterator[None]:
    """Inference mode, this many threads, no garbage collection, denormals flushed; all restored afterwards.

    Denormals come first: threads that torch starts later take the switch over.

    Raises: InputError when this machine does not have, or torch does not take, that many threads.
    """
    require_cpus(threads)
    before = torch.get_num_threads()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    if torch.get_num_threads() != threads:
        raise InputError(f"torch runs {torch.get_num_threads()} threads, but {threads} were requested")
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


def time_side_by_side(
    blocks: Sequence[Block],
    choice: LatencyChoice,
    *,
    renew: Callable[[], None] = lambda: None,
    seed: int = 0,
    clock: Clock = perf_counter,
    watch: Callable[[], Watch] = read_watch,
) -> Timed:
    """Time models side by side: each runs once in each round, in shuffled order.

    Every few rounds `renew` lays the models out anew in memory, and each is called once untimed. It ends once every
    interval of a ratio to the first model is narrow enough, or at a limit; never because a ratio differs from 1, which
    would make chance findings likelier.

    Args:
        blocks: one for each model, dense first, then its copy.
        choice: precision, limits, warm-up and block length.
        renew: lays out the models anew.
        seed: of the order.
        clock: wall seconds, for the limit and the warm-up.
        watch: reads load, steal and GPU.
    """
    first = tuple(block(1)[0] for block in blocks)
    warmed = [_warm_up(block, choice, clock=clock) for block in blocks]
    calls = tuple(count for count, _ in warmed)
    shuffle = random.Random(seed)
    rounds: list[Round] = []
    medians: list[Logs] = []
    started, ended = clock(), ""
    while not ended:
        if medians:
            renew()
            for block in blocks:
                block(1)
        layout = _time_layout(blocks, calls, shuffle=shuffle, layout=len(medians), watch=watch)
        rounds += layout
        walls = np.log([row.wall_s for row in layout])
        medians.append(np.median(walls - walls[:, DENSE, None], axis=0))
        ended = _why_end(medians, choice, elapsed_s=clock() - started)
    return Timed(
        calls=calls,
        first_wall_s=first,
        rounds=tuple(rounds),
        warmup_s=tuple(seconds for _, seconds in warmed),
        ended=ended,
        control_within=choice.control_within,
    )


def _time_layout(
    blocks: Sequence[Block],
    calls: Sequence[int],
    *,
    shuffle: random.Random,
    layout: int,
    watch: Callable[[], Watch],
) -> list[Round]:
    """The rounds of one layout."""
    rounds, before, models = [], watch(), range(len(blocks))
    for _ in range(ROUNDS_A_LAYOUT):
        order = shuffle.sample(models, len(models))
        times = {i: blocks[i](calls[i]) for i in order}
        now = watch()
        rounds.append(
            Round(
                order=tuple(order),
                wall_s=tuple(times[i][0] / calls[i] for i in models),
                cpu_s=tuple(times[i][1] / calls[i] for i in models),
                layout=layout,
                load=now.load,
                steal_s=None if now.steal_s is None or before.steal_s is None else now.steal_s - before.steal_s,
                gpu=now.gpu,
            )
        )
        before = now
    return rounds


def _why_end(medians: Sequence[Logs], choice: LatencyChoice, *, elapsed_s: float) -> str:
    """The reason to end a session now; "" to go on."""
    rounds = ROUNDS_A_LAYOUT * len(medians)
    if len(medians) < LEAST_LAYOUTS:
        return ""
    if widest_half_width(np.array(medians)) <= choice.precision:
        return f"every interval within {choice.precision:.1%}"
    if rounds >= choice.rounds:
        return f"limit of {choice.rounds} rounds"
    return f"limit of {choice.limit_s:g} s" if elapsed_s >= choice.limit_s else ""


def _warm_up(block: Block, choice: LatencyChoice, *, clock: Clock) -> tuple[int, float]:
    """Call until it gets no faster; give how many calls fill a block at the speed reached, and the seconds it took."""
    start, last = clock(), float("inf")
    for _ in range(STRETCHES):
        stretch = clock()
        times: list[float] = []
        while not times or clock() - stretch < choice.warmup_s:
            times.append(block(1)[0])
        steady, last = median(times) > 0.97 * last, min(last, median(times))
        if steady:
            break
    calls = int(-(-choice.block_s // last)) if last > 0 else 1
    return max(1, calls), clock() - start
