"""A sweep from its run to its records: first the accuracy of trials, then their latency, alone on the machine."""

from collections.abc import Container, Iterable, Iterator, Sequence

from lrbench.execute import executors
from lrbench.execute.workers import ALONE, Workers
from lrbench.measure.settings import settings
from lrbench.plan.evidence import gather_evidence
from lrbench.plan.preview import plan_architectures
from lrbench.plan.run import Run
from lrbench.plan.schedulers import next_round
from lrbench.results.records import Failure, Measurement, Planned, Record, Trial
from lrbench.results.sessions import Architecture, TimingFailure
from lrbench.trials.history import History
from lrbench.trials.run import run_trials

STAGES = ("accuracy", "latency")
"""The stages of a sweep, in their order."""


def run_sweep(
    run: Run,
    todo: Sequence[Trial],
    held: Sequence[Record],
    *,
    stages: Container[str] = STAGES,
    retry_failed: bool = False,
    workers: Workers = ALONE,
) -> Iterator[Record]:
    """Run the trials `todo` and those that follow, then time what is not yet timed on this machine.

    Args:
        run: the sweep.
        todo: the trials to run.
        held: records of the log.
        stages: those of `STAGES` to run; with latency alone nothing is trained.
        retry_failed: whether timings that failed are missing too, and trials that follow.
        workers: how trials are run.

    Raises: InputError when model, data or disk cannot be used, or evidence that a budget needs is missing.
    """
    history = History(held)
    yield from history.new([run.environment])
    if "accuracy" in stages:
        yield from run_trials(run, todo, history, workers=workers)
        stale = [record for record in held if retry_failed and isinstance(record, Failure)]
        yield from _run_following(run, history, stale=stale, workers=workers)
    if "latency" in stages and settings(run.spec.latency):
        wanted = architectures_of(history.records, [trial.key for trial in (*run.trials, *run.later)])
        executor = executors.executor_of(workers)
        known = [record for record in history.records if not (retry_failed and isinstance(record, TimingFailure))]
        yield from history.new(executor.time(run, workers, wanted, known))


def _run_following(run: Run, history: History, *, stale: Sequence[Record], workers: Workers) -> Iterator[Record]:
    """Run, round by round, the trials that follow by the outcomes of others, each once.

    Args:
        run: the sweep.
        history: records of the log and the run.
        stale: outcomes in it that do not count, since they are to be had anew.
        workers: how trials are run.
    """
    asked: set[str] = set()
    while True:
        line, todo = next_round(run, [record for record in history.records if record not in stale])
        if asked.issuperset(trial.key for trial in todo):
            return
        asked |= {trial.key for trial in todo}
        run.announce(line, todo)
        yield from run_trials(run, todo, history, workers=workers, look=False)


def missing_plans(run: Run, held: Sequence[Record]) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    """The architectures of trials that the log does not hold, and for the other trials why they are not known yet.

    Budget rules are based on the evidence about layers on this machine in the log.
    """
    held_keys = {record.trial.key for record in held if isinstance(record, Measurement | Planned)}
    evidence = gather_evidence(run.spec, held, environment=run.environment.key)
    return plan_architectures(run, [trial for trial in run.trials if trial.key not in held_keys], evidence=evidence)


def architectures_of(records: Iterable[Record], keys: Iterable[str]) -> dict[str, Architecture]:
    """The architectures of these trials by key, as far as the log holds them, measured or planned."""
    planned = set(keys)
    return {
        record.architecture.key: record.architecture
        for record in records
        if isinstance(record, Measurement | Planned) and record.trial.key in planned
    }
