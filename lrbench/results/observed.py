"""What a session observed of each subject beside the dense one: one plain form of its record and of its table rows."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrbench.config.axes import AXES, Setting
from lrbench.results.sessions import CONTROL, DENSE, LayerSession, Session, Timed, layout_of
from lrbench.statistics.components import PRIORS, Components, prior_of
from lrbench.statistics.paired import Logs, layout_medians

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed(Generic[T]):
    """What one session observed of one subject: an architecture, or a layer in a scheme and rank.

    Attributes:
        subject: what was timed, and where.
        place: what all subjects share that are compared with it.
        prior: components of variance, before anything is known of the place.
        session: number of the session.
        started: when the session began (UTC, ISO 8601); "" for layers, whose tables do not tell.
        series: the timing that the session belongs to.
        attempt: number of the attempt at that timing, from 1.
        control: whether the subject is the copy of the dense model or layer.
        control_within: half width of the control's interval beyond which the timing is unfit.
        logs: log(subject / dense) of each layout.
        dense_s: seconds of the dense model in each round, or of the dense layer in each layout.
    """

    subject: T
    place: Hashable
    prior: Components
    session: int
    started: str
    series: str
    attempt: int
    control: bool
    control_within: float
    logs: Logs
    dense_s: Floats


class Numbered(Protocol):
    """An item of a numbered attempt at a timing."""

    @property
    def series(self) -> str:
        """The timing that it belongs to."""

    @property
    def attempt(self) -> int:
        """From 1."""


def series_of(session: Numbered, number: int) -> str:
    """The timing that a session belongs to; a session without a series, as in old logs, is a timing of its own."""
    return session.series or f"session {number}"


Place = tuple[str, str, int, Setting]
"""What two timings must share to be compared: environment, model, image size and setting."""


def place_of(session: Session | LayerSession) -> Place:
    """Where a session was timed, and which model."""
    subject = session.architectures[DENSE] if isinstance(session, Session) else session
    return session.environment, subject.model, subject.image_size, session.setting


ModelSubject = tuple[Place, str]
"""An architecture by its key."""

LayerSubject = tuple[Place, str, str, int | None]
"""A layer's shape in a scheme and rank."""


def observe_models(sessions: Iterable[Session]) -> Iterator[Observed[ModelSubject]]:
    """The observations of each architecture in some records."""
    for number, session in enumerate(sessions):
        yield from _observe(
            session, number, [(place_of(session), architecture.key) for architecture in session.architectures]
        )


def observe_layers(sessions: Iterable[LayerSession]) -> Iterator[Observed[LayerSubject]]:
    """The observations of each layer in some records."""
    for number, session in enumerate(sessions):
        place, shape = place_of(session), session.shape
        yield from _observe(
            session,
            number,
            [(place, shape, replacement.scheme, replacement.rank) for replacement in session.replacements],
        )


def _observe(session: Session | LayerSession, number: int, subjects: Sequence[T]) -> Iterator[Observed[T]]:
    dense_s = _dense_s(session)
    for index in range(CONTROL, len(subjects)):
        yield Observed(
            subject=subjects[index],
            place=place_of(session),
            prior=_prior(session.setting.device, session.setting.threads, control=index == CONTROL),
            session=number,
            started=session.started if isinstance(session, Session) else "",
            series=series_of(session, number),
            attempt=session.attempt,
            control=index == CONTROL,
            control_within=session.control_within,
            logs=layout_logs(session, index),
            dense_s=dense_s,
        )


def _prior(device: str, threads: int, *, control: bool) -> Components:
    return PRIORS["control"] if control else prior_of(device, threads)


def layout_logs(timed: Timed, index: int) -> Logs:
    """log(subject / dense) of each layout: for models the median of its rounds, for layers the log of the median ratio.

    The layer table holds the median ratio of a layout; the two differ where a layout has an even number of rounds.
    """
    ratios = _seconds(timed, index) / _seconds(timed, DENSE)
    if isinstance(timed, LayerSession):
        medians: Logs = np.log(layout_medians(ratios, _layouts(timed)))
        return medians
    return layout_medians(np.log(ratios), _layouts(timed))


def _dense_s(timed: Timed) -> Floats:
    seconds = _seconds(timed, DENSE)
    return layout_medians(seconds, _layouts(timed)) if isinstance(timed, LayerSession) else seconds


def _seconds(timed: Timed, index: int) -> Floats:
    return np.array([timed_round.wall_s[index] for timed_round in timed.rounds])


def _layouts(timed: Timed) -> list[int]:
    return [layout_of(number, timed_round) for number, timed_round in enumerate(timed.rounds)]


PLACE = ["environment", "model", "image_size", *AXES]
"""The columns of what two timings must share to be compared."""


def observe_rows(rows: pd.DataFrame, subjects: "pd.Series[int]") -> tuple[list[Observed[int]], Ints]:
    """The observations in rows of a timing table with the column `log`, log(subject / dense) of a round or layout.

    Args:
        rows: of whole sessions.
        subjects: number of the subject of each row.

    Returns: the observations, and for each row the index of its observation.
    """
    pairs = rows.groupby([subjects.rename("subject"), rows["session"]], sort=False).ngroup().rename("pair")
    pair_numbers = pairs.to_numpy()
    medians = rows["log"].groupby([pairs, rows["layout"]], sort=False).median()
    first = rows[~pairs.duplicated()]
    places = first.groupby(PLACE, sort=False, dropna=False).ngroup()
    observed = [
        Observed(
            subject=subject,
            place=place,
            prior=_prior(str(row["device"]), int(row["threads"]), control=bool(row["control"])),
            session=int(row["session"]),
            started=str(row.get("started", "")),
            series=str(row["series"]),
            attempt=int(row["attempt"]),
            control=bool(row["control"]),
            control_within=float(row["control_within"]),
            logs=logs,
            dense_s=dense_s,
        )
        for subject, place, row, logs, dense_s in zip(
            subjects[first.index].to_list(),
            places.to_list(),
            first.to_dict("records"),
            _parts(medians.to_numpy(float), medians.index.get_level_values("pair").to_numpy()),
            _parts(rows["dense_latency_s"].to_numpy(float), pair_numbers),
            strict=True,
        )
    ]
    return observed, pair_numbers


def _parts(values: Floats, numbers: Ints) -> list[Floats]:
    """The values of each number 0, 1, ..., in the order they came."""
    order = np.argsort(numbers, kind="stable")
    starts = np.unique(numbers[order], return_index=True)[1]
    return np.split(values[order], starts)[1:]
