"""Occasions: which sessions of a subject were taken at one time, and what all timings of a setting say together."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TypeVar

from lrbench.results.observed import Observed, observe_models, place_of
from lrbench.results.sessions import Session
from lrbench.statistics.components import Components, Occasions, estimate_over, is_outlier, learned
from lrbench.statistics.paired import Estimate, Logs

T = TypeVar("T", bound=Hashable)

Place = tuple[Hashable, Components]
"""What timings share that are compared, and the prior of their components."""

PAUSE = timedelta(minutes=30)
"""The most that lies between the starts of two sessions of one occasion."""


def occasions_of(observed: Iterable[Observed[T]]) -> tuple[tuple[Observed[T], ...], ...]:
    """The observations of one subject by occasion.

    A series is an occasion. Series that overlap in time are one, since their sessions took turns; after a pause begins
    another. Where no times are told (layers) a series is one occasion.
    """
    series: dict[str, list[Observed[T]]] = {}
    for item in observed:
        series.setdefault(item.series, []).append(item)
    joined: list[list[Observed[T]]] = []
    ordered = (sorted(group, key=_started) for group in series.values())
    for group in sorted(ordered, key=lambda group: _started(group[0])):
        if joined and _started(group[0]) < _started(joined[-1][-1]):
            joined[-1] = sorted(joined[-1] + group, key=_started)
        else:
            joined.append(group)
    return tuple(part for group in joined for part in _between_pauses(group))


def _started(item: Observed[T]) -> datetime:
    """When a session began; the same for all that do not tell."""
    try:
        return datetime.fromisoformat(item.started).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _between_pauses(group: Sequence[Observed[T]]) -> Iterator[tuple[Observed[T], ...]]:
    pauses = [i for i in range(1, len(group)) if _started(group[i]) - _started(group[i - 1]) > PAUSE]
    for start, end in zip([0, *pauses], [*pauses, len(group)], strict=True):
        yield tuple(group[start:end])


def by_place(groups: Mapping[T, Sequence[Observed[T]]]) -> dict[Place, dict[T, Occasions]]:
    """The occasions of each subject, by what has the same components of variance: a place, and there the controls."""
    places: dict[Place, dict[T, Occasions]] = {}
    for subject, group in groups.items():
        timed: Occasions = [{item.session: item.logs for item in occasion} for occasion in occasions_of(group)]
        places.setdefault((group[0].place, group[0].prior), {})[subject] = timed
    return places


def told(estimate: Estimate) -> Estimate:
    """An estimate as it may be stated: one process alone tells no interval, and has no degrees of freedom."""
    return estimate if estimate.processes > 1 else replace(estimate, error=inf, freedom=0)


def estimate_timing(processes: Iterable[Logs], prior: Components) -> Estimate:
    """What one timing says by itself, of some model.

    Args:
        processes: the log ratios of the layouts of each.
        prior: of its components.
    """
    occasions: Occasions = [dict(enumerate(processes))]
    return estimate_over(occasions, learned(prior, [occasions]))


def is_vetoed(session: Session, earlier: Iterable[Session], *, reference: str) -> bool:
    """Whether the B/B control of a session lies where hardly any session of its place would have it.

    Args:
        session: a new one.
        earlier: others; those of another place, or without the control, are left out.
        reference: key of the control, the strongly compressed architecture that all sessions share.
    """
    observed = [item for item in observe_models([session, *earlier]) if item.subject == (place_of(session), reference)]
    means = {item.session: float(item.logs.mean()) for item in observed}
    value = means.pop(0, None)
    return value is not None and is_outlier(value, list(means.values()), prior=observed[0].prior)


def estimates(groups: Mapping[T, Sequence[Observed[T]]]) -> dict[T, Estimate]:
    """What may be told of each subject, by the components of variance of all subjects timed in its place."""
    found = dict[T, Estimate]()
    for (_, prior), subjects in by_place(groups).items():
        components = learned(prior, tuple(subjects.values()))
        found |= {subject: told(estimate_over(occasions, components)) for subject, occasions in subjects.items()}
    return {subject: found[subject] for subject in groups}
