"""What a Ray cluster costs beside the trials themselves, and what many trials cost the driver: results/cluster.

python bench/study_cluster.py results/cluster
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

NOTHING, SLEEPERS, WORKERS = 500, 160, 16
TRIALS = (10_000, 100_000)
WARM_UP = 2
"""Rounds of every worker before the clock starts: a worker takes seconds to import torch."""


def nothing(job: Any, worker: Any) -> tuple[()]:
    """A trial that takes no time."""
    return ()


def sleep(job: Any, worker: Any) -> tuple[()]:
    """A trial that takes a second and no CPU."""
    time.sleep(1)
    return ()


@contextmanager
def cluster(*cpus: int) -> Iterator[str]:
    """The address of a cluster on this machine, with a node for each number of logical CPUs."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for count in cpus:
        nodes.add_node(num_cpus=count, object_store_memory=200_000_000)
    nodes.wait_for_nodes()
    try:
        yield nodes.address
    finally:
        nodes.shutdown()


def jobs_of(count: int) -> list[Any]:
    """Jobs of one made-up trial each."""
    import samples

    from lrbench.execute.jobs import Job
    from lrbench.plan.spec import SweepSpec

    job = Job(spec=SweepSpec(), trials=(), cache=Path("cache"), environment="", commit="", threads=1)
    return [replace(job, trials=(samples.trial(f"t{number}", baseline="none"),)) for number in range(count)]


def seconds_of(work: Any, count: int, workers: Any, *, warm_up: int) -> float:
    """How long an executor takes for `count` trials once it is warm."""
    from lrbench.execute.executors import EXECUTORS
    from lrbench.execute.jobs import Worker
    from lrbench.learn.datasets import load_dataset
    from lrbench.progress import silent

    data = load_dataset(jobs_of(1)[0].spec.data, cache=Path("cache"))
    with EXECUTORS[workers.executor].open(workers, Worker(silent, data=data)) as execute:
        for _ in execute(work, jobs_of(warm_up), None):
            pass
        started = time.perf_counter()
        ended = sum(1 for _ in execute(work, jobs_of(count), None))
        assert ended == count
        return time.perf_counter() - started


def engines() -> Iterator[dict[str, Any]]:
    """Seconds a trial of nothing, by executor, and the share of 16 workers that sleeps of a second keep busy."""
    from lrbench.execute.workers import ALONE, Cluster, Workers

    yield row("no-op trials, in process", NOTHING, seconds_of(nothing, NOTHING, ALONE, warm_up=1))
    yield row(
        "no-op trials, pool of 2",
        NOTHING,
        seconds_of(nothing, NOTHING, Workers(executor="pool", jobs=2), warm_up=2 * WARM_UP),
    )
    with cluster(1, 1) as address:
        workers = Workers(executor="ray", cluster=Cluster(address=address))
        yield row(
            "no-op trials, Ray, 2 nodes of 1 CPU", NOTHING, seconds_of(nothing, NOTHING, workers, warm_up=4 * WARM_UP)
        )
    with cluster(WORKERS) as address:
        workers = Workers(executor="ray", cluster=Cluster(address=address))
        taken = seconds_of(sleep, SLEEPERS, workers, warm_up=WORKERS * WARM_UP)
    yield row(f"1 s sleeps, Ray, {WORKERS} workers", SLEEPERS, taken, efficiency=SLEEPERS / WORKERS / taken)


def row(task: str, trials: int, seconds: float, **more: Any) -> dict[str, Any]:
    """One measurement."""
    values = {"what": task, "trials": trials, "seconds": seconds, "seconds_per_trial": seconds / trials}
    print(values | more, flush=True)
    return values | more


def append(folder: Path, count: int) -> None:
    """What a driver does with records: count, keep and flush them, and rewrite the tables."""
    import samples

    from lrbench.results.log import Store

    with Store(folder) as store:
        for number in range(count):
            trial = samples.trial(f"t{number}", rank_rule=f"rank={1 + number % 50}", seed=number // 50)
            store.append(samples.measurement(trial, macs=20 + number % 70, correct=50 + number % 50))


def driver(count: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Time and peak memory of processes that keep `count` records, open the log again, plot and check it."""
    this_script, lrbench = [sys.executable, __file__], str(Path(sys.executable).with_name("lrbench"))
    commands = {
        "append records": [*this_script, "append", str(folder), str(count)],
        "open the log again": [*this_script, "append", str(folder), "0"],
        "lrbench plots": [lrbench, "plots", str(folder)],
        "lrbench check": [lrbench, "check", str(folder), str(folder)],
    }
    for task, command in commands.items():
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = 0
        assert status == 0, task
        peak = used.ru_maxrss * 1024
        yield row(task, count, time.perf_counter() - started, peak_memory_bytes=peak)


def main(target: Path) -> None:
    """Measure everything and write the table."""
    rows: list[dict[str, Any]] = []
    for count in TRIALS:  # first, while this process is small: a child's peak memory counts from its parent's
        with tempfile.TemporaryDirectory() as place:
            rows += driver(count, Path(place) / "results")
    rows += engines()
    target.mkdir(parents=True, exist_ok=True)
    names = ("what", "trials", "seconds", "seconds_per_trial", "efficiency", "peak_memory_bytes")
    with (target / "costs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    if sys.argv[1] == "append":
        append(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(Path(sys.argv[1]))
