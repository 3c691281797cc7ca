"""The rule of which timings count: laws over sessions of random timings, from records and from their tables."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.config.axes import AXES
from lrbench.results.observed import observe_layers, observe_models
from lrbench.results.records import Record
from lrbench.results.sessions import LayerSession, Session
from lrbench.results.tables import build_tables
from lrbench.results.timings import (
    Pooled,
    added_s,
    complete_sessions,
    counted_layers,
    counted_models,
    dense_seconds,
    fit_sessions,
    fitness,
    last_attempt,
    layer_curves,
    pool,
    scale_of,
)

PLACE = ["environment", "model", "image_size", *AXES]
RANKS = (4, 8, 16)

laws = settings(deadline=None, max_examples=40, derandomize=True, database=None)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A timing to make up: the ranks that it times, its processes, and the dense copy's share of the dense one's time.

    It is fit when that share is 1. Without a name a timing of one session has no series, as in old logs.
    """

    things: tuple[int, ...]
    processes: int
    attempt: int
    control: float
    rounds: int
    seed: int
    environment: str
    named: bool


MADE = st.builds(
    Made,
    things=st.lists(st.sampled_from(RANKS), min_size=1, unique=True).map(tuple),
    processes=st.integers(1, 3),
    attempt=st.integers(1, 2),
    control=st.sampled_from([1.0, 1.2]),
    rounds=st.integers(6, 13),
    seed=st.integers(0, 99),
    environment=st.sampled_from(["e0", "e1"]),
    named=st.booleans(),
)
TIMINGS = st.lists(MADE, min_size=1, max_size=5)


def sessions_of(made: Sequence[Made], *, layers: bool = False) -> list[Any]:
    """Sessions of every attempt at each timing; those before the last are unfit, and say something else."""
    return [
        _session(timing, number, process, attempt, layers=layers)
        for number, timing in enumerate(made)
        for attempt in range(1, timing.attempt + 1)
        for process in range(timing.processes)
    ]


def _session(timing: Made, number: int, process: int, attempt: int, *, layers: bool) -> Session | LayerSession:
    noise = np.random.default_rng([timing.seed, process, attempt])
    control = timing.control if attempt == timing.attempt else 1.5
    ratios = np.array([0.4 + rank / 40 for rank in timing.things])
    dense = 0.1 * noise.normal(1, 0.02, timing.rounds)
    copy = dense * control * np.resize([1.0001, 0.9999], timing.rounds)
    others = dense[:, None] * ratios * noise.normal(1, 0.002, (timing.rounds, len(ratios)))
    wall = [tuple(one) for one in np.column_stack([dense, copy, others]).tolist()]
    shared = {
        "environment": timing.environment,
        "rounds": samples.rounds_of(wall),
        "series": f"s{number}" if timing.named or timing.attempt * timing.processes > 1 else "",
        "process": process,
        "attempt": attempt,
    }
    if layers:
        return replace(samples.layer_session(dict.fromkeys((("channel", rank) for rank in timing.things), 1)), **shared)
    return replace(samples.session({f"a{rank}": 1 for rank in timing.things}), **shared)


def said(pooled: dict[Any, Pooled]) -> dict[Any, Any]:
    """What is said of each thing, but for rounding."""
    return {
        thing: (
            known.fit,
            len(known.logs),
            pytest.approx(known.dense_s, rel=1e-12),
            pytest.approx(known.estimate.log, rel=1e-9, abs=1e-12),
            pytest.approx(known.estimate.error, rel=1e-6, abs=1e-12, nan_ok=True),
            pytest.approx(known.estimate.freedom, rel=1e-6),
            (known.estimate.processes, known.estimate.occasions),
        )
        for thing, known in pooled.items()
    }


def table(name: str, records: Sequence[Record]) -> pd.DataFrame:
    return build_tables(records)[name].infer_objects()


def _flat(thing: tuple[Any, ...]) -> tuple[Hashable, ...]:
    (*place, setting), *rest = thing
    return (*place, *vars(setting).values(), *rest)


def _exactly(pooled: dict[Any, Pooled]) -> dict[Any, Any]:
    """What is said of all but the A/A control, to the last bit."""
    return {
        thing: (known.fit, known.dense_s, [logs.tolist() for logs in known.logs])
        for thing, known in pooled.items()
        if "dense" not in thing
    }


@laws
@given(TIMINGS)
def test_records_of_models_and_their_table_say_the_same(made: list[Made]) -> None:
    sessions = sessions_of(made)
    counted = list(counted_models(table("latency", sessions), [*PLACE, "architecture"]))
    from_rows = {tuple(one.known.values()): one.pooled for one in counted}
    from_records = {_flat(thing): known for thing, known in pool(observe_models(sessions)).items()}
    assert list(from_rows) == list(from_records)
    assert said(from_rows) == said(from_records)
    assert all(one.rows["session"].nunique() == len(one.pooled.logs) for one in counted)


@laws
@given(TIMINGS)
def test_records_of_layers_and_their_table_say_the_same(made: list[Made]) -> None:
    sessions = sessions_of(made, layers=True)
    counted = counted_layers(table("layer_latency", sessions), [*PLACE, "shape", "scheme", "rank"])
    from_rows = {tuple(None if pd.isna(v) else v for v in one.known.values()): one.pooled for one in counted}
    from_records = {_flat(thing): known for thing, known in pool(observe_layers(sessions)).items()}
    assert list(from_rows) == list(from_records)
    assert said(from_rows) == said(from_records)


@laws
@given(TIMINGS)
def test_fitness_is_that_of_the_control_of_the_last_attempt(made: list[Made]) -> None:
    sessions = sessions_of(made)
    fit = fitness(observe_models(sessions))
    assert list(fit.values()) == [timing.control == 1.0 for timing in made]
    assert {one.series for one in fit_sessions(sessions) if one.series} == {
        series for series, holds in fit.items() if holds and not series.startswith("session")
    }


@laws
@given(TIMINGS)
def test_attempts_before_the_last_change_nothing(made: list[Made]) -> None:
    every = sessions_of([replace(timing, named=True) for timing in made])
    last = [one for one in every if one.attempt == made[int(one.series[1:])].attempt]
    assert _exactly(pool(observe_models(every))) == _exactly(pool(observe_models(last)))
    assert dense_seconds(every) == dense_seconds(last)
    assert fit_sessions(every) == fit_sessions(last)
    assert last_attempt(last[:1]) == last[:1]


FIT = st.lists(MADE, min_size=1, max_size=3).map(
    lambda made: [replace(one, control=1.0, rounds=13, things=RANKS, environment="e0", named=True) for one in made]
)


@laws
@given(FIT, st.permutations([0.8, 1.2]))
def test_an_unfit_timing_beside_a_fit_one_changes_nothing(made: list[Made], controls: list[float]) -> None:
    unfit = [replace(made[0], control=control, seed=100) for control in controls]
    for layers, observe in ((False, observe_models), (True, observe_layers)):
        fit = sessions_of(made, layers=layers)
        both = sessions_of([*made, *unfit], layers=layers)
        assert _exactly(pool(observe(both))) == _exactly(pool(observe(fit)))
        assert len(_exactly(pool(observe(fit)))) == len(RANKS)
    assert dense_seconds(sessions_of(made)) == dense_seconds(sessions_of([*made, *unfit]))
    curves = layer_curves(sessions_of(made, layers=True))
    assert curves == layer_curves(sessions_of([*made, *unfit], layers=True))
    assert list(curves) == [("conv1", "channel")]
    assert list(curves["conv1", "channel"]) == list(RANKS)


@laws
@given(TIMINGS, st.randoms(use_true_random=False))
def test_the_order_of_records_says_nothing(made: list[Made], random: Any) -> None:
    named = [replace(timing, named=True) for timing in made]
    for layers, observe in ((False, observe_models), (True, observe_layers)):
        sessions = sessions_of(named, layers=layers)
        mixed = random.sample(sessions, len(sessions))
        assert said(pool(observe(mixed))) == said(pool(observe(sessions)))
    assert dense_seconds(sessions_of(named)) == dense_seconds(random.sample(sessions_of(named), len(sessions)))


def test_where_no_timing_is_fit_all_count() -> None:
    made = Made(things=(4,), processes=1, attempt=1, control=1.2, rounds=13, seed=0, environment="e0", named=True)
    found = pool(observe_models(sessions_of([made, replace(made, seed=1)])))
    assert [(known.fit, len(known.logs)) for known in found.values()] == [(False, 2), (False, 2)]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_timing_is_complete_when_its_last_attempt_has_all_its_processes(processes: int) -> None:
    first = [samples.session({"a0": 0.5}, series="s", process=process) for process in range(2)]
    again = replace(first[0], attempt=2)
    assert complete_sessions(first, processes=processes) == (first if processes <= 2 else [])
    assert complete_sessions([*first, again], processes=processes) == ([again] if processes == 1 else [])


def test_sessions_without_a_series_are_timings_of_their_own() -> None:
    old = [samples.session({"a0": 0.5}), samples.session({"a0": 0.5}, process=1)]
    assert complete_sessions(old, processes=2) == []
    assert list(fitness(observe_models(old))) == ["session 0", "session 1"]


def test_what_no_control_stands_beside_is_not_fit() -> None:
    alone = next(item for item in observe_models([samples.session({"a0": 0.5})]) if not item.control)
    assert fitness([alone]) == {}
    assert not pool([alone])[alone.subject].fit
    assert dense_seconds([]) is None


def test_layers_are_scaled_by_what_models_save() -> None:
    predicted = np.array([0.9, 0.8])
    assert scale_of(predicted, 1 - 1.5 * (1 - predicted)) == pytest.approx(1.5)
    assert scale_of(predicted, 2 - predicted) is None, "models that lose what layers save make no sense"
    assert added_s(0.75, [0.1, 0.2, 0.6]) == pytest.approx(-0.05)
