"""Timing as a separate stage: which architectures are not yet timed on this machine, and their timing sessions.

Latency does not depend on weights, so models have random weights and nothing needs to be trained.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import psutil

from lrbench.config.axes import Setting
from lrbench.config.sections import LatencyChoice
from lrbench.learn.architectures import build_dense, shaped
from lrbench.measure.environment import now, read_commit
from lrbench.measure.prepared import peaks_of, renew_all
from lrbench.measure.settings import settings
from lrbench.measure.side_by_side import block_of, prepare, quiet, time_side_by_side
from lrbench.progress import Progress
from lrbench.results.keys import digest
from lrbench.results.sessions import DENSE, Architecture, Session
from lrbench.results.timings import complete_sessions
from lrbench.timing.isolation import alone
from lrbench.timing.repeat import in_process, until_fit

MEMORY_SHARE = 0.5
"""Share of the free memory that the models of one session may fill."""


@dataclass(frozen=True, kw_only=True)
class DueTiming:
    """One timing to be made: architectures beside the dense model, in as many processes as the spec says."""

    setting: Setting
    architectures: tuple[Architecture, ...]


@dataclass(frozen=True, kw_only=True)
class SessionJob:
    """What one process of a timing needs; it can be sent to a fresh process."""

    choice: LatencyChoice
    setting: Setting
    architectures: tuple[Architecture, ...]
    environment: str
    commit: str
    series: str
    process: int
    attempt: int


def missing_timings(
    choice: LatencyChoice,
    wanted: Mapping[str, Architecture],
    sessions: Iterable[Session],
    *,
    environment: str,
    model_bytes: int,
    again: Container[str] = (),
) -> tuple[DueTiming, ...]:
    """The timings that are still missing on this machine, each of as many architectures as fit in memory together.

    A group that is not full is filled up with architectures that were timed before: a model's caches depend on what
    else the session runs, so all models are timed beside equally many others.

    Args:
        choice: the `[latency]` section.
        wanted: architectures by key.
        sessions: those on disk that may count. An architecture is timed when a timing of it is complete.
        environment: key of this machine's environment.
        model_bytes: size of the dense model.
        again: keys of architectures to time again.
    """
    fits = int(MEMORY_SHARE * psutil.virtual_memory().available // model_bytes) - 2
    group = max(1, min(choice.group, fits))
    here = complete_sessions(
        (session for session in sessions if session.environment == environment), processes=choice.processes
    )
    timings: list[DueTiming] = []
    for setting in settings(choice):
        held = {
            architecture.key: architecture
            for session in here
            if session.setting == setting
            for architecture in session.architectures
        }
        due = [architecture for key, architecture in wanted.items() if key not in held or key in again]
        # The dense model is in every session; it needs a timing of its own only when nothing else is due.
        due = [architecture for architecture in due if architecture.layers] or due[:1]
        for start in range(0, len(due), group):
            members = due[start : start + group]
            timed_before = _timed_before(members, held.values())[: group - len(members)]
            timings.append(DueTiming(setting=setting, architectures=(*members, *timed_before)))
    return tuple(timings)


def _timed_before(due: Sequence[Architecture], held: Iterable[Architecture]) -> list[Architecture]:
    """The factorized architectures of the same model that are already timed."""
    keys = {architecture.key for architecture in due}
    subject = replace(due[0], key="", layers=())
    others = (architecture for architecture in held if architecture.layers and architecture.key not in keys)
    return [architecture for architecture in others if replace(architecture, key="", layers=()) == subject]


def run_timings(
    choice: LatencyChoice, timings: Sequence[DueTiming], *, dense: Architecture, environment: str, progress: Progress
) -> Iterator[Session]:
    """Time architectures beside the dense model and its copy, while no other timing of lrbench runs on this machine.

    Raises: InputError when torch does not accept the number of threads.
    """
    commit = read_commit()
    for number, timing in enumerate(timings, start=1):
        factorized = tuple(item for item in timing.architectures if item.layers)
        architectures = (dense, dense, *factorized)
        series = digest([environment, now(), *(item.key for item in architectures), timing.setting.label])
        job = SessionJob(
            choice=choice,
            setting=timing.setting,
            architectures=architectures,
            environment=environment,
            commit=commit,
            series=series,
            process=0,
            attempt=1,
        )

        def run(process: int, attempt: int, *, job: SessionJob = job, number: int = number) -> Session:
            progress("latency", f"timing {number} of {len(timings)}, process {process + 1}, {job.setting.label}", 0, 1)
            return in_process(choice, time_models, replace(job, process=process, attempt=attempt))

        with alone(progress):
            yield from until_fit(choice, run)


def time_models(job: SessionJob) -> Session:
    """Build the models of a job and time them side by side."""
    started, setting = now(), job.setting
    size = job.architectures[DENSE].image_size
    with quiet(setting.threads):
        dense = build_dense(job.architectures[DENSE])
        models = [
            prepare(shaped(dense, architecture), setting, shape=(3, size, size)) for architecture in job.architectures
        ]
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
