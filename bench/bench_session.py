"""What a timing session costs beside the calls that it times."""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from lrbench.config.sections import LatencyChoice
from lrbench.measure.side_by_side import Block, clocked, time_side_by_side

MODELS, CALL_S = 10, 0.001
"""The least block that is timed, so the most bookkeeping a second."""


def spin() -> None:
    end = perf_counter() + CALL_S
    while perf_counter() < end:
        pass


def session(rounds: int) -> float:
    """Run a session of models that only wait; give its seconds beyond their calls, as a share of the calls."""
    spent = []

    def counted(block: Block) -> Block:
        def run(calls: int) -> tuple[float, float]:
            started = perf_counter()
            seconds = block(calls)
            spent.append(perf_counter() - started)
            return seconds

        return run

    blocks = [counted(clocked(spin)) for _ in range(MODELS)]
    choice = LatencyChoice(rounds=rounds, warmup_s=0.0, precision=1e-9, limit_s=1e9, block_s=CALL_S / 2)
    started = perf_counter()
    time_side_by_side(blocks, choice)
    return (perf_counter() - started) / sum(spent) - 1


@pytest.mark.benchmark(group="bookkeeping of a timing session of 10 models, 1 ms a call")
def bench_session(benchmark: BenchmarkFixture, describe: Callable[..., None]) -> None:
    shares = []
    benchmark.pedantic(lambda: shares.append(session(200)), rounds=5)
    describe("session of ten models")  # its warm-up calls, and those in fresh memory, come on top
    benchmark.extra_info["bookkeeping_share"] = median(shares)
    assert median(shares) < 0.05, "more than 5 % of the calls"


@pytest.mark.benchmark(group="bookkeeping of a timing session of 10 models, 1 ms a call")
def bench_calls_alone(benchmark: BenchmarkFixture, describe: Callable[..., None]) -> None:
    describe("the calls alone", reference=True)

    def calls() -> None:
        for _ in range(200 * MODELS):
            spin()

    benchmark.pedantic(calls, rounds=5)
