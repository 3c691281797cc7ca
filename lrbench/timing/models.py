"""Timing as a stage of its own: which architectures are not yet timed on this machine, and their timing sessions.

Weights and seeds do not matter, so models have random weights and nothing needs to be trained.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import psutil

from lrbench.config.axes import Setting
from lrbench.config.sections import LatencyChoice
from lrbench.learn.architectures import build_dense, shaped
from lrbench.measure.environment import now, read_commit
from lrbench.measure.latency import block_of, prepare, quiet, time_side_by_side
from lrbench.measure.prepared import peaks_of, renew_all
from lrbench.measure.settings import settings
from lrbench.progress import Progress
from lrbench.results.keys import digest
from lrbench.results.records import Measurement, Planned, Record
from lrbench.results.sessions import DENSE, Architecture, Session, Timed
from lrbench.results.timings import complete_sessions, is_fit_timing
from lrbench.timing.processes import alone, in_fresh_process

T = TypeVar("T")
J = TypeVar("J")
S = TypeVar("S", bound=Timed)

ATTEMPTS = 2
"""How often a timing is made when its A/A control says that it is unfit."""

MEMORY_SHARE = 0.5
"""Of the free memory that the models of one session may fill."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One timing to come: architectures beside the dense model, in as many processes as the spec wants."""

    setting: Setting
    architectures: tuple[Architecture, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one process of a timing needs to know; it crosses to a fresh process whole."""

    choice: LatencyChoice
    setting: Setting
    architectures: tuple[Architecture, ...]
    environment: str
    commit: str
    series: str
    process: int
    attempt: int


def architectures_of(records: Iterable[Record], keys: Iterable[str]) -> dict[str, Architecture]:
    """By key, the architectures of these trials as far as the log knows them, measured or planned."""
    planned = set(keys)
    return {
        record.architecture.key: record.architecture
        for record in records
        if isinstance(record, Measurement | Planned) and record.trial.key in planned
    }


def missing_timings(
    choice: LatencyChoice,
    wanted: Mapping[str, Architecture],
    sessions: Iterable[Session],
    *,
    environment: str,
    model_bytes: int,
    again: Container[str] = (),
) -> tuple[Timing, ...]:
    """The timings that are still due on this machine, of as many architectures as may be held in memory together.

    A group that is not full is filled up with architectures that were timed before: what else runs decides what a model
    finds in the caches, so that all are timed in equal company.

    Args:
        choice: the `[latency]` section.
        wanted: architectures by key.
        sessions: those on disk that may count. An architecture is timed when a timing of it is complete.
        environment: key of this machine's.
        model_bytes: of the dense model.
        again: keys of architectures to time once more.
    """
    fits = int(MEMORY_SHARE * psutil.virtual_memory().available // model_bytes) - 2
    group = max(1, min(choice.group, fits))
    here = complete_sessions(
        (session for session in sessions if session.environment == environment), processes=choice.processes
    )
    timings: list[Timing] = []
    for setting in settings(choice):
        held = {
            architecture.key: architecture
            for session in here
            if session.setting == setting
            for architecture in session.architectures
        }
        due = [architecture for key, architecture in wanted.items() if key not in held or key in again]
        due = [one for one in due if one.layers] or due[:1]  # the dense model is in every session; alone it is one
        for start in range(0, len(due), group):
            mine = due[start : start + group]
            company = _company(mine, held.values())[: group - len(mine)]
            timings.append(Timing(setting=setting, architectures=(*mine, *company)))
    return tuple(timings)


def _company(due: Sequence[Architecture], held: Iterable[Architecture]) -> list[Architecture]:
    """The factorized architectures of the same model that are timed already."""
    keys = {one.key for one in due}
    subject = replace(due[0], key="", layers=())
    return [one for one in held if one.layers and one.key not in keys and replace(one, key="", layers=()) == subject]


def run_timings(
    choice: LatencyChoice, timings: Sequence[Timing], *, dense: Architecture, environment: str, progress: Progress
) -> Iterator[Session]:
    """Time architectures beside the dense model and a copy of it, with nothing else of lrbench timing on this machine.

    Raises: InputError when torch does not take the threads asked for.
    """
    commit = read_commit()
    for number, timing in enumerate(timings, start=1):
        others = tuple(item for item in timing.architectures if item.layers)
        made = (dense, dense, *others)
        series = digest([environment, now(), *(item.key for item in made), timing.setting.label])
        job = Job(
            choice=choice,
            setting=timing.setting,
            architectures=made,
            environment=environment,
            commit=commit,
            series=series,
            process=0,
            attempt=1,
        )

        def run(process: int, attempt: int, *, job: Job = job, number: int = number) -> Session:
            progress("latency", f"timing {number} of {len(timings)}, process {process + 1}, {job.setting.label}", 0, 1)
            return in_process(choice, time_models, replace(job, process=process, attempt=attempt))

        with alone(progress):
            yield from until_fit(choice, run)


def until_fit(choice: LatencyChoice, run: Callable[[int, int], S]) -> Iterator[S]:
    """Run every process of a timing, and all of them once more when the A/A control says that the timing is unfit."""
    for attempt in range(1, ATTEMPTS + 1):
        sessions = []
        for process in range(choice.processes):
            sessions.append(run(process, attempt))
            yield sessions[-1]
        if is_fit_timing(sessions):
            return


def in_process(choice: LatencyChoice, work: Callable[[J], T], job: J) -> T:
    """Work in a fresh process, which Ctrl-C ends too; in this one when there is to be one process only."""
    if choice.processes == 1:
        return work(job)
    return in_fresh_process(work, job)


def time_models(job: Job) -> Session:
    """Build the models of a job and time them side by side."""
    started, setting = now(), job.setting
    size = job.architectures[DENSE].image_size
    with quiet(setting.threads):
        dense = build_dense(job.architectures[DENSE])
        models = [prepare(shaped(dense, made), setting, shape=(3, size, size)) for made in job.architectures]
        timed = time_side_by_side(
            [block_of(model.call, setting) for model in models],
            job.choice,
            renew=lambda: renew_all(models),
            seed=job.process,
        )
        peaks = peaks_of(models)
    return Session(
        **vars(replace(timed, peak_bytes=peaks)),
        environment=job.environment,
        commit=job.commit,
        started=started,
        setting=setting,
        architectures=job.architectures,
        series=job.series,
        process=job.process,
        attempt=job.attempt,
    )
