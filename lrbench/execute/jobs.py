"""A job: a piece of work that any executor can run, here or in another process, and the records it gives."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from lrbench.learn.datasets import Dataset, load_dataset
from lrbench.learn.train import DivergedError
from lrbench.measure.environment import now
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Untrained, build_untrained
from lrbench.progress import Progress
from lrbench.results.records import Failure, Fault, Record, Trial

T = TypeVar("T")


class TrialTimeoutError(TimeoutError):
    """A trial took longer than it may."""


class WorkerDiedError(ChildProcessError):
    """The process that ran a trial ended before the trial did."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Trials with all that a process needs to run them; it crosses to another process whole.

    `trials` is one trial to measure or, where their dense baseline is to be trained or probed, those that start from
    it. `environment` is the key of the machine that it runs on, `threads` are those of torch.
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
    """What one process keeps from job to job of a run: images, untrained models by seed, and what was made last."""

    def __init__(self, progress: Progress, *, data: Dataset | None = None, dense: Untrained | None = None) -> None:
        """Name who is told of progress; the images and an untrained dense model, where they are at hand already."""
        self.progress = progress
        self._data = data
        self._untrained = {} if dense is None else {dense.seed: dense}
        self._kept: tuple[str, Any] | None = None

    def data(self, job: Job) -> Dataset:
        """The images of the run."""
        if self._data is None:
            self._data = load_dataset(job.spec.data, cache=job.cache / "images")
        return self._data

    def untrained(self, job: Job, *, seed: int) -> Untrained:
        """The dense model as it is drawn by a seed."""
        if seed not in self._untrained:
            self._untrained[seed] = build_untrained(job.spec, classes=self.data(job).classes, seed=seed)
        return self._untrained[seed]

    def keep(self, key: str, make: Callable[[], T]) -> T:
        """What is made for a key, kept until another key is asked for; that of the key before is let go first."""
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # before the next takes its memory
            self._kept = (key, make())
        made: T = self._kept[1]
        return made


Records = tuple[Record, ...]

Work = Callable[[Any, Worker], Records]
"""What is done with a job (of the kind that it knows) in a process."""

Execute = Callable[[Work, Sequence[Job], float | None], Iterator[Records]]
"""(what to do, the jobs, seconds that each may take) -> the records of each job, in the order in which they end."""


def fault_of(error: BaseException) -> Fault:
    """How an error is counted: memory that ran out, a number that was not finite, or anything else."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return "oom"
    if isinstance(error, DivergedError) or type(error) is ArithmeticError:
        return "nan"
    return "failed"


def failures(
    job: Job, error: BaseException, *, stage: str, seconds: float, failure: Fault | None = None
) -> tuple[Failure, ...]:
    """A record of failure for each trial of a job; without `failure` the error itself says how it is counted."""
    name = type(error).__name__
    return tuple(
        Failure(
            trial=trial,
            environment=job.environment,
            commit=job.commit,
            started=now(),
            stage=stage,
            reason=_plain(f"{name}: {error}"),
            traceback=_plain("".join(traceback.format_exception(error))),
            seconds=seconds,
            failure=failure or fault_of(error),
        )
        for trial in job.trials
    )


def _plain(text: str) -> str:
    """Text that UTF-8 can hold: file names may have bytes that it cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
