"""Artefacts timed from their files: each beside the dense model in the same runtime, and a second dense one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch

from lrbench.config.axes import Setting
from lrbench.config.names import is_own
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.export.artefacts import Build, open_artefact
from lrbench.learn.imports import import_callable
from lrbench.measure import runtimes
from lrbench.measure.environment import read_environment
from lrbench.measure.prepared import renew_all
from lrbench.measure.side_by_side import block_of, quiet, time_side_by_side
from lrbench.progress import Progress
from lrbench.results.observed import layout_logs
from lrbench.results.occasions import estimate_timing, told
from lrbench.results.sessions import CONTROL, DENSE, Timed, TimingFailure
from lrbench.results.timings import control_ratio, is_fit_timing, last_attempt
from lrbench.statistics.components import prior_of
from lrbench.timing.lock import alone
from lrbench.timing.repeat import Series, Subject, in_process, until_fit

SCHEMA = 1

EXPORTED = 2
"""The index of the exported model in a session, after the dense one and the second dense one."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one process of a timing needs to know; it is sent to a fresh process whole.

    `folder` and `dense` hold the artefacts of the trial and of the dense model, images are (3, image_size, image_size).
    """

    artefact: str
    folder: Path
    dense: Path
    model: str
    image_size: int
    choice: LatencyChoice
    setting: Setting
    process: int = 0
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class ArtefactSession(Timed):
    """A session of one kind of artefact in one process."""

    artefact: str
    setting: Setting
    process: int
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The sessions of one artefact in one setting, a process each, of the last attempt."""

    artefact: str
    setting: Setting
    sessions: tuple[ArtefactSession, ...]


def builder_of(model: str) -> Build | None:
    """The user's own builder, imported; None for a model of torchvision."""
    return import_callable(model, key="model.name") if is_own(model) else None


def time_artefacts(jobs: Sequence[Job], *, progress: Progress) -> tuple[Timing, ...]:
    """Time artefacts, each in as many processes as its choice wants, with nothing else of lrbench timing here.

    Raises: InputError when a process of a timing fails.
    """

    def series_of(job: Job) -> Series[ArtefactSession]:
        def run(process: int, attempt: int) -> ArtefactSession:
            again = ", again because the A/A control was unfit" if attempt > 1 else ""
            progress("latency", f"{job.artefact}, process {process + 1}, {job.setting.label}{again}", 0, 1)
            with alone(progress):
                timed = replace(job, process=process, attempt=attempt)
                return in_process(job.choice, time_artefact, timed, model=job.model)

        subject = Subject(environment="", commit="", setting=job.setting, shape=job.artefact)
        return Series(run=run, subject=subject)

    if not jobs:
        return ()
    series, made = list(map(series_of, jobs)), list[ArtefactSession]()
    for outcome in until_fit(jobs[0].choice, series):
        if isinstance(outcome, TimingFailure):
            raise InputError(f"{outcome.shape} could not be timed ({outcome.setting.label}): {outcome.reason}")
        made.append(outcome)
    return tuple(
        Timing(
            artefact=job.artefact,
            setting=job.setting,
            sessions=tuple(
                last_attempt(item for item in made if (item.artefact, item.setting) == (job.artefact, job.setting))
            ),
        )
        for job in jobs
    )


def time_artefact(job: Job) -> ArtefactSession:
    """One session: the dense artefact, the same file opened a second time, the trial's."""
    setting, size = job.setting, job.image_size
    build = builder_of(job.model)
    with quiet(setting.threads):
        images = torch.rand(setting.batch_size, 3, size, size, generator=torch.Generator().manual_seed(0))
        models = [
            open_artefact(job.artefact, folder, setting=setting, build=build)(images)
            for folder in (job.dense, job.dense, job.folder)
        ]
        blocks = [block_of(model.call, setting) for model in models]
        timed = time_side_by_side(blocks, job.choice, renew=lambda: renew_all(models), seed=job.process)
    return ArtefactSession(
        **vars(timed), artefact=job.artefact, setting=setting, process=job.process, attempt=job.attempt
    )


def timing_table(timings: Sequence[Timing]) -> pd.DataFrame:
    """One row an artefact and setting: the trial's latency over the dense model's, with its 99 % interval."""
    processor = read_environment().processor

    def row(timing: Timing) -> dict[str, Any]:
        sessions, setting = timing.sessions, timing.setting
        prior = prior_of(setting.device, setting.threads)
        ratio = told(estimate_timing((layout_logs(session, EXPORTED) for session in sessions), prior)).ratio()
        control = control_ratio(sessions)
        return {
            "schema": SCHEMA,
            "runtime": setting.runtime,
            "version": version(runtimes.RUNTIMES[setting.runtime].package),
            "processor": processor,
            "batch_size": setting.batch_size,
            "threads": setting.threads,
            "memory_format": setting.memory_format,
            "latency_s": _median(sessions, EXPORTED),
            "dense_latency_s": _median(sessions, DENSE),
            "ratio": ratio.ratio,
            "ratio_low": ratio.ends[0],
            "ratio_high": ratio.ends[1],
            "control": control.ratio,
            "control_low": control.low,
            "control_high": control.high,
            "fit": is_fit_timing(sessions),
            "rounds": sum(len(session.rounds) for session in sessions),
            "processes": len(sessions),
        }

    return pd.DataFrame([row(timing) for timing in timings])


def _median(sessions: Sequence[Timed], model: int) -> float:
    return median(timed.wall_s[model] for session in sessions for timed in session.rounds)


def rounds_table(timings: Sequence[Timing]) -> pd.DataFrame:
    """One row a round, in seconds a call: what `timing_table` was computed from."""
    return pd.DataFrame(
        {
            "schema": SCHEMA,
            "runtime": timing.setting.runtime,
            "batch_size": timing.setting.batch_size,
            "threads": timing.setting.threads,
            "process": session.process,
            "round": number,
            "layout": timed.layout,
            "latency_s": timed.wall_s[EXPORTED],
            "dense_latency_s": timed.wall_s[DENSE],
            "control_latency_s": timed.wall_s[CONTROL],
        }
        for timing in timings
        for session in timing.sessions
        for number, timed in enumerate(session.rounds)
    )
