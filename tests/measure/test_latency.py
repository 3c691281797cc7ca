"""Timing sessions with a clock that tests move, and the real one where a user would use it."""

import gc
import random
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from lrbench.config.axes import Setting
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.measure import cuda
from lrbench.measure.environment import Watch
from lrbench.measure.prepared import renew_
from lrbench.measure.settings import settings
from lrbench.measure.side_by_side import (
    DTYPES,
    block_of,
    clocked,
    fold_batch_norm,
    place,
    prepare,
    quiet,
    time_side_by_side,
)
from lrbench.results.sessions import Timed


class Clock:
    """A clock that only the timed calls move, in whole ticks so that sums are exact."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> float:
        return self.now

    def call(self, seconds: int):
        def run() -> None:
            self.now += seconds

        return run


def side_by_side(clock: Clock, seconds: list[int], **keys: object) -> Timed:
    blocks = [clocked(clock.call(one), clock=clock, cpu_clock=clock) for one in seconds]
    return time_side_by_side(blocks, LatencyChoice(**keys), clock=clock, watch=STILL)


def STILL() -> Watch:  # noqa: N802 - a constant
    return Watch(load=0.5, steal_s=1.0, gpu=None)


def test_each_model_gets_its_own_time_in_every_round() -> None:
    timed = side_by_side(Clock(), [4, 1], rounds=20, warmup_s=0, block_s=12, precision=1e-9, limit_s=1e9)
    assert (timed.calls, timed.first_wall_s) == ((3, 12), (4, 1))
    assert [one.wall_s for one in timed.rounds] == [(4, 1)] * len(timed.rounds)
    assert {one.order for one in timed.rounds} == {(0, 1), (1, 0)}, "the order is shuffled"
    assert {(one.load, one.steal_s) for one in timed.rounds} == {(0.5, 0.0)}


def test_a_session_ends_at_its_precision_its_rounds_or_its_seconds_and_says_which() -> None:
    clock, noise = Clock(), iter(random.Random(0).choices(range(10, 20), k=2000))

    def noisy() -> None:
        clock.now += next(noise)

    def run(**keys: object) -> Timed:
        blocks = [clocked(call, clock=clock, cpu_clock=clock) for call in (clock.call(10), noisy)]
        return time_side_by_side(blocks, LatencyChoice(warmup_s=0, block_s=1, **keys), clock=clock, watch=STILL)

    still = side_by_side(Clock(), [5, 5], warmup_s=0, block_s=1, limit_s=1e9)
    assert (len(still.rounds), still.ended) == (10, "every interval within 2.0%")
    assert run(rounds=35, limit_s=1e9, precision=1e-9).ended == "limit of 35 rounds"
    timed = run(rounds=400, limit_s=600, precision=1e-9)
    assert timed.ended == "limit of 600 s"
    assert 10 <= len(timed.rounds) < 35


def test_models_are_laid_out_anew_every_five_rounds() -> None:
    clock, renewed = Clock(), []
    noise = iter([3, 5, 4, 9, 2, 8, 7] * 1000)

    def noisy() -> None:
        clock.now += next(noise)

    blocks = [clocked(call, clock=clock, cpu_clock=clock) for call in (clock.call(5), noisy)]
    choice = LatencyChoice(rounds=20, precision=1e-9, warmup_s=0, limit_s=1e9)
    timed = time_side_by_side(blocks, choice, renew=lambda: renewed.append(clock.now), clock=clock, watch=STILL)
    assert [one.layout for one in timed.rounds] == [turn // 5 for turn in range(20)]
    assert len(renewed) == 3


def test_a_model_laid_out_anew_computes_the_same_elsewhere() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval().to(memory_format=torch.channels_last)
    before = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    images = torch.rand(1, 3, 6, 6)
    with torch.inference_mode():
        expected = model(images)
        renew_(model)
        assert torch.equal(model(images), expected)
    after = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    assert after.keys() == before.keys()
    assert after != before
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_difference_never_ends_a_session() -> None:
    same, other = (side_by_side(Clock(), [7, slow], warmup_s=0, block_s=1, limit_s=1e9) for slow in (7, 21))
    assert len(same.rounds) == len(other.rounds)


def test_the_warm_up_goes_on_until_a_model_gets_no_faster() -> None:
    clock, pace = Clock(), iter([90, 80, 50, 30, 20, *[20] * 1000])

    def warming() -> None:
        clock.now += next(pace)

    blocks = [clocked(warming, clock=clock, cpu_clock=clock)]
    choice = LatencyChoice(warmup_s=1, block_s=40, rounds=10)
    timed = time_side_by_side(blocks, choice, clock=clock, watch=STILL)
    assert timed.first_wall_s == (90,), "the very first call is kept apart"
    assert timed.warmup_s == (80 + 50 + 30 + 20 + 20,)
    assert timed.calls == (2,), "as many calls as fill a block at the pace reached"


def test_quiet_sets_threads_and_puts_everything_back() -> None:
    before = torch.get_num_threads()
    with quiet(1):
        assert (torch.get_num_threads(), gc.isenabled(), torch.is_inference_mode_enabled()) == (1, False, True)
    assert (torch.get_num_threads(), gc.isenabled(), torch.is_inference_mode_enabled()) == (before, True, False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_only_tensors_of_real_numbers_take_the_dtype_of_a_setting(dtype: str) -> None:
    model = nn.Conv2d(3, 4, 3)
    for name, kept in (("waves", torch.complex64), ("steps", torch.int8), ("mask", torch.bool)):
        model.register_buffer(name, torch.full((2,), 1, dtype=kept))
    model.waves *= 1j
    place(model, Setting(device="cpu", batch_size=1, threads=1, memory_format="contiguous", dtype=dtype))
    assert model.weight.dtype == DTYPES[dtype]
    assert (model.waves == 1j).all()
    assert (model.steps.dtype, model.mask.dtype) == (torch.int8, torch.bool)


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_a_real_model_is_timed_in_its_memory_format(memory_format: str) -> None:
    model = nn.Conv2d(3, 4, 3)
    setting = Setting(device="cpu", batch_size=2, threads=1, memory_format=memory_format)
    with quiet(1):
        block = block_of(prepare(model, setting, shape=(3, 6, 6)).call, setting)
        timed = time_side_by_side([block, block], LatencyChoice(rounds=10, warmup_s=0.0))
    assert model.weight.is_contiguous(memory_format=getattr(torch, memory_format + "_format", torch.channels_last))
    assert all(seconds > 0 for one in timed.rounds for seconds in (*one.wall_s, *timed.first_wall_s))


@pytest.mark.parametrize(
    "changes", [{"dtype": "bfloat16"}, {"dtype": "amp"}, {"folded": True}, {"dtype": "bfloat16", "folded": True}]
)
def test_every_axis_runs_the_model_it_says(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    model[1].running_mean.uniform_()
    setting = Setting(device="cpu", batch_size=2, threads=1, memory_format="contiguous", **changes)
    with torch.inference_mode():
        plain, other = (
            prepare(deepcopy(model), one, shape=(3, 6, 6)).call()
            for one in (replace(setting, dtype="float32", folded=False), setting)
        )
    assert other.dtype == (torch.float32 if setting.dtype == "float32" else torch.bfloat16)
    tolerance = 1e-5 if setting.dtype == "float32" else 0.05
    torch.testing.assert_close(other.float(), plain, atol=tolerance, rtol=tolerance)
    assert not torch.equal(other.float(), plain), "something else ran"


def test_a_model_that_cannot_be_traced_cannot_be_folded() -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match=r'latency.batch_norms: "folded" needs a model that torch.fx can trace'):
        fold_batch_norm(Branching())


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@needs_cuda
@pytest.mark.parametrize("runtime", ["eager", "cuda-graph"])
def test_cuda_is_timed_to_the_end_of_the_work(runtime: str) -> None:
    setting = Setting(device="cuda", batch_size=64, threads=1, memory_format="contiguous", runtime=runtime)
    model = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 64, 64, 3) for i in range(8)))
    with quiet(1):
        block = block_of(prepare(model, setting, shape=(3, 128, 128)).call, setting)
        timed = time_side_by_side([block, block], LatencyChoice(rounds=10, warmup_s=0.1))
    assert min(one.wall_s[0] for one in timed.rounds) > 1e-4, "64 images cannot take less: the call returned too early"


@needs_cuda
def test_the_driver_tells_clocks_and_throttling() -> None:
    gpu = cuda.read_gpu()
    assert gpu is not None
    assert gpu.sm_clock_hz > 1e8
    assert gpu.throttling.startswith("0x")
    assert cuda.driver() not in ("none", "unknown")


def test_settings_are_every_combination_of_the_axes() -> None:
    choice = LatencyChoice(
        devices=("cpu",), batch_sizes=(1, 8), threads=(1, 2), memory_formats=("contiguous", "channels_last")
    )
    assert len(set(settings(choice))) == 8
    assert settings(LatencyChoice(devices=())) == ()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match="device 'cuda' is not available on this machine: torch finds none"):
        settings(LatencyChoice(devices=("cuda",)))
    assert {setting.device for setting in settings(LatencyChoice(devices=("auto",)))} == {"cpu"}


def test_a_cuda_graph_without_cuda_is_refused() -> None:
    with pytest.raises(InputError, match=r"latency\.runtimes: cuda-graph cannot run: it needs device cuda"):
        settings(LatencyChoice(devices=("cpu",), runtimes=("eager", "cuda-graph")))
