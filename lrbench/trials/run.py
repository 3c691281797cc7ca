"""Run what is missing of a sweep's accuracy trials; each record is yielded once made. Timing is another stage."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import torch

from lrbench.errors import InputError
from lrbench.execute.executors import BACKENDS, Crew, Execute, Records
from lrbench.learn.datasets import load_dataset
from lrbench.lowrank.budget import parse_budget
from lrbench.measure.environment import read_commit
from lrbench.plan.budgets import NOTHING, Evidence, check_timed, gather_evidence
from lrbench.plan.needs import check_memory
from lrbench.plan.preview import outline
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Skeleton, build_skeleton
from lrbench.results.records import Failure, Measurement, Record, Spectra, Trial
from lrbench.results.sessions import Environment
from lrbench.timing.processes import Notify
from lrbench.trials.dense import weights_path
from lrbench.trials.jobs import Desk, Job, measure_trial, train_baseline
from lrbench.trials.probes import Question, describe_cost, plan_questions, probe_layers


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
        held: what the log already holds; it must grow by each record before the next is asked for.
        environment: of this machine.
        cache: directory for decoded images and trained weights.
        notify: told of progress.
        crew: how many run at a time, and how long each may take; a baseline takes as long as it wants.

    Raises: InputError when model, data or disk cannot be used, or a layer cannot be probed.
    """
    if environment not in held:
        yield environment
    if not todo:
        return
    timed = gather_evidence(spec, held, environment=environment.key)
    for rule in filter(None, (parse_budget(trial.rank_rule) for trial in todo)):
        check_timed(rule, timed)
    ledger = Ledger(held)
    lost: set[str] = set()
    with staffed(spec, todo, environment=environment.key, cache=cache, notify=notify, crew=crew) as staff:
        for records in staff.train_baselines():
            lost |= {record.trial.key for record in records if isinstance(record, Failure)}
            yield from ledger.new(records)
        able = [trial for group in staff.groups for trial in group if trial.key not in lost]
        if any(parse_budget(trial.rank_rule) for trial in able):
            yield from ledger.new(probe_layers(staff.questions(held), staff.execute))
        evidence = gather_evidence(spec, held, environment=environment.key)
        check_budgets(spec, able, skeleton=staff.skeleton, evidence=evidence)
        jobs = [
            replace(staff.job, trials=(trial,), evidence=evidence if parse_budget(trial.rank_rule) else NOTHING)
            for trial in able
        ]
        for records in staff.execute(measure_trial, jobs, crew.timeout_s):
            yield from ledger.new(records)


def check_budgets(spec: SweepSpec, trials: Iterable[Trial], *, skeleton: Skeleton, evidence: Evidence) -> None:
    """Raises: InputError when a budget cannot be met, or what it needs is not known; before any trial of it runs."""
    for trial in trials:
        if parse_budget(trial.rank_rule):
            found = outline(trial, spec, skeleton, evidence=evidence)
            if found.cuts is None:
                raise InputError(found.waits)


def run_sensitivity(
    spec: SweepSpec,
    trials: Sequence[Trial],
    *,
    held: Sequence[Record],
    environment: Environment,
    cache: Path,
    notify: Notify,
    crew: Crew,
) -> Iterator[Record]:
    """Truncate each layer of the dense baselines alone; the rest is as in `run_sweep`."""
    if environment not in held:
        yield environment
    ledger = Ledger(held)
    with staffed(spec, trials, environment=environment.key, cache=cache, notify=notify, crew=crew) as staff:
        for records in staff.train_baselines():
            yield from ledger.new(records)
            if records:
                return
        questions = staff.questions(held)
        notify("sensitivity", describe_cost(questions), 0, 1)
        yield from ledger.new(probe_layers(questions, staff.execute))


@dataclass(frozen=True, kw_only=True)
class Staff:
    """Those who work, with all that their jobs have in common; `groups` are the trials of each baseline."""

    job: Job
    groups: tuple[tuple[Trial, ...], ...]
    skeleton: Skeleton
    execute: Execute

    def train_baselines(self) -> Iterator[Records]:
        """Train what is not kept; what failed is a record for each of its trials."""
        epochs, weights = self.job.spec.baseline.epochs, self.job.cache / "weights"
        untrained = [one for one in self.groups if epochs and not weights_path(weights, one[0].baseline).exists()]
        return self.execute(train_baseline, [replace(self.job, trials=group) for group in untrained], None)

    def questions(self, held: Iterable[Record]) -> tuple[Question, ...]:
        """What is not yet known of the baselines' layers."""
        jobs = (replace(self.job, trials=group[:1]) for group in self.groups)
        return tuple(question for job in jobs for question in plan_questions(job, self.skeleton, held))


@contextmanager
def staffed(
    spec: SweepSpec, trials: Sequence[Trial], *, environment: str, cache: Path, notify: Notify, crew: Crew
) -> Iterator[Staff]:
    """Load the data once, see whether memory suffices, and start the back-end."""
    data = load_dataset(spec.data, cache=cache / "images", report=lambda *done: notify("images", *done))
    ordered = sorted(trials, key=lambda trial: trial.baseline_seed)
    skeleton = build_skeleton(spec, classes=data.classes, seed=ordered[0].baseline_seed)
    if crew.cluster is None:
        check_memory(spec, skeleton.model, images=len(data.train), jobs=crew.jobs or 1)
    desk = Desk(notify, None if crew.backend == "pool" else data)
    del data  # children hold their own
    job = Job(
        spec=spec,
        trials=(),
        cache=cache,
        environment=environment,
        commit=read_commit(),
        threads=crew.threads(torch.get_num_threads()),
    )
    groups = tuple(tuple(group) for _, group in groupby(ordered, lambda trial: trial.baseline))
    with BACKENDS[crew.backend](crew, desk) as execute:
        yield Staff(job=job, groups=groups, skeleton=skeleton, execute=execute)


class Ledger:
    """What a log holds of attempts and spectra, so that each is numbered and none is written twice."""

    def __init__(self, held: Iterable[Record]) -> None:
        """Count what is there."""
        self._attempts: Counter[str] = Counter()
        self._spectra: set[tuple[str, str | None, str, str]] = set()
        self._environments: set[str] = set()
        for _ in self.new(held):
            pass

    def new(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records of a job as they are to be written: of environments and spectra only what is not there yet."""
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
            elif isinstance(record, Environment):
                if record.key not in self._environments:
                    self._environments.add(record.key)
                    yield record
            else:
                yield record
