"""Time the architectures of a results folder without its spec: they are in its records."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.config.axes import AXES
from lrbench.config.names import is_own
from lrbench.config.sections import LatencyChoice
from lrbench.errors import InputError
from lrbench.learn.architectures import build_dense, bytes_of, check_unchanged, make_architecture
from lrbench.limits import require_cpus
from lrbench.measure.memory_formats import refuses_channels_last
from lrbench.plan.spec import kept_sections, make_spec
from lrbench.progress import Progress
from lrbench.results.environment import Environment
from lrbench.results.records import Measurement, Planned, Record, SpecRecord
from lrbench.results.sessions import Architecture, Session
from lrbench.results.timings import fit_sessions
from lrbench.timing.architectures import missing_timings, run_timings
from lrbench.trials.history import History


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One model of a results folder: how it is timed, its dense architecture, and all its architectures by key."""

    choice: LatencyChoice
    dense: Architecture
    architectures: dict[str, Architecture]


def subjects(records: Sequence[Record], *, overrides: Sequence[str], models: Sequence[str]) -> Iterator[Subject]:
    """The models of a results folder, each with how it is timed.

    Settings are those of the folder's sessions, the rest of `[latency]` is that of its spec; overrides change them.

    Args:
        records: of the folder.
        overrides: `latency.key=value` texts.
        models: the user's own callables that may be run. A results folder alone never makes lrbench import code.

    Raises: InputError when there is nothing to time, for a callable that was not named, or when its code has changed.
    """
    for text in overrides:
        if not text.startswith("latency."):
            raise InputError(f"--set must be latency.KEY=VALUE here, got {text!r}")
    architectures = [record.architecture for record in records if isinstance(record, Measurement | Planned)]
    if not architectures:
        raise InputError("the folder has no architecture to time: none of its trials is finished or planned")
    axes = _axes(record for record in records if isinstance(record, Session))
    specs = [record for record in records if isinstance(record, SpecRecord)]
    document = kept_sections(specs[-1], ("latency",)) if specs else {}
    document.setdefault("latency", {}).update({name: list(values) for name, values in axes.items()})
    choice = make_spec(document, overrides, where="latency settings").latency
    require_cpus(max(choice.threads), what="latency.threads")
    for model, size, classes, materialized in dict.fromkeys(map(_model_of, architectures)):
        if is_own(model) and model not in models:
            raise InputError(f"model {model!r} is your own code: to allow its import, add --model {model}")
        whole = (model, size, classes, materialized)
        of_model = {one.key: one for one in architectures if _model_of(one) == whole}
        for architecture in of_model.values():
            check_unchanged(architecture)
        dense = make_architecture(model, image_size=size, classes=classes, materialized=materialized)
        yield Subject(choice=choice, dense=dense, architectures=of_model)


def _model_of(architecture: Architecture) -> tuple[str, int, int, bool]:
    """Model, image size and number of classes of an architecture, and whether computed weights are plain in it."""
    return architecture.model, architecture.image_size, architecture.classes, architecture.materialized


def time_subjects(
    subjects: Iterable[Subject],
    held: Sequence[Record],
    *,
    environment: Environment,
    progress: Progress,
    again: Container[str] = (),
) -> Iterator[Record]:
    """Time what is not yet timed on this machine, or was unfit; the first record is the machine's environment.

    `again` are keys of architectures to time again.

    Raises: InputError when a model cannot compute in a memory format to time it in.
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
            model_bytes=_checked_bytes(subject),
            again=again,
        )
        yield from history.new(
            run_timings(subject.choice, timings, dense=subject.dense, environment=environment.key, progress=progress)
        )


def _checked_bytes(subject: Subject) -> int:
    """The bytes of a dense model.

    Raises: InputError when it is to be timed in channels_last and cannot compute in it.
    """
    model, size = build_dense(subject.dense), subject.dense.image_size
    if "channels_last" in subject.choice.memory_formats and (reason := refuses_channels_last(model, (3, size, size))):
        raise InputError(f"latency.memory_formats: {subject.dense.model} cannot be timed in channels_last: {reason}")
    return bytes_of(model)


def _axes(sessions: Iterable[Session]) -> dict[str, dict[Any, None]]:
    """Every value of each axis of some sessions, under the keys of `[latency]`."""
    axes: dict[str, dict[Any, None]] = {}
    for session in sessions:
        for name, axis in AXES.items():
            axes.setdefault(axis.key, {})[axis.word(getattr(session.setting, name))] = None
    return axes
