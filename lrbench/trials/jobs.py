"""A job: a piece of accuracy work that any back-end can run, here or in another process, and the records it gives."""

import time
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from lrbench.errors import InputError
from lrbench.learn.datasets import Dataset, load_dataset
from lrbench.learn.train import DivergedError
from lrbench.measure.environment import now
from lrbench.plan.budgets import NOTHING, Evidence
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import build_skeleton
from lrbench.results.records import Failure, Fault, Record, Trial
from lrbench.timing.processes import Notify
from lrbench.trials.dense import Bench, Dense, train_dense
from lrbench.trials.trial import dense_spectra, run_trial, trained_spectra


class TrialTimeoutError(TimeoutError):
    """A trial took longer than it may."""


class WorkerDiedError(ChildProcessError):
    """The process that ran a trial ended before the trial did."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Trials with all that a process needs to run them; it crosses to another process whole.

    `trials` is one trial to measure or, where their dense baseline is to be trained, all that start from it; `evidence`
    is what budget rules go by.
    """

    spec: SweepSpec
    trials: tuple[Trial, ...]
    cache: Path
    environment: str
    commit: str
    threads: int
    evidence: Evidence = NOTHING


class Desk:
    """What one process keeps from job to job of a sweep: the images, and the dense model that was asked for last."""

    def __init__(self, notify: Notify, data: Dataset | None = None) -> None:
        """Name who is told of progress, and the images when they are loaded already."""
        self.notify = notify
        self._data = data
        self._bench: Bench | None = None
        self._dense: Dense | None = None

    def bench(self, job: Job) -> Bench:
        """What all trials of the sweep share."""
        if self._bench is None:
            data = self._data or load_dataset(job.spec.data, cache=job.cache / "images")
            self._bench = Bench(
                spec=job.spec, data=data, weights=job.cache / "weights", environment=job.environment, commit=job.commit
            )
        return self._bench

    def dense(self, job: Job) -> Dense:
        """The dense model of the job's trials, trained or recalled."""
        trial, bench = job.trials[0], self.bench(job)
        if self._dense is None or self._dense.key != trial.baseline:
            self._dense = None  # before the next takes its memory
            skeleton = build_skeleton(job.spec, classes=bench.data.classes, seed=trial.baseline_seed)
            follow = partial(self.notify, f"dense seed {trial.baseline_seed}")
            self._dense = train_dense(skeleton, trial.baseline, bench=bench, seed=trial.baseline_seed, notify=follow)
        return self._dense


def train_baseline(job: Job, desk: Desk) -> tuple[Record, ...]:
    """Train the dense baseline of some trials into the cache; when that fails, each of them has failed.

    Raises: InputError when the disk or the data cannot be used, which no other trial would survive.
    """
    torch.set_num_threads(job.threads)
    started = time.perf_counter()
    try:
        desk.dense(job)
    except InputError:
        raise
    except Exception as error:  # whatever went wrong is kept as a record
        return failures(job, error, stage="baseline", seconds=time.perf_counter() - started)
    return ()


def measure_trial(job: Job, desk: Desk) -> tuple[Record, ...]:
    """Run the one trial of a job: spectra of what was cut, and the outcome, which comes last.

    Raises: InputError as `train_baseline` does.
    """
    torch.set_num_threads(job.threads)
    (trial,) = job.trials
    started, stage = time.perf_counter(), "baseline"

    def follow(name: str, done: int, total: int) -> None:
        nonlocal stage
        stage = name
        desk.notify(trial.label, name, done, total)

    try:
        dense = desk.dense(job)
        measurement, model = run_trial(trial, dense, bench=desk.bench(job), notify=follow, evidence=job.evidence)
        cut = [layer for layer in measurement.layers if layer.rank is not None]
        names = {one.scheme: tuple(layer.layer for layer in cut if layer.scheme == one.scheme) for one in cut}
        spectra = [dense_spectra(dense, scheme, layers) for scheme, layers in names.items()]
        if trial.scheme == "writeback" and names:
            spectra.append(trained_spectra(trial, model, names["writeback"]))
    except InputError:
        raise
    except Exception as error:  # whatever went wrong is kept as a record
        return failures(job, error, stage=stage, seconds=time.perf_counter() - started)
    return (*spectra, measurement)


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
