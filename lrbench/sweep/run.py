"""Run what is missing of a sweep: accuracy trials first, then timing alone; each record is yielded once made."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import torch
from torch import nn

from lrbench.learn.datasets import load_dataset
from lrbench.lowrank.compress import Shaped, restructure
from lrbench.measure.environment import read_commit
from lrbench.measure.latency import prepare, quiet, settings, time_rounds
from lrbench.records import (
    Architecture,
    Environment,
    Failure,
    Measurement,
    Record,
    Session,
    Setting,
    Spectra,
    Trial,
)
from lrbench.sweep.dense import Bench, Dense, train_dense
from lrbench.sweep.plan import Skeleton, architecture_of, build_skeleton
from lrbench.sweep.spec import SweepSpec
from lrbench.sweep.trial import dense_spectra, now, run_trial, trained_spectra

Notify = Callable[[str, str, int, int], None]
"""Called with (what, stage, done, total) as work goes on."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One timing session to come: architectures to be timed beside the dense model."""

    setting: Setting
    architectures: tuple[Architecture, ...]


def missing_trials(trials: Sequence[Trial], records: Sequence[Record], *, retry_failed: bool) -> tuple[Trial, ...]:
    """The planned trials that the log does not hold; failed ones only count as missing when they are to be retried."""
    kinds = (Measurement,) if retry_failed else (Measurement, Failure)
    held = {record.trial.key for record in records if isinstance(record, kinds)}
    return tuple(trial for trial in trials if trial.key not in held)


def missing_timings(
    spec: SweepSpec, trials: Sequence[Trial], records: Sequence[Record], *, environment: str
) -> tuple[Timing, ...]:
    """The sessions that are still due on this machine, each of at most `latency.group` architectures."""
    planned = {trial.key for trial in trials}
    wanted = {
        record.architecture.key: record.architecture
        for record in records
        if isinstance(record, Measurement) and record.trial.key in planned
    }
    timings: list[Timing] = []
    for setting in settings(spec.latency):
        held = {
            architecture.key
            for record in records
            if isinstance(record, Session) and record.environment == environment and record.setting == setting
            for architecture in record.architectures
        }
        due = [architecture for key, architecture in wanted.items() if key not in held]
        timings += [
            Timing(setting=setting, architectures=tuple(due[start : start + spec.latency.group]))
            for start in range(0, len(due), spec.latency.group)
        ]
    return tuple(timings)


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


def run_timings(
    spec: SweepSpec, timings: Sequence[Timing], *, skeleton: Skeleton, environment: Environment, notify: Notify
) -> Iterator[Session]:
    """Time architectures beside the dense model and a copy of it. Weights do not matter, so random ones do."""
    commit = read_commit()
    for number, timing in enumerate(timings, start=1):
        notify("latency", f"session {number} of {len(timings)}", 0, 1)
        dense = architecture_of(spec, (), classes=skeleton.classes)
        others = tuple(item for item in timing.architectures if item.layers)
        models = [deepcopy(skeleton.model), deepcopy(skeleton.model), *(_shaped(skeleton.model, a) for a in others)]
        started = now()
        with quiet(timing.setting.threads):
            runs = [prepare(model, timing.setting, image_size=spec.data.image_size) for model in models]
            calls, first, rounds = time_rounds(runs, spec.latency)
        yield Session(
            environment=environment.key,
            commit=commit,
            started=started,
            setting=timing.setting,
            architectures=(dense, dense, *others),
            calls=calls,
            first_wall_s=first,
            rounds=rounds,
        )


def _shaped(model: nn.Module, architecture: Architecture) -> nn.Module:
    """A model of this architecture with random factors, the same ones each time."""
    torch.manual_seed(0)
    return restructure(model, [Shaped(**vars(layer)) for layer in architecture.layers])
