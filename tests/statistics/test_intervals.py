"""The studies of intervals, in short: on noise whose truth is known, as layouts and as sessions of a log."""

from dataclasses import replace

import numpy as np
import pandas as pd
import samples

from bench.study_intervals import TRUTHS, Scenario, folder_of
from bench.study_intervals import coverage as simulated
from bench.study_repeat import coverage, held_out
from lrbench.results.sessions import Session
from lrbench.statistics.components import PRIORS

SHORT = Scenario(drift=0.5, stops_early=False, occasions=1, processes=3)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    told = simulated(SHORT, folders=150, seed=3).set_index("rule")
    assert 0.97 < told.loc["components", "covered"] <= 1
    assert told.loc["layouts", "covered"] < 0.85, "what lrbench had before"
    assert told.loc["components", "half_width"] > told.loc["layouts", "half_width"]


def test_a_simulation_repeats_itself() -> None:
    pd.testing.assert_frame_equal(simulated(SHORT, folders=2, seed=1), simulated(SHORT, folders=2, seed=1))


def sessions(*, occasions: int, seed: int) -> list[Session]:
    """A folder of two timings on several occasions, half an hour apart and in turns, as a log has them."""
    scenario = replace(SHORT, occasions=occasions)
    made = folder_of(scenario, np.random.default_rng(seed), PRIORS["one thread"])
    found = []
    for o in range(occasions):
        for p in range(scenario.processes):
            for group in range(2):
                models = made[group * len(TRUTHS) : (group + 1) * len(TRUTHS)]
                ratios = np.exp(np.column_stack([timed[o][group, o, p] for timed in models]))
                wall = [(1.0, 1.0, *row) for row in ratios.tolist()]
                names = {f"a{group}{model}": 1.0 for model in range(len(models))}
                one = samples.session(names, series=f"s{group}{o}", process=p)
                rounds = tuple(replace(r, layout=i) for i, r in enumerate(samples.rounds_of(wall)))
                started = f"2026-01-01T{o:02}:0{2 * p + group}:00+00:00"
                found.append(replace(one, rounds=rounds, started=started))
    return found


def test_a_folder_with_occasions_is_held_against_itself() -> None:
    tests = held_out(sessions(occasions=4, seed=0))
    assert set(tests["tested"]) == {"1 occasion", "2 occasions", "2 processes"}
    assert len(tests) == 3 * 2 * len(TRUTHS) * (4 + 6 + 4 * 3), "by three rules"
    assert tests.loc[tests["tested"] == "1 occasion", "moments"].nunique() == 4, "both timings share each"
    told = coverage(tests)
    every = told[told["setting"] == "all"].set_index(["tested", "rule"])
    assert (every["covered_low"].dropna() <= every["covered_high"].dropna()).all()
    wide, narrow = every.loc[("1 occasion", "components")], every.loc[("2 occasions", "components")]
    assert narrow["half_width"] < wide["half_width"]
    assert min(wide["covered"], narrow["covered"]) > 0.95
    assert every.loc[("1 occasion", "layouts"), "covered"] < 0.9


def test_without_occasions_only_processes_are_held_against_each_other() -> None:
    told = coverage(held_out(sessions(occasions=1, seed=0)))
    assert set(told["tested"]) == {"2 processes"}
    assert told["tests"].min() == 3 * 2 * len(TRUTHS)
