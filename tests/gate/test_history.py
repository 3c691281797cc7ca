"""Figures over recorded runs, and where they took a step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lrbench.gate.history import read_history, steps
from lrbench.results.records import SpecRecord


def test_a_step_is_found_where_it_was_planted_and_noise_has_none() -> None:
    random = np.random.default_rng(0)
    flat = random.normal(1.0, 0.02, 30)
    assert not steps(flat).any()
    stepped = flat + 0.3 * (np.arange(30) >= 17)
    assert np.flatnonzero(steps(stepped)).tolist() == [17]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_without_noise_every_change_is_a_step(values: list[int]) -> None:
    level = np.repeat(np.array(values, dtype=float), 3)
    assert np.flatnonzero(steps(level)).tolist() == [3 * i for i in range(1, len(values)) if values[i] != values[i - 1]]


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
