"""Timing as a separate stage: which architectures are not yet timed on this machine, and their timing sessions.

Latency does not depend on weights, so models have random weights and nothing needs to be trained.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

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
from lrbench.results.occasions import is_vetoed
from lrbench.results.sessions import DENSE, Architecture, Session, TimingFailure
from lrbench.results.timings import complete_sessions, incomplete_sessions
from lrbench.timing.lock import alone
from lrbench.timing.repeat import Series, Subject, in_process, resumed, until_fit

MEMORY_SHARE = 0.5
"""Share of the free memory that the models of one session may fill."""


@dataclass(frozen=True, kw_only=True)
class DueTiming:
    """One timing to be made or finished: architectures beside the dense model, in as many processes as the spec says.

    `held` are its sessions that were made before it was interrupted, `earlier` those of other timings in the setting.
    """

    setting: Setting
    architectures: tuple[Architecture, ...]
    held: tuple[Session, ...] = ()
    earlier: tuple[Session, ...] = ()

    def is_odd(self, session: Session) -> bool:
        """Whether the B/B control of a session of this timing lies beyond the limits of earlier ones."""
        factorized = [item for item in self.architectures if item.layers]
        return bool(factorized) and is_vetoed(session, self.earlier, reference=reference_of(factorized).key)


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
    records: Iterable[Session | TimingFailure],
    *,
    environment: str,
    model_bytes: int,
    again: Container[str] = (),
) -> tuple[DueTiming, ...]:
    """The timings that are still missing on this machine, each of as many architectures as fit in memory together.

    Those that were interrupted come first. All models of a setting are timed beside equally many others, since a
    model's caches depend on what else the session runs, and all beside the same strongly compressed one.

    Args:
        choice: the `[latency]` section.
        wanted: architectures by key.
        records: sessions on disk that may count, and failures that are not to be repeated. An architecture is timed
            when a timing of it is complete.
        environment: key of this machine's environment.
        model_bytes: size of the dense model.
        again: keys of architectures to time again.
    """
    fits = int(MEMORY_SHARE * psutil.virtual_memory().available // model_bytes) - 2
    group = max(1, min(choice.group, fits))
    here = [record for record in records if record.environment == environment]
    timings: list[DueTiming] = []
    for setting in settings(choice):
        same = [record for record in here if isinstance(record, Session) and record.setting == setting]
        failures = [record for record in here if isinstance(record, TimingFailure) and record.setting == setting]
        complete = tuple(complete_sessions(same, processes=choice.processes))
        held = {item.key: item for session in complete for item in session.architectures}
        hopeless = {key for failure in failures for key in failure.architectures}
        absent = {key: item for key, item in wanted.items() if key not in held or key in again}
        due = {key: item for key, item in absent.items() if key not in hopeless}
        for part in incomplete_sessions(same, processes=choice.processes):
            members = tuple(item for item in part[0].architectures if item.layers)
            if members and due.keys() & {item.key for item in members}:
                timings.append(DueTiming(setting=setting, architectures=members, held=part, earlier=complete))
                due = {key: item for key, item in due.items() if item not in members}
        # The dense model is in every session; it needs a timing of its own only when there is nothing else to time.
        factorized = [item for item in due.values() if item.layers]
        alone = [] if any(item.layers for item in absent.values()) else [tuple(due.values())[:1]]
        groups = _groups(factorized, held.values(), largest=group) if factorized else alone
        timings += [
            DueTiming(setting=setting, architectures=members, earlier=complete) for members in groups if members
        ]
    return tuple(timings)


def reference_of(architectures: Iterable[Architecture]) -> Architecture:
    """The B/B control: the architecture with most layers cut, of those the one whose ranks add up to least."""
    return min(architectures, key=lambda item: (-len(item.layers), sum(cut.rank or 0 for cut in item.layers), item.key))


def _groups(
    due: Sequence[Architecture], held: Iterable[Architecture], *, largest: int
) -> list[tuple[Architecture, ...]]:
    """Architectures in groups of one size, filled up with others of the same model that are timed already.

    Each group of two and more has the B/B control first, by which sessions are compared.
    """
    keys = {item.key for item in due}
    subject = replace(due[0], key="", layers=())
    others = [item for item in held if item.layers and replace(item, key="", layers=()) == subject]
    if largest == 1:
        return [(item,) for item in due]
    control = reference_of([*others, *due])
    left = [item for item in due if item.key != control.key]
    filling = [item for item in others if item.key not in keys and item.key != control.key]
    count = max(1, ceil(len(left) / (largest - 1)))
    size = min(largest - 1, max(ceil(len(left) / count), len(filling)))
    parts = [left[start : start + size] for start in range(0, len(left), size)] if left else [[]]
    filling += left[:size]
    return [(control, *part, *[item for item in filling if item not in part][: size - len(part)]) for part in parts]


def run_timings(
    choice: LatencyChoice, timings: Sequence[DueTiming], *, dense: Architecture, environment: str, progress: Progress
) -> Iterator[Session | TimingFailure]:
    """Time architectures beside the dense model and its copy, while no other timing of lrbench runs on this machine.

    A timing that fails is a record, and the others go on.
    """
    commit = read_commit()

    def series_of(number: int, timing: DueTiming) -> Series[Session]:
        architectures = (dense, dense, *timing.architectures)
        name = digest([environment, now(), number, *(item.key for item in architectures), timing.setting.label])
        job = SessionJob(
            choice=choice,
            setting=timing.setting,
            architectures=architectures,
            environment=environment,
            commit=commit,
            series=timing.held[0].series if timing.held else name,
            process=0,
            attempt=1,
        )

        def run(process: int, attempt: int) -> Session:
            what = f"timing {number} of {len(timings)}, process {process + 1}, {job.setting.label}"
            progress("latency", what, process * len(timings) + number - 1, choice.processes * len(timings))
            with alone(progress):
                timed = replace(job, process=process, attempt=attempt)
                return in_process(choice, time_models, timed, model=dense.model)

        keys = tuple(item.key for item in timing.architectures)
        subject = Subject(environment=environment, commit=commit, setting=timing.setting, architectures=keys)
        return resumed(run, subject, timing.held, is_odd=timing.is_odd)

    yield from until_fit(choice, [series_of(number, timing) for number, timing in enumerate(timings, start=1)])


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
