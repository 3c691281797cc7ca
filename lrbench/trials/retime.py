"""Timing what a results folder holds, without its spec: the architectures are in its records."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.config.axes import AXES
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.learn.architectures import build_dense, bytes_of, check_unchanged, make_architecture
from lrbench.plan.spec import make_spec
from lrbench.progress import Progress
from lrbench.results.records import Measurement, Planned, Record
from lrbench.results.sessions import Architecture, Environment, Session
from lrbench.results.timings import fit_sessions
from lrbench.timing.models import missing_timings, run_timings
from lrbench.trials.history import History


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One model of a results folder: how it is timed, its dense architecture, and all of them by key."""

    choice: LatencyChoice
    dense: Architecture
    architectures: dict[str, Architecture]


def subjects(records: Sequence[Record], *, overrides: Sequence[str], models: Sequence[str]) -> Iterator[Subject]:
    """The models that a folder holds, each with how it is timed.

    The axes are those of the folder's own sessions, or the usual ones; overrides change them.

    Args:
        records: of the folder.
        overrides: `latency.key=value` texts.
        models: callables of the user's own that may be run. A results folder alone never makes lrbench import code.

    Raises: InputError when there is nothing to time, for a callable that was not named, or when its code has changed.
    """
    for text in overrides:
        if not text.startswith("latency."):
            raise InputError(f"--set takes only keys of latency here, got {text!r}")
    found = [record.architecture for record in records if isinstance(record, Measurement | Planned)]
    if not found:
        raise InputError("the folder holds no architecture to time: no trial in it is finished or planned")
    axes = _axes(record for record in records if isinstance(record, Session))
    document: dict[str, Any] = {"latency": {name: list(values) for name, values in axes.items()}}
    choice = make_spec(document, overrides, where="latency settings").latency
    for model, size, classes in dict.fromkeys((one.model, one.image_size, one.classes) for one in found):
        if ":" in model and model not in models:
            raise InputError(f"model {model!r} is code of your own; --model {model} allows to import and run it")
        mine = {one.key: one for one in found if (one.model, one.image_size, one.classes) == (model, size, classes)}
        for architecture in mine.values():
            check_unchanged(architecture)
        dense = make_architecture(model, image_size=size, classes=classes)
        yield Subject(choice=choice, dense=dense, architectures=mine)


def time_subjects(
    subjects: Iterable[Subject],
    held: Sequence[Record],
    *,
    environment: Environment,
    progress: Progress,
    again: Container[str] = (),
) -> Iterator[Record]:
    """Time what is not yet timed on this machine, or was unfit, after the record of the machine itself.

    `again` are keys of architectures to time once more.
    """
    history = History(held)
    yield from history.new([environment])
    sessions = fit_sessions(record for record in held if isinstance(record, Session))
    for subject in subjects:
        timings = missing_timings(
            subject.choice,
            subject.architectures,
            sessions,
            environment=environment.key,
            model_bytes=bytes_of(build_dense(subject.dense)),
            again=again,
        )
        yield from history.new(
            run_timings(subject.choice, timings, dense=subject.dense, environment=environment.key, progress=progress)
        )


def _axes(sessions: Iterable[Session]) -> dict[str, dict[Any, None]]:
    """Every value of each axis of some sessions, under the keys of `[latency]`."""
    found: dict[str, dict[Any, None]] = {}
    for session in sessions:
        for name, axis in AXES.items():
            found.setdefault(axis.key, {})[axis.word(getattr(session.setting, name))] = None
    return found
