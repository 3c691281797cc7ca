"""Run what is missing of a sweep's accuracy trials; each record is yielded once made. Timing is another stage."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from lrbench.learn.datasets import load_dataset
from lrbench.measure.environment import now, read_commit
from lrbench.records import Failure, Measurement, Record, Spectra, Trial
from lrbench.sweep.dense import Bench, Dense, train_dense
from lrbench.sweep.plan import build_skeleton
from lrbench.sweep.spec import SweepSpec
from lrbench.sweep.trial import dense_spectra, run_trial, trained_spectra
from lrbench.timed import Environment

Notify = Callable[[str, str, int, int], None]
"""Called with (what, stage, done, total) as work goes on."""


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
) -> Iterator[Record]:
    """Run the accuracy trials; a trial that raises becomes a Failure and the sweep goes on.

    Args:
        spec: the sweep.
        todo: the trials to run.
        held: what the log already holds.
        environment: of this machine.
        cache: directory for decoded images and trained weights.
        notify: told of progress.

    Raises: InputError when model or data cannot be used.
    """
    if environment not in held:
        yield environment
    if not todo:
        return
    data = load_dataset(spec.data, cache=cache / "images", report=lambda *done: notify("images", *done))
    bench = Bench(spec=spec, data=data, weights=cache / "weights", environment=environment.key, commit=read_commit())
    known = {
        (record.baseline, record.scheme, layer.layer)
        for record in held
        if isinstance(record, Spectra) and record.trial is None
        for layer in record.layers
    }
    for baseline, group in groupby(sorted(todo, key=lambda trial: trial.baseline_seed), lambda trial: trial.baseline):
        trials = list(group)
        seed, started = trials[0].baseline_seed, time.perf_counter()
        skeleton = build_skeleton(spec, classes=data.classes, seed=seed)
        try:
            follow = partial(notify, f"dense seed {seed}")
            dense = train_dense(skeleton, baseline, bench=bench, seed=seed, notify=follow)
        except Exception as error:  # whatever went wrong is kept as a record
            for trial in trials:
                yield _failure(trial, bench, error=error, stage="baseline", started=started)
            continue
        for trial in trials:
            yield from _run_one(trial, dense, bench=bench, known=known, notify=notify)


def _run_one(
    trial: Trial, dense: Dense, *, bench: Bench, known: set[tuple[str, str, str]], notify: Notify
) -> Iterator[Record]:
    """The records of one trial: spectra of layers not yet `known` (which grows), and the outcome, which comes last."""
    started, stage = time.perf_counter(), "truncate"

    def follow(name: str, done: int, total: int) -> None:
        nonlocal stage
        stage = name
        notify(trial.label, name, done, total)

    try:
        measurement, model = run_trial(trial, dense, bench=bench, notify=follow)
        cut = tuple(layer.layer for layer in measurement.layers if layer.rank is not None)
        fresh = tuple(layer for layer in cut if (dense.key, trial.scheme, layer) not in known)
        if fresh:
            yield dense_spectra(dense, trial.scheme, fresh)
            known.update((dense.key, trial.scheme, layer) for layer in fresh)
        if cut and trial.scheme == "writeback":
            yield trained_spectra(trial, model, cut)
        yield measurement
    except Exception as error:  # whatever went wrong is kept as a record
        yield _failure(trial, bench, error=error, stage=stage, started=started)


def _failure(trial: Trial, bench: Bench, *, error: Exception, stage: str, started: float) -> Failure:
    return Failure(
        trial=trial,
        environment=bench.environment,
        commit=bench.commit,
        started=now(),
        stage=stage,
        reason=f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error)),
        seconds=time.perf_counter() - started,
    )
