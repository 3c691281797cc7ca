"""The stages of a sweep in their order: accuracy first, then timing alone."""

from collections.abc import Generator, Sequence
from pathlib import Path

from lrbench.execute.executors import ALONE, Crew
from lrbench.execute.ray_timing import time_on_nodes
from lrbench.measure.settings import settings
from lrbench.plan.budgets import gather_evidence
from lrbench.plan.preview import outline
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import Skeleton, architecture_of
from lrbench.results.records import Measurement, Planned, Record, Trial
from lrbench.results.sessions import Environment, Session
from lrbench.timing.models import architectures_of, bytes_of, missing_timings, run_timings
from lrbench.timing.processes import Notify
from lrbench.trials.run import run_sweep


def run_stages(  # noqa: PLR0913 - what a sweep is made of
    spec: SweepSpec,
    trials: Sequence[Trial],
    *,
    todo: Sequence[Trial],
    timed: bool,
    held: Sequence[Record],
    skeleton: Skeleton,
    environment: Environment,
    cache: Path,
    notify: Notify,
    crew: Crew = ALONE,
) -> Generator[Record, None, None]:
    """Run the trials to do, then time the architectures of all trials that are not yet timed on this machine.

    Args:
        spec: the sweep.
        trials: of the sweep.
        todo: those to run.
        timed: whether timing is wanted.
        held: what the log holds; it must grow by each record before the next is asked for.
        skeleton: the untrained dense model.
        environment: of this machine.
        cache: directory for decoded images and trained weights.
        notify: told of progress.
        crew: how trials are run; timing is always alone.

    Raises: InputError when model or data cannot be used.
    """
    yield from run_sweep(spec, todo, held=held, environment=environment, cache=cache, notify=notify, crew=crew)
    if not timed or not settings(spec.latency):
        return
    wanted, size = architectures_of(held, [trial.key for trial in trials]), bytes_of(skeleton.model)
    if crew.cluster:
        yield from time_on_nodes(
            spec,
            wanted,
            held,
            cluster=crew.cluster,
            classes=skeleton.classes,
            model_bytes=size,
            notify=notify,
        )
        return
    timings = missing_timings(
        spec.latency,
        wanted,
        [record for record in held if isinstance(record, Session)],
        environment=environment.key,
        model_bytes=size,
    )
    yield from run_timings(spec, timings, classes=skeleton.classes, environment=environment.key, notify=notify)


def plan_architectures(
    spec: SweepSpec, trials: Sequence[Trial], *, skeleton: Skeleton, held: Sequence[Record], environment: str
) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    """The architectures of trials that the log does not hold, and why those of others are not known yet.

    Budget rules go by what the log knows of layers on this machine, whose key is `environment`.
    """
    evidence = gather_evidence(spec, held, environment=environment)
    known = {record.trial.key for record in held if isinstance(record, Measurement | Planned)}
    outlines = [outline(trial, spec, skeleton, evidence=evidence) for trial in trials if trial.key not in known]
    planned = tuple(
        Planned(
            trial=found.trial,
            architecture=architecture_of(spec, found.cuts, classes=skeleton.classes),
            params=found.params,
            macs=found.macs,
            dense_params=skeleton.cost.params,
            dense_macs=skeleton.cost.macs,
        )
        for found in outlines
        if found.cuts is not None and found.params is not None and found.macs is not None
    )
    return planned, tuple(f"{found.trial.label}: {found.waits}" for found in outlines if found.cuts is None)
