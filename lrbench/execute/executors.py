"""Executors: where the jobs of a run run, and where its timings are taken. None of them writes a record.

To add one, write a context manager that gives an `Execute`, add one entry to `EXECUTORS` here, and its name to those of
`lrbench.config`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from lrbench.execute import local_timing, pool, ray_jobs, ray_timing
from lrbench.execute.jobs import Execute, Worker
from lrbench.execute.workers import Workers
from lrbench.plan.run import Run
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture

Time = Callable[[Run, Workers, Mapping[str, Architecture], Sequence[Record]], Iterator[Record]]
"""(the run, its workers, architectures by key, what the log holds) -> records of the timings that were due."""


@dataclass(frozen=True, kw_only=True)
class Executor:
    """A place where jobs run.

    Attributes:
        open: gives what runs jobs, while it lasts.
        threads: how many threads of torch a job has, when this process has so many.
        at_once: how many trainings this machine holds in memory at a time; 0: they are on other machines.
        holds_images: whether this process itself needs the images.
        time: times architectures.
        takes: options of the command line that mean something to it.
        by_name: whether it is taken only when it is asked for by its name.
    """

    open: Callable[[Workers, Worker], AbstractContextManager[Execute]]
    threads: Callable[[Workers, int], int]
    at_once: Callable[[Workers], int]
    holds_images: bool
    time: Time
    takes: frozenset[str] = frozenset()
    by_name: bool = False


@contextmanager
def open_here(workers: Workers, worker: Worker) -> Iterator[Execute]:
    """Run jobs in this process, one after the other; nothing can be cut short."""
    yield lambda work, jobs, timeout_s: (work(job, worker) for job in jobs)


EXECUTORS: Mapping[str, Executor] = MappingProxyType(
    {
        "here": Executor(
            open=open_here,
            threads=lambda workers, ours: ours,
            at_once=lambda workers: 1,
            holds_images=True,
            time=local_timing.time_here,
        ),
        "pool": Executor(
            open=pool.open_pool,
            threads=lambda workers, ours: max(1, ours // workers.jobs),  # two that share a core slow each other
            at_once=lambda workers: workers.jobs,
            holds_images=False,
            time=local_timing.time_here,
            takes=frozenset(["jobs", "timeout"]),
        ),
        "ray": Executor(
            open=ray_jobs.open_ray,
            threads=lambda workers, ours: workers.cluster.cpus,
            at_once=lambda workers: 0,
            holds_images=True,
            time=ray_timing.time_on_nodes,
            takes=frozenset(["timeout", "address", "cpus-per-trial", "gpus-per-trial", "on"]),
            by_name=True,
        ),
    }
)
"""By name."""
