"""Executors: where the jobs of a run are executed, and where its timings are taken. No executor writes records.

To add one, write a context manager that yields an `Execute`, add an entry to `EXECUTORS` here, and its name to the
table in `lrbench.config.names`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from lrbench.config import names
from lrbench.errors import InputError, nearest
from lrbench.execute import local_timing, pool, ray_jobs, ray_timing
from lrbench.execute.jobs import Execute, Worker
from lrbench.execute.workers import Workers
from lrbench.plan.run import Run
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture

Time = Callable[[Run, Workers, Mapping[str, Architecture], Sequence[Record]], Iterator[Record]]
"""(the run, its workers, architectures by key, records of the log) -> records of the missing timings."""


@dataclass(frozen=True, kw_only=True)
class Executor:
    """A place where jobs run.

    Attributes:
        open: context manager that yields the function which runs jobs.
        threads: torch threads of a job, given the number that this process has.
        at_once: number of trainings in this machine's memory at a time; 0: they run on other machines.
        holds_images: whether this process needs the images itself.
        time: times architectures.
        takes: what may be given for it, as `Workers.given` names it; these are options of the command line too.
        by_name: whether it is used only when it is named.
        isolates: whether a crash of a trial leaves the command alive.
    """

    open: Callable[[Workers, Worker], AbstractContextManager[Execute]]
    threads: Callable[[Workers, int], int]
    at_once: Callable[[Workers], int]
    holds_images: bool
    time: Time
    takes: frozenset[str] = frozenset()
    by_name: bool = False
    isolates: bool = True


@contextmanager
def open_here(workers: Workers, worker: Worker) -> Iterator[Execute]:
    """Run jobs in this process, one after the other; no job can be stopped early."""
    yield lambda work, jobs, timeout_s: (work(job, worker) for job in jobs)


EXECUTORS: Mapping[str, Executor] = MappingProxyType(
    {
        "here": Executor(
            open=open_here,
            threads=lambda workers, available: available,
            at_once=lambda workers: 1,
            holds_images=True,
            time=local_timing.time_here,
            isolates=False,
        ),
        "pool": Executor(
            open=pool.open_pool,
            threads=lambda workers, available: max(1, available // (workers.jobs or 1)),  # sharing a core is slow
            at_once=lambda workers: workers.jobs or 1,
            holds_images=False,
            time=local_timing.time_here,
            takes=frozenset(["jobs", "timeout"]),
        ),
        "ray": Executor(
            open=ray_jobs.open_ray,
            threads=lambda workers, available: workers.cluster.cpus,
            at_once=lambda workers: 0,
            holds_images=True,
            time=ray_timing.time_on_nodes,
            takes=frozenset(["timeout", "address", "cpus-per-trial", "gpus-per-trial", "on"]),
            by_name=True,
        ),
    }
)
"""Executors by name."""


def choose(name: str | None, given: Collection[str], *, prefix: str = "", isolated: bool = False) -> str:
    """The name of an executor: the given one, or else the first that takes what is given.

    Args:
        name: of an executor, None to choose one.
        given: what is not left to its default.
        prefix: what stands before a name in errors: `--` on the command line.
        isolated: whether the one that is chosen must survive crashes of a user's code.

    Raises: InputError for an unknown name, or something given that the executor does not take.
    """
    if name is None:
        fit = {able: entry for able, entry in EXECUTORS.items() if not entry.by_name and entry.isolates >= isolated}
        name = next((able for able, entry in fit.items() if entry.takes.issuperset(given)), next(iter(EXECUTORS)))
    if name not in names.EXECUTORS:
        raise InputError(f"unknown {prefix}executor {name!r}: {nearest(name, names.EXECUTORS)}")
    for option in given:
        if option not in EXECUTORS[name].takes:
            takers = " or ".join(taker for taker, entry in EXECUTORS.items() if option in entry.takes)
            raise InputError(f"{prefix}{option} goes with {prefix}executor {takers}, not {name}")
    return name


def executor_of(workers: Workers) -> Executor:
    """The executor that workers ask for; see `choose`."""
    return EXECUTORS[choose(workers.executor, workers.given())]
