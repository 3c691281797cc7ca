"""Run what is missing of a sweep's accuracy trials; each record is yielded once made. Timing is another stage."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch

from lrbench.learn.datasets import load_dataset
from lrbench.measure.environment import read_commit
from lrbench.records import Failure, Measurement, Record, Spectra, Trial
from lrbench.sweep.dense import weights_path
from lrbench.sweep.jobs import Desk, Job, measure_trial, train_baseline
from lrbench.sweep.needs import check_memory
from lrbench.sweep.plan import build_skeleton
from lrbench.sweep.pool import BACKENDS, Crew
from lrbench.sweep.processes import Notify
from lrbench.sweep.spec import SweepSpec
from lrbench.timed import Environment


def missing_trials(trials: Sequence[Trial], records: Sequence[Record], *, retry_failed: bool) -> tuple[Trial, ...]:
    """The planned trials that the log does not hold; failed ones only count as missing when they are to be retried."""
    kinds = (Measurement,) if retry_failed else (Measurement, Failure)
    held = {record.trial.key for record in records if isinstance(record, kinds)}
    return tuple(trial for trial in trials if trial.key not in held)


def run_sweep(
    spec: SweepSpec,
    todo: Sequence[Trial],
    *,
    held: Sequence[Record],
    environment: Environment,
    cache: Path,
    notify: Notify,
    crew: Crew,
) -> Iterator[Record]:
    """Run the accuracy trials; one that raises, takes too long or kills its process is a Failure, and the rest go on.

    Args:
        spec: the sweep.
        todo: the trials to run.
        held: what the log already holds.
        environment: of this machine.
        cache: directory for decoded images and trained weights.
        notify: told of progress.
        crew: how many run at a time, and how long each may take; a baseline takes as long as it wants.

    Raises: InputError when model, data or disk cannot be used.
    """
    if environment not in held:
        yield environment
    if not todo:
        return
    data = load_dataset(spec.data, cache=cache / "images", report=lambda *done: notify("images", *done))
    job = Job(
        spec=spec,
        trials=(),
        cache=cache,
        environment=environment.key,
        commit=read_commit(),
        threads=crew.threads(torch.get_num_threads()),
    )
    ordered = sorted(todo, key=lambda trial: trial.baseline_seed)
    groups = [tuple(group) for _, group in groupby(ordered, lambda trial: trial.baseline)]
    untrained = [one for one in groups if spec.baseline.epochs and not _kept(cache, one[0])]
    ledger = Ledger(held)
    lost: set[str] = set()
    skeleton = build_skeleton(spec, classes=data.classes, seed=ordered[0].baseline_seed)
    check_memory(spec, skeleton.model, images=len(data.train), jobs=crew.jobs or 1)
    desk = Desk(notify, data if crew.backend == "here" else None)
    del data  # children hold their own
    with BACKENDS[crew.backend](crew, desk) as execute:
        for records in execute(train_baseline, [replace(job, trials=group) for group in untrained], None):
            lost |= {record.trial.key for record in records if isinstance(record, Failure)}
            yield from ledger.new(records)
        jobs = [replace(job, trials=(trial,)) for trial in ordered if trial.key not in lost]
        for records in execute(measure_trial, jobs, crew.timeout_s):
            yield from ledger.new(records)


def _kept(cache: Path, trial: Trial) -> bool:
    return weights_path(cache / "weights", trial.baseline).exists()


class Ledger:
    """What a log holds of attempts and spectra, so that each is numbered and none is written twice."""

    def __init__(self, held: Iterable[Record]) -> None:
        """Count what is there."""
        self._attempts: Counter[str] = Counter()
        self._spectra: set[tuple[str, str | None, str, str]] = set()
        for _ in self.new(held):
            pass

    def new(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records of a job as they are to be written: spectra only of layers not there yet."""
        for record in records:
            if isinstance(record, Measurement | Failure):
                self._attempts[record.trial.key] += 1
                yield replace(record, attempt=self._attempts[record.trial.key])
            elif isinstance(record, Spectra):
                place = (record.baseline, record.trial, record.scheme)
                fresh = tuple(layer for layer in record.layers if (*place, layer.layer) not in self._spectra)
                self._spectra.update((*place, layer.layer) for layer in fresh)
                if fresh:
                    yield replace(record, layers=fresh)
            else:
                yield record
