"""Back-ends: where jobs run. Each maps a function over jobs and yields their records as they come; none writes them.

To add one, write a context manager that gives an `Execute`, and add one entry to `BACKENDS`.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from time import perf_counter
from types import MappingProxyType

from pebble import ProcessExpired, ProcessPool

from lrbench.errors import InputError
from lrbench.execute.ray_jobs import Cluster, Hall, connected
from lrbench.results.records import Record
from lrbench.trials.jobs import Desk, Job, TrialTimeoutError, WorkerDiedError, failures

Records = tuple[Record, ...]
Work = Callable[[Job, Desk], Records]
Execute = Callable[[Work, Sequence[Job], float | None], Iterator[Records]]
"""(what to do, the jobs, seconds that each may take) -> the records of each job, in the order in which they end."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """How trials are run: `jobs` at a time in child processes, on a cluster, or one after the other in this process.

    `timeout_s` is what each may take, None as long as it wants.
    """

    jobs: int | None = None
    timeout_s: float | None = None
    cluster: Cluster | None = None

    @property
    def backend(self) -> str:
        """The entry of `BACKENDS`: a limit of time needs a process that can be killed."""
        if self.cluster is not None:
            return "ray"
        return "here" if self.jobs is None and self.timeout_s is None else "pool"

    def threads(self, ours: int) -> int:
        """CPU threads of each job when this process has `ours`: two that share a core slow each other many times."""
        return self.cluster.cpus if self.cluster else max(1, ours // (self.jobs or 1))


ALONE = Crew()
"""One trial after the other, in this process."""


@contextmanager
def here(crew: Crew, desk: Desk) -> Iterator[Execute]:
    """Run jobs in this process, one after the other; nothing can be cut short."""
    yield lambda work, jobs, timeout_s: (work(job, desk) for job in jobs)


@contextmanager
def pool(crew: Crew, desk: Desk) -> Iterator[Execute]:
    """Run jobs in fresh child processes, killed when time is up or this process ends; one that dies fails its job only.

    Children keep desks of their own: the dense model is trained by one of them and recalled by the others.
    """
    count = crew.jobs or 1
    workers = ProcessPool(max_workers=count, context=get_context("spawn"), initializer=_end_with_parent)

    def execute(work: Work, jobs: Sequence[Job], timeout_s: float | None) -> Iterator[Records]:
        waiting, running = iter(jobs), dict[Future[Records], tuple[Job, float]]()
        for ended in range(len(jobs)):
            desk.notify(f"{count} at a time", work.__name__.replace("_", " "), ended, len(jobs))
            for job in islice(waiting, count - len(running)):
                running[_schedule(workers, work, job, timeout_s=timeout_s)] = (job, perf_counter())
            done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
            yield _outcome(done, *running.pop(done), timeout_s=timeout_s)

    try:
        yield execute
    finally:
        workers.stop()  # type: ignore[no-untyped-call]
        workers.join()


@contextmanager
def on_cluster(crew: Crew, desk: Desk) -> Iterator[Execute]:
    """Run jobs as tasks on the nodes of a Ray cluster; one that is lost with its node is tried again on another."""
    assert crew.cluster is not None
    with connected(crew.cluster) as ray:
        hall = Hall(ray, crew.cluster, desk)
        try:
            yield hall.execute
        finally:
            hall.clean()


BACKENDS: Mapping[str, Callable[[Crew, Desk], AbstractContextManager[Execute]]] = MappingProxyType(
    {"here": here, "pool": pool, "ray": on_cluster}
)


def _schedule(workers: ProcessPool, work: Work, job: Job, *, timeout_s: float | None) -> Future[Records]:
    try:
        future: Future[Records] = workers.schedule(_in_child, args=(work, job), timeout=timeout_s)
    except RuntimeError as error:  # what pebble raises once its workers cannot be started any more
        raise InputError(
            f"no child processes can be started: {error}. What is finished is kept; the same command continues, and "
            "without --jobs and --timeout it needs none"
        ) from error
    return future


def _outcome(future: Future[Records], job: Job, started: float, *, timeout_s: float | None) -> Records:
    """The records of a job that ended, whichever way."""
    fail = partial(failures, job, stage="trial", seconds=perf_counter() - started)
    try:
        return future.result()
    except TimeoutError:
        return fail(TrialTimeoutError(f"not finished after {timeout_s:g} s"), failure="timeout")
    except (ProcessExpired, BrokenProcessPool) as error:
        return fail(WorkerDiedError(describe_exit(getattr(error, "exitcode", None))), failure="killed")


def describe_exit(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "its process could not be started or reached"
    if code >= 0:
        return f"its process ended with exit code {code}"
    name = {number.value: number.name for number in signal.Signals}.get(-code, "unknown")
    hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"its process was ended by signal {-code} ({name}){hint}"


_desk = Desk(lambda what, stage, done, total: None)
"""A child's own."""


def _in_child(work: Work, job: Job) -> Records:
    return work(job, _desk)


def _end_with_parent() -> None:
    """End this process when its parent is gone, even one that was killed and could say nothing."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
