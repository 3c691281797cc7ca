"""The throughput of training and evaluation beside the plain loop over the same images, turn by turn.

Each loop runs in a process of its own, since they differ in how the process keeps its memory. The reference runs once
before each pass that is timed: `pair_ratio` is the median over these pairs, above 1 where lrbench is faster.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS = 30

LEAST = 0.9
"""Of the throughput of the plain loop, what each loop of lrbench reaches even on a noisy machine."""

DEVICES = {"cpu": [32], **({"cuda": [64, 256]} if torch.cuda.is_available() else {})}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One loop: what it does, on which device, how many images a step."""

    what: str
    device: str
    batch: int
    loop: str
    augment: str = "none"

    def __str__(self) -> str:
        """Its name in records."""
        return " ".join(map(str, vars(self).values()))


def cases() -> Iterator[Case]:
    """Every loop, the plain one first."""
    for device, batches in DEVICES.items():
        for batch, what in product(batches, ("train", "evaluate")):
            for loop in ("plain", "lrbench", *(["lrbench-default-memory"] if device == "cpu" else [])):
                yield Case(what=what, device=device, batch=batch, loop=loop)
                if what == "train" and loop != "plain":
                    yield Case(what=what, device=device, batch=batch, loop=loop, augment="resized-crop-flip")


@contextmanager
def looping(what: str, loop: str, *options: str) -> Iterator[Callable[[], float]]:
    """A process that runs one pass at each call, and gives its seconds."""
    command = [sys.executable, str(Path(__file__).with_name("train_loops.py")), what, loop, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout

        def run() -> float:
            stdin.write("\n")
            stdin.flush()
            return float(stdout.readline())

        run()
        run()
        yield run
        stdin.close()


@pytest.mark.parametrize("case", list(cases()), ids=str)
def bench_loop(benchmark: BenchmarkFixture, describe: Callable[..., None], case: Case) -> None:
    benchmark.group = f"{case.what} ResNet-18 on 64 px, batch {case.batch}, {case.device}"
    images = 64 if case.device == "cpu" else 32 * case.batch
    options = ["--device", case.device, "--batch", str(case.batch), "--images", str(images)]
    plain: list[float] = []
    timed: list[float] = []
    with (
        looping(case.what, "plain", *options) as reference,
        looping(case.what, case.loop, "--augment", case.augment, *options) as own,
    ):
        benchmark.pedantic(lambda: timed.append(own()), setup=lambda: plain.append(reference()), rounds=ROUNDS)
    describe(str(case), reference=case.loop == "plain")
    ratio = median(before / after for before, after in zip(plain, timed, strict=True))
    benchmark.extra_info |= {"pair_ratio": ratio, "images_per_s": images / median(timed)}
    assert case.loop == "plain" or ratio >= LEAST, f"lrbench reaches {ratio:.2f} of the plain loop"
