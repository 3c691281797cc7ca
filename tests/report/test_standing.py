"""What is tied with what, and what a trial loses to its dense control."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lrbench.report.frames.latency import latency_ratios
from lrbench.report.frames.standing import DOMINATED, FRONT, RIVALS, TIED, standings, with_control, with_standing
from lrbench.report.frames.trials import done_trials, pareto
from lrbench.results.records import Accuracy, Measurement
from lrbench.results.tables import build_tables

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20)), max_size=25)


def frame(points: list[tuple[int, int]], half: float) -> pd.DataFrame:
    costs, values = ([point[i] for point in points] for i in (0, 1))
    made = pd.DataFrame({"cost": costs, "accuracy_finetuned": values}, dtype=float)
    return made.assign(
        accuracy_low=made["accuracy_finetuned"] - half,
        accuracy_high=made["accuracy_finetuned"] + half,
        **dict.fromkeys(RIVALS, 0),
    )


@given(points=POINTS, half=st.integers(0, 6))
def test_standing_is_what_its_definition_says_of_every_pair(points: list[tuple[int, int]], half: int) -> None:
    stood = with_standing(frame(points, half), cost="cost")
    front = pareto(stood, cost="cost", value="accuracy_finetuned").index
    assert list(stood.index[stood["on_front"].astype(bool)]) == sorted(front)
    for i, (cost, value) in enumerate(points):
        rivals = [points[j] for j in front]
        better = [v for c, v in rivals if c < cost or (c == cost and v > value)]
        tied = any(abs(value - other) <= 2 * half for other in better)
        assert stood["standing"][i] == (TIED if tied else FRONT if i in front else DOMINATED)


@given(points=POINTS.filter(len))
def test_with_endless_intervals_all_is_tied_but_the_best_of_the_cheapest(points: list[tuple[int, int]]) -> None:
    stood = with_standing(frame(points, np.inf), cost="cost")
    cheapest = min(cost for cost, _ in points)
    best = max(value for cost, value in points if cost == cheapest)
    assert (stood["standing"] == FRONT).tolist() == [point == (cheapest, best) for point in points]


def test_only_rivals_are_compared() -> None:
    both = frame([(1, 9), (2, 5)], 0)
    assert with_standing(both, cost="cost")["standing"].tolist() == [FRONT, DOMINATED]
    apart = with_standing(both.assign(data=["a", "b"]), cost="cost")
    assert apart["standing"].tolist() == [FRONT, FRONT]


def answered(key: str, correct: int, samples_: int, **changes: object) -> Measurement:
    made = samples.measurement(samples.trial(key, **changes), correct=correct)
    seen = Accuracy(correct=correct, samples=samples_, loss=0.5)
    return replace(made, dense=seen, truncated=seen, finetuned=seen)


DENSE = {"scheme": "dense", "layer_set": "none", "rank_rule": "none"}


def controlled(*made: Measurement) -> pd.DataFrame:
    return with_control(done_trials(build_tables(made)["trials"].infer_objects())).set_index("trial")


def test_the_interval_of_a_loss_is_newcombes_own_example() -> None:
    found = controlled(answered("d", 56, 70, **DENSE), answered("t", 48, 80))
    assert found.loc["t", ["loss", "loss_low", "loss_high"]].tolist() == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5)
    assert found.loc["d", "loss"] == 0


def test_a_trial_is_held_against_the_control_of_its_own_seed() -> None:
    controls = [answered(f"d{seed}", 80 + seed, 100, seed=seed, **DENSE) for seed in (0, 1)]
    found = controlled(*controls, *(answered(f"t{seed}", 80, 100, seed=seed) for seed in (0, 1, 2)))
    assert found.loc[["t0", "t1", "t2"], "loss"].tolist() == pytest.approx([0, 0.01, 0])
    assert controlled(answered("t", 80, 100))["loss"].isna().all(), "no control, no loss"


def test_every_trial_stands_in_params_macs_and_each_setting() -> None:
    log = [*samples.sweep(), samples.session({"a0": 0.5}, environment="e1")]
    tables = {name: table.infer_objects() for name, table in build_tables(log).items()}
    found = standings(done_trials(tables["trials"]), latency_ratios(tables["latency"]))
    assert found.groupby("cost").size().to_dict() == {"macs": 9, "params": 9, "ratio": 9 + 2}
    assert set(found["standing"]) <= {FRONT, TIED, DOMINATED}
    assert standings(done_trials(tables["trials"].iloc[:0]), latency_ratios(tables["latency"].iloc[:0])).empty
