"""What a worker does with a job: train a dense baseline, or measure a trial."""

from dataclasses import replace

from lrbench.execute.jobs import Job, Records, Worker, attempted, make_ready
from lrbench.trials.dense import context_of, dense_of
from lrbench.trials.trial import TrialJob, dense_spectra, run_trial, trained_spectra


def train_baseline(job: Job, worker: Worker) -> Records:
    """Train the dense baseline of some trials into the cache; when that fails, each of these trials has failed.

    Raises: InputError when the disk or the data cannot be used, since every other trial would fail too.
    """

    def train() -> Records:
        make_ready(job)
        dense_of(job, worker)
        return ()

    return attempted(job, train, stage=lambda: "baseline")


def measure_trial(job: TrialJob, worker: Worker) -> Records:
    """Run the one trial of a job; returns the spectra of the cut layers, and the outcome as the last record.

    Raises: InputError as `train_baseline` does.
    """
    (trial,) = job.trials
    reached = "baseline"

    def follow(what: str, stage: str, done: int, total: int) -> None:
        nonlocal reached
        reached = stage
        worker.progress(what, stage, done, total)

    def measure() -> Records:
        make_ready(job)
        dense = dense_of(job, worker)
        context = replace(context_of(job, worker), progress=follow)
        measurement, model = run_trial(job, dense, context=context)
        cut = [layer for layer in measurement.layers if layer.rank is not None]
        schemes = dict.fromkeys(layer.scheme for layer in cut)
        names = {scheme: tuple(layer.layer for layer in cut if layer.scheme == scheme) for scheme in schemes}
        spectra = [dense_spectra(dense, scheme, layers) for scheme, layers in names.items()]
        if trial.scheme == "writeback" and names:
            spectra.append(trained_spectra(trial, model, names["writeback"]))
        return (*spectra, measurement)

    return attempted(job, measure, stage=lambda: reached)
