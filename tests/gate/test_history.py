"""Figures over recorded runs, and where they took a step."""

from dataclasses import replace
from pathlib import Path

import noise
import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binomtest

from lrbench.gate.history import read_history
from lrbench.gate.steps import CRITICAL, find_steps
from lrbench.results.records import SpecRecord


@pytest.mark.parametrize("rounding", [None, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("runs", [6, 12, 30])
def test_noise_that_drifts_or_ties_rarely_has_a_step(runs: int, rounding: float | None) -> None:
    random, cases = np.random.default_rng(runs), 400
    made = [random.uniform(0, 10) + noise.series(random, runs, lag=0.5) for _ in range(cases)]
    if rounding:
        made = [np.round(values / rounding) * rounding for values in made]
    marked = sum(bool(find_steps(values)) for values in made)
    assert binomtest(marked, cases, 0.01, alternative="greater").pvalue > 0.01, f"{marked} of {cases}"


@pytest.mark.parametrize("lag", [0.0, 0.5])
def test_ten_percent_more_in_the_last_eight_runs_are_found_where_they_begin(lag: float) -> None:
    random, cases, found = np.random.default_rng(0), 200, 0
    for _ in range(cases):
        values = np.exp(0.02 * noise.series(random, 20, lag=lag))
        values[12:] *= 1.1
        found += any(abs(place - 12) <= 1 for place in find_steps(values))
    assert found >= 0.8 * cases


def test_a_regression_and_its_repair_are_two_steps() -> None:
    values = np.exp(0.01 * noise.series(np.random.default_rng(0), 30, lag=0.0))
    values[10:20] *= 1.1
    assert find_steps(values) == [10, 20]


@given(st.lists(st.integers(0, 10**6), min_size=6, max_size=30), st.integers(-100, 100), st.sampled_from([0.01, 7.0]))
def test_steps_do_not_depend_on_the_unit_nor_on_the_direction_of_time(
    values: list[int], shift: int, scale: float
) -> None:
    series = np.array(values, dtype=float)
    found = find_steps(series)
    assert find_steps(shift + scale * series) == found
    assert find_steps(series[::-1]) == [len(values) - place for place in reversed(found)]


@pytest.mark.parametrize(("resolution", "found"), [(1 / 360, [4]), (0.05, [])])
def test_a_step_of_values_that_repeat_counts_when_rounding_cannot_make_it(resolution: float, found: list[int]) -> None:
    assert find_steps(np.array([0.9] * 4 + [0.85] * 4), resolution=resolution) == found
    assert find_steps(np.array([0.9] * 4 + [0.85] * 4)) == []
    assert find_steps(np.full(9, 0.9)) == []


def test_the_limits_are_those_of_the_published_study() -> None:
    study = pd.read_csv(Path(__file__).parents[2] / "results/gate/history.csv")
    noisy = study[study["series"] == "noise"]
    assert (noisy["marked"] <= 0.01 * noisy["cases"]).all()
    drifting = noisy[(noisy["lag"] == 0.5) & (noisy["rounding"] == 0.0)]
    limits = np.interp(drifting["runs"], list(CRITICAL), list(CRITICAL.values()))
    assert (limits - drifting["contrast_99"]).between(0.0, 0.8).all()
    stepped = study[(study["series"] == "step") & (study["sd"] <= 0.02)]
    assert (stepped["marked"] >= 0.8 * stepped["cases"]).all()


@pytest.mark.long
@pytest.mark.parametrize(
    ("figure", "runs", "code"),
    [("macs", 1, 3), ("macs", 2, 0), ("accuracy_finetuned", 5, 3), ("accuracy_finetuned", 6, 0), ("benchmark", 6, 3)],
)
def test_too_few_runs_are_not_judged(figure: str, runs: int, code: int, tmp_path: Path, lrbench) -> None:
    folders = [samples.folder_of(tmp_path / f"run{run}", [samples.measurement(samples.trial())]) for run in range(runs)]
    result = lrbench("history", *folders, "--figure", figure, "--out", tmp_path / "h.png")
    assert (result.exit_code, "nothing judged" in result.output) == (code, code == 3), result.output


def test_a_chart_names_the_run_that_made_the_step(tmp_path: Path, lrbench) -> None:
    runs = []
    for run, macs in enumerate((50, 50, 50, 60)):  # as few as two runs would do: MACs have no noise
        one = replace(samples.measurement(samples.trial(), macs=macs), commit=f"c{run}")
        runs.append(samples.folder_of(tmp_path / f"run{run}", [one]))
    result = lrbench("history", *runs, "--figure", "macs", "--out", tmp_path / "h.png")
    assert result.exit_code == 0, result.output
    assert f"seed 0 is 60 since {runs[3]} (c3)" in result.output
    with Image.open(tmp_path / "h.png") as picture:
        assert picture.width == 800


def test_a_run_is_named_by_the_commit_of_the_repository_that_it_ran_in(tmp_path: Path, lrbench) -> None:
    runs = []
    for run, (macs, own) in enumerate(((50, "a1"), (60, "b2-dirty"), (60, ""))):
        noted = SpecRecord(started="2026", keys=(), repository_commit=own)
        one = replace(samples.measurement(samples.trial(), macs=macs), commit="c0")
        runs.append(samples.folder_of(tmp_path / f"run{run}", [noted, one]))
    found = read_history(runs, "macs")
    assert found[["repository_commit", "commit", "code"]].to_numpy().tolist() == [
        ["a1", "c0", "a1, lrbench c0"],
        ["b2-dirty", "c0", "b2-dirty, lrbench c0"],
        ["", "c0", "c0"],
    ]
    result = lrbench("history", *runs, "--figure", "macs", "--out", tmp_path / "h.png")
    assert f"seed 0 is 60 since {runs[1]} (b2-dirty, lrbench c0)" in result.output
    for run in runs:
        (run / "records.jsonl").unlink()  # tables alone will do
    assert set(read_history(runs, "macs")["code"]) == {"c0"}


@pytest.mark.parametrize(
    ("words", "message"), [(["--figure", "speed"], "unknown figure 'speed'"), ([], "no such directory")]
)
def test_bad_input_exits_2(words: list[str], message: str, tmp_path: Path, lrbench) -> None:
    result = lrbench("history", tmp_path / "nowhere", *words)
    assert (result.exit_code, message in result.output) == (2, True)
