"""A job: a piece of work that any executor can run, in this process or another, and the records that it gives."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar, cast

import torch

from lrbench.errors import InputError
from lrbench.guard import Interrupted, reason_of, user_code
from lrbench.learn.datasets import Dataset, load_dataset
from lrbench.learn.memory import keep_freed_memory
from lrbench.learn.train import DivergedError
from lrbench.measure.environment import now
from lrbench.measure.faults import is_out_of_memory, plain_text
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Untrained, build_untrained
from lrbench.progress import Progress
from lrbench.results.records import Failure, Record, Trial
from lrbench.results.sessions import Fault
from lrbench.results.valid import require_readable

T = TypeVar("T")


class TrialTimeoutError(TimeoutError):
    """A trial exceeded its time limit."""


class WorkerDiedError(ChildProcessError):
    """The process that ran a trial ended before the trial did."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Trials with all that a process needs to run them; it can be sent to another process.

    `trials` holds the one trial to measure; or, to train or probe a dense baseline, the trials that start from it.
    `environment` is the key of the environment that the job runs in, `threads` the number of torch threads.
    """

    spec: SweepSpec
    trials: tuple[Trial, ...]
    cache: Path
    environment: str
    commit: str
    threads: int

    @property
    def weights(self) -> Path:
        """Directory of trained weights."""
        return self.cache / "weights"


class Worker:
    """What one process keeps between the jobs of a run: images, an untrained model, and the last kept value."""

    def __init__(self, progress: Progress, *, data: Dataset | None = None, dense: Untrained | None = None) -> None:
        """Start with the progress callback; with the images and an untrained dense model if these exist already."""
        self.progress = progress
        self._data = data
        self._dense, self._untrained = dense, cast("Untrained | None", None)
        self._kept: tuple[str, Any] | None = None

    def data(self, job: Job) -> Dataset:
        """The images of the run."""
        if self._data is None:
            self._data = load_dataset(job.spec.data, cache=job.cache / "images")
        return self._data

    def untrained(self, job: Job, *, seed: int) -> Untrained:
        """The untrained dense model of a seed."""
        for held in (self._dense, self._untrained):
            if held is not None and held.seed == seed:
                return held
        self._untrained = None  # free its memory before the next is made
        self._untrained = build_untrained(job.spec, classes=self.data(job).classes, seed=seed)
        return self._untrained

    def keep(self, key: str, make: Callable[[], T]) -> T:
        """The value made for a key, kept until another key is asked for; the value before it is freed first."""
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # free its memory before the next is made
            self._kept = (key, make())
        kept: T = self._kept[1]
        return kept


def make_ready(job: Job) -> None:
    """Set this process up to train: the job's number of threads, and freed memory that the process keeps."""
    torch.set_num_threads(job.threads)
    keep_freed_memory()


Records = tuple[Record, ...]

Work = Callable[[Any, Worker], Records]
"""A function that runs a job (of its own kind) in a process."""

Execute = Callable[[Work, Sequence[Job], float | None], Iterator[Records]]
"""(function, jobs, time limit of each in seconds) -> the records of each job, in the order in which jobs end."""


def fault_of(error: BaseException) -> Fault:
    """How an error is classified: out of memory, a number that is not finite, or any other."""
    if is_out_of_memory(error):
        return "oom"
    if isinstance(error, DivergedError) or type(error) is ArithmeticError:
        return "nan"
    return "failed"


def attempted(
    job: Job, work: Callable[[], Records], *, stage: Callable[[], str], clock: Callable[[], float] = perf_counter
) -> Records:
    """The records that a job's work gives, a user's code within it; what it raises is a failure of the job's trials.

    Raises: InputError when the disk or the data cannot be used, since every other trial would fail too; Interrupted.
    """
    started = clock()
    try:
        with user_code():
            records = work()
        require_readable(records)
    except (InputError, Interrupted):
        raise
    except BaseException as error:  # sys.exit() of a model too: it ends the trial, not the sweep
        return failures(job, error, stage=stage(), seconds=clock() - started)
    return records


def failures(
    job: Job, error: BaseException, *, stage: str, seconds: float, failure: Fault | None = None
) -> tuple[Failure, ...]:
    """A failure record for each trial of a job; without `failure` the error is classified by `fault_of`."""
    return tuple(
        Failure(
            trial=trial,
            environment=job.environment,
            commit=job.commit,
            started=now(),
            stage=stage,
            reason=plain_text(reason_of(error)),
            traceback=plain_text("".join(traceback.format_exception(error))),
            seconds=seconds,
            failure=failure or fault_of(error),
        )
        for trial in job.trials
    )
