"""Timing on this machine."""

from collections.abc import Iterator, Mapping, Sequence

from lrbench.execute.workers import Workers
from lrbench.learn.architectures import bytes_of
from lrbench.plan.run import Run
from lrbench.results.records import Record
from lrbench.results.sessions import Architecture, Session, TimingFailure
from lrbench.timing.architectures import missing_timings, run_timings


def time_here(
    run: Run, workers: Workers, wanted: Mapping[str, Architecture], held: Sequence[Record]
) -> Iterator[Record]:
    """Time the architectures that are not yet timed on this machine, one timing at a time.

    Args:
        run: the sweep.
        workers: how trials are run; has no effect here.
        wanted: architectures by key.
        held: records of the log.
    """
    choice, environment = run.spec.latency, run.environment.key
    timings = missing_timings(
        choice,
        wanted,
        [record for record in held if isinstance(record, Session | TimingFailure)],
        environment=environment,
        model_bytes=bytes_of(run.dense.model),
    )
    yield from run_timings(
        choice, timings, dense=run.dense.architecture, environment=environment, progress=run.progress
    )
