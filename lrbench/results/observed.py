"""What a session observed of each thing beside the dense one: one plain form of its record and of its table rows."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrbench.config.axes import Setting
from lrbench.results.sessions import CONTROL, DENSE, LayerSession, Session, Timed, layout_of
from lrbench.statistics.paired import Logs, layout_medians

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed(Generic[T]):
    """What one session observed of one thing: an architecture, or a layer in a scheme and rank.

    Attributes:
        thing: what was timed, and where.
        series: the session's timing.
        attempt: at that timing, from 1.
        control: whether the thing is the dense one's copy.
        control_within: half width of the control's interval beyond which the timing is unfit.
        logs: log(thing / dense) of each layout.
        dense_s: seconds of the dense one: of a model in each round, of a layer in each layout.
    """

    thing: T
    series: str
    attempt: int
    control: bool
    control_within: float
    logs: Logs
    dense_s: Floats


class Numbered(Protocol):
    """What belongs to an attempt at a timing."""

    @property
    def series(self) -> str:
        """The timing."""

    @property
    def attempt(self) -> int:
        """From 1."""


def series_of(session: Numbered, number: int) -> str:
    """Of which timing a session is; one without a series, as old logs have them, is a timing of its own."""
    return session.series or f"session {number}"


Place = tuple[str, str, int, Setting]
"""What two timings must share to be compared: environment, model, image size and setting."""


def place_of(session: Session | LayerSession) -> Place:
    """Where a session was timed, and what model."""
    subject = session.architectures[DENSE] if isinstance(session, Session) else session
    return session.environment, subject.model, subject.image_size, session.setting


ModelThing = tuple[Place, str]
"""An architecture by its key."""

LayerThing = tuple[Place, str, str, int | None]
"""A layer's shape in a scheme and rank."""


def observe_models(sessions: Iterable[Session]) -> Iterator[Observed[ModelThing]]:
    """What records say of each architecture."""
    for number, session in enumerate(sessions):
        yield from _observe(session, number, [(place_of(session), one.key) for one in session.architectures])


def observe_layers(sessions: Iterable[LayerSession]) -> Iterator[Observed[LayerThing]]:
    """What records say of each layer."""
    for number, session in enumerate(sessions):
        place, shape = place_of(session), session.shape
        yield from _observe(session, number, [(place, shape, one.scheme, one.rank) for one in session.replacements])


def _observe(session: Session | LayerSession, number: int, things: Sequence[T]) -> Iterator[Observed[T]]:
    dense_s = _dense_s(session)
    for index in range(CONTROL, len(things)):
        yield Observed(
            thing=things[index],
            series=series_of(session, number),
            attempt=session.attempt,
            control=index == CONTROL,
            control_within=session.control_within,
            logs=layout_logs(session, index),
            dense_s=dense_s,
        )


def layout_logs(timed: Timed, index: int) -> Logs:
    """log(thing / dense) of each layout: of models the median of its rounds, of layers the log of their median ratio.

    The median ratio is what the layer table holds of a layout; the two differ where a layout has an even number of
    rounds.
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
    return np.array([one.wall_s[index] for one in timed.rounds])


def _layouts(timed: Timed) -> list[int]:
    return [layout_of(number, one) for number, one in enumerate(timed.rounds)]


def observe_rows(rows: pd.DataFrame, things: "pd.Series[int]") -> tuple[list[Observed[int]], Ints]:
    """From rows of a table of time with `log`, log(thing / dense) of a round or layout.

    Args:
        rows: of whole sessions.
        things: of each row, the number of its thing.

    Returns: what was observed, and of each row the place of its own in that list.
    """
    pairs = rows.groupby([things.rename("thing"), rows["session"]], sort=False).ngroup().rename("pair")
    numbers = pairs.to_numpy()
    medians = rows["log"].groupby([pairs, rows["layout"]], sort=False).median()
    first = ~pairs.duplicated()
    facts = rows.loc[first, ["series", "attempt", "control", "control_within"]].itertuples(index=False, name=None)
    observed = [
        Observed(
            thing=thing,
            series=str(series),
            attempt=int(attempt),
            control=bool(control),
            control_within=float(within),
            logs=logs,
            dense_s=dense_s,
        )
        for thing, (series, attempt, control, within), logs, dense_s in zip(
            things[first].to_list(),
            facts,
            _parts(medians.to_numpy(float), medians.index.get_level_values("pair").to_numpy()),
            _parts(rows["dense_latency_s"].to_numpy(float), numbers),
            strict=True,
        )
    ]
    return observed, numbers


def _parts(values: Floats, numbers: Ints) -> list[Floats]:
    """The values of each number 0, 1, ..., in the order they came."""
    order = np.argsort(numbers, kind="stable")
    starts = np.unique(numbers[order], return_index=True)[1]
    return np.split(values[order], starts)[1:]
