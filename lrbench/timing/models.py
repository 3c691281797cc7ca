"""Timing as a stage of its own: which architectures are not yet timed on this machine, and their timing sessions.

Weights and seeds do not matter, so models have random weights and nothing needs to be trained.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TypeVar

import psutil
import torch
from torch import nn

from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.learn.models import build_model
from lrbench.lowrank.compress import Shaped, restructure
from lrbench.measure.environment import now, read_commit
from lrbench.measure.kernels import peak_bytes
from lrbench.measure.latency import block_of, call_of, place, quiet, renew_, time_side_by_side
from lrbench.measure.settings import settings
from lrbench.plan.spec import SweepSpec
from lrbench.plan.trials import architecture_of, digest
from lrbench.results.records import Measurement, Planned, Record
from lrbench.results.sessions import DENSE, Architecture, Session, Setting, Timed
from lrbench.results.timings import complete_sessions, is_fit_timing
from lrbench.timing.processes import Notify, alone, in_fresh_process

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

    spec: SweepSpec
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
    subject = replace(due[0], key="", layers=())
    return [one for one in held if one.layers and one not in due and replace(one, key="", layers=()) == subject]


def run_timings(
    spec: SweepSpec, timings: Sequence[Timing], *, classes: int, environment: str, notify: Notify
) -> Iterator[Session]:
    """Time architectures beside the dense model and a copy of it, with nothing else of lrbench timing on this machine.

    Raises: InputError when torch does not take the threads asked for.
    """
    commit = read_commit()
    dense = architecture_of(spec, (), classes=classes)
    for number, timing in enumerate(timings, start=1):
        others = tuple(item for item in timing.architectures if item.layers)
        made = (dense, dense, *others)
        series = digest([environment, now(), *(item.key for item in made), timing.setting.label])
        job = Job(
            spec=spec,
            setting=timing.setting,
            architectures=made,
            environment=environment,
            commit=commit,
            series=series,
            process=0,
            attempt=1,
        )

        def one(process: int, attempt: int, *, job: Job = job, number: int = number) -> Session:
            notify("latency", f"timing {number} of {len(timings)}, process {process + 1}, {job.setting.label}", 0, 1)
            return in_process(spec.latency, time_models, replace(job, process=process, attempt=attempt))

        with alone(notify):
            yield from until_fit(spec.latency, one)


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
    spec, started = job.spec, now()
    size, setting = spec.data.image_size, job.setting
    with quiet(setting.threads):
        dense = build_untrained(spec, classes=job.architectures[DENSE].classes)
        models = [place(shaped(dense, architecture), setting) for architecture in job.architectures]
        runs = [call_of(model, setting, shape=(3, size, size)) for model in models]
        timed = time_side_by_side(
            [block_of(run, setting) for run in runs],
            spec.latency,
            renew=lambda: renew_all(models, setting),
            seed=job.process,
        )
        peaks = [peak_bytes(model, run, device=setting.device) for model, run in zip(models, runs, strict=True)]
    return Session(
        **vars(replace(timed, peak_bytes=tuple(peaks))),
        environment=job.environment,
        commit=job.commit,
        started=started,
        setting=setting,
        architectures=job.architectures,
        series=job.series,
        process=job.process,
        attempt=job.attempt,
    )


def bytes_of(model: nn.Module) -> int:
    """Of a model's tensors."""
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


def renew_all(models: Sequence[nn.Module], setting: Setting) -> None:
    """Lay models out anew in memory; a captured CUDA graph holds addresses and stays where it is."""
    if setting.runtime != "cuda-graph":
        for model in models:
            renew_(model)


def build_untrained(spec: SweepSpec, *, classes: int) -> nn.Module:
    """The dense model with random weights, the same ones each time."""
    torch.manual_seed(0)
    choice = spec.model.model_copy(update={"weights": "none"})
    return build_model(choice, classes=classes, image_size=spec.data.image_size)[0]


def shaped(model: nn.Module, architecture: Architecture) -> nn.Module:
    """A copy of a model in this architecture, its factors random, the same ones each time.

    Raises: InputError when the model lacks a layer of the architecture.
    """
    torch.manual_seed(0)
    names = dict(model.named_modules())
    absent = [layer.layer for layer in architecture.layers if layer.layer not in names]
    if absent:
        raise InputError(f"model {architecture.model} has no layer {absent[0]!r}, which was factorized")
    if not architecture.layers:
        return deepcopy(model)
    return restructure(model, [Shaped(**vars(layer)) for layer in architecture.layers])
