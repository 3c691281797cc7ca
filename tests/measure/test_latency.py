"""Timing sessions with a clock that tests move, and the real one where a user would use it."""

import gc

import pytest
import torch
from torch import nn

from lrbench.choices import LatencyChoice
from lrbench.errors import InputError
from lrbench.measure.latency import prepare, quiet, settings, time_block, time_rounds
from lrbench.records import Setting


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


def test_each_model_gets_its_own_time_in_every_round() -> None:
    clock = Clock()
    choice = LatencyChoice(rounds=20, warmup_s=0, block_s=12)
    calls, first, rounds = time_rounds([clock.call(4), clock.call(1)], choice, clock=clock, cpu_clock=clock)
    assert (calls, first) == ((3, 12), (4, 1))
    assert [one.wall_s for one in rounds] == [(4, 1)] * 20
    assert {one.order for one in rounds} == {(0, 1), (1, 0)}, "the order is shuffled"


def test_the_warm_up_lasts_as_long_as_asked() -> None:
    clock = Clock()
    time_rounds([clock.call(1)], LatencyChoice(rounds=2, warmup_s=7, block_s=1), clock=clock, cpu_clock=clock)
    assert clock.now == 1 + 7 + 2, "first call, warm-up, one call a round"


def test_a_block_is_divided_by_its_calls() -> None:
    clock = Clock()
    assert time_block(clock.call(2), 5, clock=clock, cpu_clock=lambda: clock.now * 3) == (2, 6)


def test_quiet_sets_threads_and_puts_everything_back() -> None:
    before = torch.get_num_threads()
    with quiet(1):
        assert (torch.get_num_threads(), gc.isenabled(), torch.is_inference_mode_enabled()) == (1, False, True)
    assert (torch.get_num_threads(), gc.isenabled(), torch.is_inference_mode_enabled()) == (before, True, False)


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_a_real_model_is_timed_in_its_memory_format(memory_format: str) -> None:
    model = nn.Conv2d(3, 4, 3)
    setting = Setting(device="cpu", batch_size=2, threads=1, memory_format=memory_format)
    with quiet(1):
        run = prepare(model, setting, image_size=6)
        _, first, rounds = time_rounds([run, run], LatencyChoice(rounds=3, warmup_s=0.0))
    assert model.weight.is_contiguous(memory_format=getattr(torch, memory_format + "_format", torch.channels_last))
    assert all(seconds > 0 for one in rounds for seconds in (*one.wall_s, *first))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_cuda_is_timed_to_the_end_of_the_work() -> None:
    setting = Setting(device="cuda", batch_size=64, threads=1, memory_format="contiguous")
    run = prepare(nn.Sequential(*(nn.Conv2d(3 if i == 0 else 64, 64, 3) for i in range(8))), setting, image_size=128)
    _, _, rounds = time_rounds([run], LatencyChoice(rounds=5, warmup_s=0.1))
    assert min(one.wall_s[0] for one in rounds) > 1e-4, "64 images cannot take less: the call returned too early"


def test_settings_are_every_combination_of_the_axes() -> None:
    choice = LatencyChoice(
        devices=("cpu",), batch_sizes=(1, 8), threads=(1, 2), memory_formats=("contiguous", "channels_last")
    )
    assert len(set(settings(choice))) == 8
    assert settings(LatencyChoice(devices=())) == ()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match="device 'cuda' is not to be had here: torch sees no GPU"):
        settings(LatencyChoice(devices=("cuda",)))
    assert {setting.device for setting in settings(LatencyChoice(devices=("auto",)))} == {"cpu"}


def test_an_unknown_device_says_what_is_allowed() -> None:
    with pytest.raises(InputError, match="unknown device 'gpu', allowed: auto, cpu, cuda"):
        settings(LatencyChoice(devices=("gpu",)))
