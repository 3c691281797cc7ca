"""Run the missing trials of a sweep, or probe the layers of its baselines, by any executor."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

import torch

from lrbench.errors import InputError
from lrbench.execute import executors
from lrbench.execute.jobs import Execute, Job, Records, Worker
from lrbench.execute.workers import ALONE, Workers
from lrbench.learn.datasets import load_dataset
from lrbench.learn.sources import OFFICIAL
from lrbench.learn.survey import tell
from lrbench.learn.weights import weights_path
from lrbench.lowrank.allocations import BudgetRule
from lrbench.measure.environment import now
from lrbench.plan.budgets import InfeasibleError, check_timed
from lrbench.plan.cuts import rule_of
from lrbench.plan.disk_and_memory import check_memory
from lrbench.plan.evidence import Evidence, gather_evidence
from lrbench.plan.feasible import check_feasible
from lrbench.plan.preview import Preview, preview
from lrbench.plan.run import Run
from lrbench.results.records import Failure, Measurement, Record, Trial
from lrbench.trials.given import look_at_given
from lrbench.trials.history import History
from lrbench.trials.probes import describe_cost, plan_probes, probe_layers
from lrbench.trials.trial import TrialJob
from lrbench.trials.work import measure_trial, train_baseline


def missing_trials(trials: Sequence[Trial], records: Sequence[Record], *, retry_failed: bool) -> tuple[Trial, ...]:
    """The planned trials that the log does not hold; failed trials count as missing only with `retry_failed`."""
    outcomes = (Measurement,) if retry_failed else (Measurement, Failure)
    held = {record.trial.key for record in records if isinstance(record, outcomes)}
    return tuple(trial for trial in trials if trial.key not in held)


def run_trials(
    run: Run, todo: Sequence[Trial], history: History, *, workers: Workers, look: bool = True
) -> Iterator[Record]:
    """Run trials; a trial that raises, exceeds its time limit or kills its process is a Failure, and the rest continue.

    Baselines come first, then the probes that budgets need, then the trials. `look`: whether a model that was given is
    looked at, and told of, before.

    Raises: InputError when model, data or disk cannot be used, or a layer cannot be probed.
    """
    _check_timed(run, todo, history)
    infeasible = list(_infeasible(run, todo))
    yield from history.new(infeasible)
    todo = missing_trials(todo, infeasible, retry_failed=False)
    if not todo:
        return
    with _opened(run, todo, workers, look=look) as opened:
        lost: set[str] = set()
        for records in opened.train_baselines():
            lost |= {record.trial.key for record in records if isinstance(record, Failure)}
            yield from history.new(records)
        able = [trial for group in opened.groups for trial in group if trial.key not in lost]
        if any(map(_has_budget, able)):
            yield from history.new(opened.probe(history))
        evidence = _evidence(run, history)
        plans = {
            trial.key: preview(trial, run.spec, run.dense, evidence=evidence) for trial in filter(_has_budget, able)
        }
        infeasible = [_failed_plan(run, plan.trial, plan.waits) for plan in plans.values() if plan.infeasible]
        yield from history.new(infeasible)
        able = list(missing_trials(able, infeasible, retry_failed=False))
        jobs = [_trial_job(opened.job, trial, plans.get(trial.key)) for trial in able]
        for records in opened.execute(measure_trial, jobs, workers.timeout_s):
            yield from history.new(records)


def probe_baselines(run: Run, held: Sequence[Record], *, workers: Workers = ALONE) -> Iterator[Record]:
    """Truncate each layer of the dense baselines alone, at ranks that the log does not hold yet.

    Raises: InputError as `run_trials` does.
    """
    history = History(held)
    yield from history.new([run.environment])
    with _opened(run, run.trials, workers) as opened:
        lost: set[str] = set()
        for records in opened.train_baselines():
            lost |= {record.trial.baseline for record in records if isinstance(record, Failure)}
            yield from history.new(records)
        able = tuple(group for group in opened.groups if group[0].baseline not in lost)
        if able:
            yield from history.new(replace(opened, groups=able).probe(history))


def _evidence(run: Run, history: History) -> Evidence:
    return gather_evidence(run.spec, history.records, environment=run.environment.key)


def _check_timed(run: Run, todo: Iterable[Trial], history: History) -> None:
    """Raises: InputError, before anything is trained, when a latency budget has no timings of layers."""
    budgets = [rule for trial in todo if isinstance(rule := rule_of(trial), BudgetRule)]
    evidence = _evidence(run, history) if budgets else None
    for rule in budgets:
        assert evidence is not None
        check_timed(rule, evidence)


def _has_budget(trial: Trial) -> bool:
    return isinstance(rule_of(trial), BudgetRule)


def _infeasible(run: Run, trials: Iterable[Trial]) -> Iterator[Failure]:
    """The trials that by their shapes cannot be run, each with the reason."""
    for trial in trials:
        try:
            check_feasible(trial, run.spec, run.dense)
        except InfeasibleError as error:
            yield _failed_plan(run, trial, str(error))


def _failed_plan(run: Run, trial: Trial, reason: str) -> Failure:
    return Failure(
        trial=trial,
        environment=run.environment.key,
        commit=run.commit,
        started=now(),
        stage="plan",
        reason=reason,
        traceback="",
        seconds=0.0,
    )


def _trial_job(job: Job, trial: Trial, plan: Preview | None) -> TrialJob:
    """The job of one trial, with its cuts where a budget chose them.

    Raises: InputError when evidence that a budget needs is missing.
    """
    trial_job = TrialJob(**vars(replace(job, trials=(trial,))))
    if plan is None:
        return trial_job
    if plan.cuts is None:
        raise InputError(plan.waits)
    return replace(trial_job, cuts=plan.cuts, predicted=plan.prediction)


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """An open executor, with what its jobs have in common; `groups` are the trials of each baseline."""

    run: Run
    job: Job
    groups: tuple[tuple[Trial, ...], ...]
    execute: Execute
    timeout_s: float | None

    def train_baselines(self) -> Iterator[Records]:
        """Train the baselines that are not kept; a failure is a record for each trial of the baseline."""
        epochs, weights = self.run.spec.baseline.epochs, self.job.weights
        untrained = [group for group in self.groups if epochs and not weights_path(weights, group[0].baseline).exists()]
        return self.execute(train_baseline, [replace(self.job, trials=group) for group in untrained], self.timeout_s)

    def probe(self, history: History) -> Iterator[Record]:
        """Probe the baselines' layers where the log does not hold the result yet."""
        jobs = [
            probe
            for group in self.groups
            for probe in plan_probes(replace(self.job, trials=group[:1]), self.run.dense, history.records)
        ]
        self.run.progress("sensitivity", describe_cost(jobs), 0, 1)
        return probe_layers(jobs, self.execute, timeout_s=self.timeout_s)


@contextmanager
def _opened(run: Run, trials: Sequence[Trial], workers: Workers, *, look: bool = True) -> Iterator[_Opened]:
    """Load the images once, check that memory suffices, and open the executor."""
    executor = executors.executor_of(workers)
    data = load_dataset(run.spec.data, cache=run.cache / "images", progress=run.progress)
    counts = [tell(data, run.spec.data)] if run.spec.data.name in OFFICIAL else []
    for line in (*counts, *look_at_given(run, data)) if look else ():
        run.tell(line)
    if count := executor.at_once(workers):
        check_memory(run.spec, run.dense.model, images=len(data.train), jobs=count)
    worker = Worker(run.progress, data=data if executor.holds_images else None, dense=run.dense)
    del data  # child processes load their own
    ordered = sorted(trials, key=lambda trial: trial.baseline_seed)
    job = Job(
        spec=run.spec,
        trials=(),
        cache=run.cache,
        environment=run.environment.key,
        commit=run.commit,
        threads=executor.threads(workers, torch.get_num_threads()),
    )
    groups = tuple(tuple(group) for _, group in groupby(ordered, lambda trial: trial.baseline))
    with executor.open(workers, worker) as execute:
        yield _Opened(run=run, job=job, groups=groups, execute=execute, timeout_s=workers.timeout_s)
