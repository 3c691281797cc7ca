"""What a timing session costs beside the calls that it times."""

from collections.abc import Callable
from time import perf_counter

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from lrbench.choices import LatencyChoice
from lrbench.measure.latency import Block, clocked, time_side_by_side

MODELS, CALL_S = 10, 0.001
"""The least block that is timed, so the most bookkeeping a second."""


def spin() -> None:
    end = perf_counter() + CALL_S
    while perf_counter() < end:
        pass


def session(rounds: int) -> float:
    """Run a session of models that only wait; give its seconds beyond the calls, as a share of the calls."""
    blocks: list[Block] = [clocked(spin) for _ in range(MODELS)]
    choice = LatencyChoice(rounds=rounds, warmup_s=0.0, precision=1e-9, limit_s=1e9, block_s=CALL_S / 2)
    started = perf_counter()
    timed = time_side_by_side(blocks, choice)
    whole = perf_counter() - started
    inside = sum(timed.first_wall_s) + sum(timed.warmup_s) + sum(sum(one.wall_s) for one in timed.rounds)
    return whole / inside - 1


@pytest.mark.benchmark(group="bookkeeping of a timing session of 10 models, 1 ms a call")
def bench_session(benchmark: BenchmarkFixture, describe: Callable[..., None]) -> None:
    shares = []
    benchmark.pedantic(lambda: shares.append(session(200)), rounds=5)
    describe("session of ten models")
    benchmark.extra_info["bookkeeping_share"] = sorted(shares)[len(shares) // 2]


@pytest.mark.benchmark(group="bookkeeping of a timing session of 10 models, 1 ms a call")
def bench_calls_alone(benchmark: BenchmarkFixture, describe: Callable[..., None]) -> None:
    describe("the calls alone", reference=True)
    benchmark.pedantic(lambda: [spin() for _ in range(200 * MODELS)], rounds=5)
