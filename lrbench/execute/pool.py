"""A pool of child processes on this machine: a child that dies, hangs or runs out of memory fails only its own job."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from time import perf_counter

from pebble import ProcessExpired, ProcessPool

from lrbench.errors import InputError
from lrbench.execute.jobs import Execute, Job, Records, TrialTimeoutError, Work, Worker, WorkerDiedError, failures
from lrbench.execute.workers import Workers
from lrbench.progress import silent
from lrbench.timing.isolation import GUARD


@contextmanager
def open_pool(workers: Workers, worker: Worker) -> Iterator[Execute]:
    """Run jobs in fresh child processes, which are killed after the time limit or when this process ends.

    Each child has a worker of its own: one of them trains the dense model and the others load it.
    """
    count = workers.jobs or 1
    pool = ProcessPool(max_workers=count, context=get_context("spawn"), initializer=_end_with_parent)

    def execute(work: Work, jobs: Sequence[Job], timeout_s: float | None) -> Iterator[Records]:
        waiting, running = iter(jobs), dict[Future[Records], tuple[Job, float]]()
        for ended in range(len(jobs)):
            worker.progress(f"{count} at a time", work.__name__.replace("_", " "), ended, len(jobs))
            for job in islice(waiting, count - len(running)):
                running[_schedule(pool, work, job, timeout_s=timeout_s)] = (job, perf_counter())
            done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
            yield _outcome(done, *running.pop(done), timeout_s=timeout_s)

    try:
        yield execute
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _schedule(pool: ProcessPool, work: Work, job: Job, *, timeout_s: float | None) -> Future[Records]:
    try:
        future: Future[Records] = pool.schedule(_in_child, args=(work, job), timeout=timeout_s)
    except RuntimeError as error:  # what pebble raises once its workers cannot be started any more
        raise InputError(
            f"no child processes can be started: {error}. Finished trials are kept; repeat the command to continue, "
            "without --jobs and --timeout it needs no child processes"
        ) from error
    return future


def _outcome(future: Future[Records], job: Job, started: float, *, timeout_s: float | None) -> Records:
    """The records of a job that ended, in whatever way."""
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
        return f"its process could not be started or did not answer; {GUARD}"
    if code >= 0:
        return f"its process ended with exit code {code}"
    name = {number.value: number.name for number in signal.Signals}.get(-code, "unknown")
    hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"its process was ended by signal {-code} ({name}){hint}"


_worker = Worker(silent)
"""The worker of a child process."""


def _in_child(work: Work, job: Job) -> Records:
    return work(job, _worker)


def _end_with_parent() -> None:
    """End this process when its parent process ends, even if the parent was killed."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
