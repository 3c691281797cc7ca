"""Timing what a results folder holds, without its spec: the architectures are in its records."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.errors import InputError
from lrbench.plan.spec import SweepSpec, make_spec
from lrbench.plan.trials import make_architecture
from lrbench.results.records import Measurement, Planned, Record
from lrbench.results.sessions import Architecture, Environment, Session
from lrbench.results.timings import fit_sessions
from lrbench.timing.models import build_untrained, bytes_of, missing_timings, run_timings
from lrbench.timing.processes import Notify


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One model of a results folder, and its architectures by key."""

    spec: SweepSpec
    classes: int
    architectures: dict[str, Architecture]


def subjects(records: Sequence[Record], *, overrides: Sequence[str], models: Sequence[str]) -> Iterator[Subject]:
    """The models that a folder holds, each with a spec made from its records.

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
    for model, size, classes in dict.fromkeys((one.model, one.image_size, one.classes) for one in found):
        if ":" in model and model not in models:
            raise InputError(f"model {model!r} is code of your own; --model {model} allows to import and run it")
        document: dict[str, Any] = {
            "model": {"name": model},
            "data": {"image_size": size},
            "latency": {name: list(values) for name, values in axes.items()},
        }
        spec = make_spec(document, overrides, where="latency settings")
        mine = {one.key: one for one in found if (one.model, one.image_size, one.classes) == (model, size, classes)}
        for key, one in mine.items():
            if make_architecture(spec, one.layers, classes=classes).key != key:
                raise InputError(f"model {model!r} is no longer the one that was measured: its file has changed")
        yield Subject(spec=spec, classes=classes, architectures=mine)


def time_subjects(
    found: Iterable[Subject],
    *,
    held: Sequence[Record],
    environment: Environment,
    notify: Notify,
    again: Container[str] = (),
) -> Iterator[Record]:
    """Time what is not yet timed on this machine, or was unfit, after the record of the machine itself.

    `again` are keys of architectures to time once more.
    """
    if environment not in held:
        yield environment
    sessions = fit_sessions(record for record in held if isinstance(record, Session))
    for subject in found:
        model = build_untrained(subject.spec, classes=subject.classes)
        timings = missing_timings(
            subject.spec.latency,
            subject.architectures,
            sessions,
            environment=environment.key,
            model_bytes=bytes_of(model),
            again=again,
        )
        yield from run_timings(
            subject.spec, timings, classes=subject.classes, environment=environment.key, notify=notify
        )


def _axes(sessions: Iterable[Session]) -> dict[str, dict[Any, None]]:
    """Every value of each axis of some sessions, under the keys of `[latency]`."""
    axes: dict[str, dict[Any, None]] = {}
    for session in sessions:
        setting = session.setting
        values = {
            "devices": setting.device,
            "batch_sizes": setting.batch_size,
            "threads": setting.threads,
            "memory_formats": setting.memory_format,
            "dtypes": setting.dtype,
            "runtimes": setting.runtime,
            "batch_norms": "folded" if setting.folded else "kept",
        }
        for name, value in values.items():
            axes.setdefault(name, {})[value] = None
    return axes
