"""Reading, plotting and checking a folder of 10,000 trials, each beside the least work that it needs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import samples
from pytest_benchmark.fixture import BenchmarkFixture

from lrbench.gate.check import check_folders
from lrbench.gate.tolerances import Tolerances
from lrbench.report.figures.draw import draw_figures
from lrbench.report.results import Results
from lrbench.results.log import LOG, read_records
from lrbench.results.records import Measurement
from lrbench.results.tables import build_tables

TRIALS = 10_000
READ = f"read a log of {TRIALS:,} trials"
PLOT = f"all figures of {TRIALS:,} trials"
CHECK = f"check {TRIALS:,} trials against themselves"


def trials() -> list[Measurement]:
    """Made-up trials over schemes, layer sets, ranks and seeds."""
    measurements = []
    for number in range(TRIALS):
        rule, variant = f"rank={1 + number % 50}", number // 50
        trial = samples.trial(
            f"t{number}", rank_rule=rule, seed=variant // 4, scheme=("channel", "spatial")[variant % 2]
        )
        trial = replace(trial, layer_set=("early", "late")[variant // 2 % 2])
        measurements.append(samples.measurement(trial, macs=20 + number % 70, correct=50 + number % 50))
    return measurements


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.folder_of(tmp_path_factory.mktemp("many"), trials())


@pytest.mark.benchmark(group=READ)
def bench_read(benchmark: BenchmarkFixture, describe: Callable[..., None], folder: Path) -> None:
    records = benchmark.pedantic(lambda: build_tables(read_records(folder)), rounds=3)
    describe("read records and build tables")
    assert len(records["trials"]) == TRIALS


@pytest.mark.benchmark(group=READ)
def bench_read_json(benchmark: BenchmarkFixture, describe: Callable[..., None], folder: Path) -> None:
    lines = benchmark.pedantic(lambda: [json.loads(line) for line in (folder / LOG).read_text().splitlines()], rounds=3)
    describe("parse the lines as JSON", reference=True)
    assert len(lines) == TRIALS


@pytest.mark.benchmark(group=PLOT)
def bench_plots(benchmark: BenchmarkFixture, describe: Callable[..., None], folder: Path) -> None:
    drawn = benchmark.pedantic(lambda: draw_figures(Results(folder)), rounds=1)
    describe("draw all figures")
    assert len(drawn) == 7


@pytest.mark.benchmark(group=PLOT)
def bench_read_tables(benchmark: BenchmarkFixture, describe: Callable[..., None], folder: Path) -> None:
    read = benchmark.pedantic(lambda: [pd.read_csv(path) for path in folder.glob("*.csv")], rounds=3)
    describe("read the tables", reference=True)
    assert sum(map(len, read)) > TRIALS


@pytest.mark.benchmark(group=CHECK)
def bench_check(benchmark: BenchmarkFixture, describe: Callable[..., None], folder: Path) -> None:
    verdicts = benchmark.pedantic(lambda: check_folders(folder, folder, Tolerances()), rounds=3)
    describe("check a folder against itself")
    assert {verdict.verdict for verdict in verdicts} == {"ok"}


@pytest.mark.benchmark(group=CHECK)
def bench_read_both_sides(benchmark: BenchmarkFixture, describe: Callable[..., None], folder: Path) -> None:
    names = ("trials", "layers", "answers", "architectures", "latency")
    benchmark.pedantic(lambda: [pd.read_csv(folder / f"{name}.csv") for name in names for _ in range(2)], rounds=3)
    describe("read the tables of both sides", reference=True)
