"""Which sessions are one occasion, and what a subject is told by its occasions and its place."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
import samples

from lrbench.results.observed import Observed, observe_models, place_of
from lrbench.results.occasions import estimate_timing, estimates, is_vetoed, occasions_of
from lrbench.results.sessions import Session
from lrbench.statistics.components import PRIORS

PRIOR = PRIORS["one thread"]


def observed(*, started: str, series: str = "s", session: int = 0, log: float = -0.5, **changes: object) -> Observed:
    made = Observed(
        subject="a",
        place="here",
        prior=PRIOR,
        session=session,
        started=started and f"2026-01-01T{started}:00+00:00",
        series=series,
        attempt=1,
        control=False,
        control_within=0.05,
        logs=np.array([log, log + 0.001]),
        dense_s=np.ones(2),
    )
    return replace(made, **changes)


def split(*sessions: tuple[str, str]) -> list[list[int]]:
    """The sessions of each occasion, by the place of (series, start) in the arguments."""
    made = [observed(series=series, started=at, session=number) for number, (series, at) in enumerate(sessions)]
    return [[item.session for item in occasion] for occasion in occasions_of(made)]


@pytest.mark.parametrize(
    ("sessions", "occasions"),
    [
        ([("s", "10:00"), ("s", "10:10"), ("s", "10:40")], [[0, 1, 2]]),
        ([("s", "10:00"), ("s", "10:31"), ("s", "10:40")], [[0], [1, 2]]),
        ([("s", "10:00"), ("s", "10:05"), ("t", "10:06"), ("t", "10:08")], [[0, 1], [2, 3]]),
        ([("t", "10:06"), ("s", "10:00"), ("t", "10:08"), ("s", "10:05")], [[1, 3], [0, 2]]),
        ([("s", "10:00"), ("t", "10:01"), ("s", "10:02"), ("t", "10:03")], [[0, 1, 2, 3]]),
        ([("s", "10:00"), ("t", "10:01"), ("s", "10:40"), ("t", "10:41")], [[0, 1], [2, 3]]),
        ([("s", ""), ("s", ""), ("t", "")], [[0, 1], [2]]),
        ([("s", "noon"), ("s", "noon"), ("t", "dusk")], [[0, 1], [2]]),
    ],
    ids=[
        "one",
        "a pause",
        "two series",
        "in any order",
        "in turns",
        "in turns with a pause",
        "no times",
        "words for times",
    ],
)
def test_a_series_is_an_occasion(sessions: list[tuple[str, str]], occasions: list[list[int]]) -> None:
    assert split(*sessions) == occasions


def test_one_process_tells_no_interval_and_two_do() -> None:
    alone = estimates({"a": [observed(started="10:00")]})["a"]
    assert (alone.processes, alone.occasions, alone.freedom) == (1, 1, 0)
    assert all(isnan(end) for end in alone.ratio().ends)
    both = estimates({"a": [observed(started="10:00"), observed(started="10:01", session=1)]})["a"]
    assert (both.processes, both.occasions) == (2, 1)
    assert 0 < both.ratio().half_width < 1


def test_a_second_occasion_narrows_and_what_others_disagree_by_widens() -> None:
    first = [observed(started=f"10:0{p}", session=p) for p in range(3)]
    later = [observed(started=f"12:0{p}", series="t", session=3 + p) for p in range(3)]
    one, two = (estimates({"a": group})["a"] for group in (first, [*first, *later]))
    assert (one.occasions, two.occasions, two.processes) == (1, 2, 6)
    assert two.ratio().half_width < 0.8 * one.ratio().half_width
    moved = [replace(item, subject="b", logs=item.logs - 0.2 * (item.series == "t")) for item in (*first, *later)]
    beside = estimates({"a": [*first, *later], "b": moved})["a"]
    assert beside.log == two.log
    assert beside.ratio().half_width > 2 * two.ratio().half_width, "its place is that noisy"
    elsewhere = [replace(item, place="there") for item in moved]
    assert estimates({"a": [*first, *later], "b": elsewhere})["a"] == two


def test_one_timing_by_itself_is_told_by_the_prior_and_its_processes() -> None:
    calm = estimate_timing([np.array([-0.5, -0.51])] * 3, PRIOR)
    apart = estimate_timing([np.array([-0.5, -0.51]) + shift for shift in (-0.1, 0, 0.1)], PRIOR)
    assert calm.log == pytest.approx(apart.log)
    assert apart.error > 1.5 * calm.error
    assert apart.processes == 3


def beside(log: float, number: int, **changes: object) -> Session:
    made = samples.session({"a0": 0.7, "small": float(np.exp(log))}, series=f"s{number}")
    return replace(made, **changes)


def test_a_session_is_vetoed_when_its_control_is_far_from_all_earlier_ones() -> None:
    earlier = [beside(-1.0 + 0.01 * (number % 3), number) for number in range(5)]
    assert is_vetoed(beside(-2.0, 9), earlier, reference="small")
    assert is_vetoed(beside(-0.2, 9), earlier, reference="small")
    assert not is_vetoed(beside(-1.03, 9), earlier, reference="small")
    assert not is_vetoed(beside(-2.0, 9), earlier[1:], reference="small"), "four earlier values tell nothing"
    assert not is_vetoed(beside(-2.0, 9), earlier, reference="another")
    here = [replace(session, environment="there") for session in earlier]
    assert not is_vetoed(beside(-2.0, 9), here, reference="small"), "another machine tells nothing"


def test_the_place_of_an_observation_is_that_of_its_session() -> None:
    session = beside(-1.0, 0)
    found = list(observe_models([session]))
    assert {item.place for item in found} == {place_of(session)}
    assert [item.prior for item in found] == [PRIORS["control"], PRIOR, PRIOR]
    assert {item.started for item in found} == {session.started}
