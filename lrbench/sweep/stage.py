"""The stages of a sweep in their order: accuracy first, then timing alone."""

from collections.abc import Generator, Sequence
from pathlib import Path

from lrbench.records import Measurement, Planned, Record, Trial
from lrbench.sweep.outline import outline
from lrbench.sweep.plan import Skeleton, architecture_of
from lrbench.sweep.pool import ALONE, Crew
from lrbench.sweep.processes import Notify
from lrbench.sweep.run import run_sweep
from lrbench.sweep.spec import SweepSpec
from lrbench.sweep.timing import architectures_of, bytes_of, missing_timings, run_timings
from lrbench.timed import Environment, Session


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
    if not timed:
        return
    timings = missing_timings(
        spec.latency,
        architectures_of(held, [trial.key for trial in trials]),
        [record for record in held if isinstance(record, Session)],
        environment=environment.key,
        model_bytes=bytes_of(skeleton.model),
    )
    yield from run_timings(spec, timings, classes=skeleton.classes, environment=environment.key, notify=notify)


def plan_architectures(
    spec: SweepSpec, trials: Sequence[Trial], *, skeleton: Skeleton, held: Sequence[Record]
) -> tuple[tuple[Planned, ...], int]:
    """The architectures of trials that the log does not hold, and how many of them wait for trained weights."""
    known = {record.trial.key for record in held if isinstance(record, Measurement | Planned)}
    outlines = [outline(trial, spec, skeleton) for trial in trials if trial.key not in known]
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
    return planned, len(outlines) - len(planned)
