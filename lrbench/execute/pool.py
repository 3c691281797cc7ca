"""A pool of child processes on this machine: a child that dies, hangs or runs out of memory fails only its own job."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from time import perf_counter

from lrbench.children import Child, ChildLostError, first_ended
from lrbench.execute.jobs import Execute, Job, Records, TrialTimeoutError, Work, Worker, WorkerDiedError, failures
from lrbench.execute.workers import Workers
from lrbench.progress import NOTICE


@contextmanager
def open_pool(workers: Workers, worker: Worker) -> Iterator[Execute]:
    """Run jobs in fresh child processes, which are killed after the time limit or when this process ends.

    Each child has a worker of its own: one of them trains the dense model and the others load it.
    """
    count, begun, idle = workers.jobs or 1, list[Child](), list[Child]()
    running: dict[Child, tuple[Job, float]] = {}

    def child_for(job: Job) -> Child:
        child = idle.pop() if idle else Child()
        begun.append(child)
        running[child] = (job, perf_counter())
        return child

    def execute(work: Work, jobs: Sequence[Job], timeout_s: float | None) -> Iterator[Records]:
        waiting = iter(jobs)
        for ended in range(len(jobs)):
            worker.progress(f"{count} at a time", work.__name__.replace("_", " "), ended, len(jobs))
            for job in islice(waiting, count - len(running)):
                child_for(job).start(_in_child, work, job, timeout_s=timeout_s)
            done = first_ended(list(running))
            yield _outcome(done, *running.pop(done))
            if done.is_usable:
                idle.append(done)

    try:
        yield execute
    finally:
        for child in begun:
            child.end()


def _outcome(child: Child, job: Job, started: float) -> Records:
    """The records of a job that ended, in whatever way."""
    fail = partial(failures, job, stage="trial", seconds=perf_counter() - started)
    try:
        records: Records = child.result()
    except TimeoutError as error:
        return fail(TrialTimeoutError(str(error)), failure="timeout")
    except ChildLostError as error:
        return fail(WorkerDiedError(str(error)), failure="killed")
    return records


def _tell(what: str, stage: str, done: int, total: int) -> None:
    """Of a child's progress only notices are told: they name files that were put aside."""
    if stage.startswith(NOTICE):
        sys.stderr.write(f"{what}: {stage}\n")


_worker = Worker(_tell)
"""The worker of a child process."""


def _in_child(work: Work, job: Job) -> Records:
    return work(job, _worker)
