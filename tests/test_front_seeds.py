"""`sweep.front_seeds` in real sweeps: what follows the planned trials, however the sweep is run or interrupted."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from outcomes import assert_same_tables, tables_of

import lrbench as library
from lrbench.errors import InputError
from lrbench.results.log import read_records
from lrbench.results.records import Failure, Measurement
from lrbench.trials import work

pytestmark = pytest.mark.usefixtures("undrawn")

GRID = ("--set", "sweep.schemes=['channel']", "--set", "sweep.ranks=['rank=1','rank=6']")
UNTIMED = (*GRID, "--set", "latency.devices=[]", "--set", "sweep.front_seeds=2")


def attempts(folder: Path) -> Counter[str]:
    return Counter(one.trial.label for one in read_records(folder) if isinstance(one, Measurement | Failure))


def breaking(monkeypatch: pytest.MonkeyPatch, error: Exception, *, seed: int, scheme: str) -> None:
    """Make the trials of a seed and scheme raise."""
    original = work.run_trial

    def run_trial(job: Any, *args: Any, **named: Any) -> Any:
        if (job.trials[0].seed, job.trials[0].scheme) == (seed, scheme):
            raise error
        return original(job, *args, **named)

    monkeypatch.setattr(work, "run_trial", run_trial)


@pytest.mark.long
def test_the_front_is_repeated_once_and_its_architectures_are_timed(workplace: Path, lrbench) -> None:
    words = ("sweep", "tiny.toml", "--set", "sweep.ranks=['energy=0.5']", "--set", "sweep.front_seeds=2")
    result = lrbench(*words)
    assert result.exit_code == 0, result.output
    assert "3 trials planned, 0 skipped, 3 to run" in result.output
    trials = pd.read_csv(workplace / "results/tiny/trials.csv")
    (line,) = (line for line in result.output.splitlines() if "on or near the front" in line)
    more = len(trials) - 3
    assert line == f"{more} points on or near the front: {more} more trials, for 2 seeds each"
    assert {"dense", "channel"} <= set(trials.loc[trials["seed"] == 1, "scheme"])
    assert set(trials["architecture"]) == set(pd.read_csv(workplace / "results/tiny/latency.csv")["architecture"])
    log = (workplace / "results/tiny/records.jsonl").read_bytes()
    again = lrbench(*words)
    assert (again.exit_code, "on or near the front" in again.output) == (0, False)
    assert "3 trials planned, 3 skipped, 0 to run" in again.output
    assert (workplace / "results/tiny/records.jsonl").read_bytes() == log


def test_a_plan_says_what_may_follow(workplace: Path, lrbench) -> None:
    told = lrbench("plan", "tiny.toml", *UNTIMED).output
    assert "3 trials of 1 seed\n" in told
    assert "sweep.front_seeds = 2: up to 3 more trials, of seed 1, once the front is known" in told
    assert "front_seeds" not in lrbench("plan", "tiny.toml", *GRID).output


@pytest.mark.long
def test_an_interrupted_sweep_ends_as_one_that_was_not(
    workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        breaking(broken, InputError("the disk is full"), seed=1, scheme="channel")
        result = lrbench("sweep", "tiny.toml", *UNTIMED, "--out", "pieces")
        assert (result.exit_code, "the disk is full" in result.output) == (2, True)
    held = attempts(workplace / "pieces")
    assert held["dense seed 1"] == 1
    more = lrbench("sweep", "tiny.toml", *UNTIMED, "--out", "pieces", "--cache", "other")
    assert more.exit_code == 0, more.output
    assert "3 trials planned, 3 skipped, 0 to run" in more.output
    assert lrbench("sweep", "tiny.toml", *UNTIMED, "--out", "whole").exit_code == 0
    assert set(attempts(workplace / "pieces").values()) == {1}
    assert_same_tables(workplace / "whole", workplace / "pieces")


@pytest.mark.long
def test_a_failed_repetition_is_told_and_run_again_only_when_asked(
    workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        breaking(broken, ValueError("no luck"), seed=1, scheme="dense")
        for options, tries in (((), 1), ((), 1), (("--retry-failed",), 2)):
            result = lrbench("sweep", "tiny.toml", *UNTIMED, *options)
            assert (result.exit_code, "failed: dense plain none none seed 1" in result.output) == (1, True)
            assert attempts(workplace / "results/tiny")["dense seed 1"] == tries
    result = lrbench("sweep", "tiny.toml", *UNTIMED, "--retry-failed")
    assert result.exit_code == 0, result.output
    assert "1 point on or near the front: 1 more trial, for 2 seeds each" in result.output
    assert attempts(workplace / "results/tiny")["dense seed 1"] == 3


def test_trials_that_follow_and_have_no_outcome_are_not_done(
    workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrbench.trials import sweep

    original = sweep.run_trials

    def lazy(run: Any, todo: Any, *args: Any, **named: Any) -> Any:
        return original(run, [trial for trial in todo if trial.seed == 0], *args, **named)

    monkeypatch.setattr(sweep, "run_trials", lazy)
    result = lrbench("sweep", "tiny.toml", *UNTIMED)
    assert result.exit_code == 1, result.output
    assert "planned trials have no outcome; the same command runs them" in result.output


def test_trials_that_follow_must_fit_on_the_disk(workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(run: Any, todo: Any, **named: Any) -> None:
        if any(trial.seed for trial in todo):
            raise InputError("too little space")

    monkeypatch.setattr("lrbench.library.fill.check_disk", full)
    result = lrbench("sweep", "tiny.toml", *UNTIMED)
    assert (result.exit_code, "too little space" in result.output) == (2, True)
    assert len(attempts(workplace / "results/tiny")) == 3, "what is finished is kept"


@pytest.mark.long
def test_the_library_repeats_the_front_with_the_trials_of_seeds_listed_by_hand(
    workplace: Path, lrbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.library.sweep.draw_missing_figures", lambda frames: None)
    ours = {"sweep.schemes": ["channel"], "sweep.ranks": ["rank=1", "rank=6"], "latency.devices": []}
    results = library.sweep("tiny.toml", {**ours, "sweep.front_seeds": 2}, out="short", cache="one")
    assert (results.trials["seed"] == 1).any()
    library.sweep("tiny.toml", {**ours, "sweep.seeds": [0, 1]}, out="by hand", cache="two")
    short, by_hand = (tables_of(workplace / name)["trials"] for name in ("short", "by hand"))
    kept = by_hand[by_hand["trial"].isin(short["trial"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(short, kept, check_exact=True)


@pytest.mark.long
def test_budgets_of_the_front_are_repeated_by_what_each_baseline_tells(workplace: Path, lrbench) -> None:
    budget = ("--set", "sweep.ranks=['knapsack macs=0.7']", "--set", "sensitivity.step=1")
    result = lrbench("sweep", "tiny.toml", *UNTIMED, *budget)
    assert result.exit_code == 0, result.output
    assert "2 trials planned" in result.output
    assert attempts(workplace / "results/tiny") == {
        f"{name} seed {seed}": 1 for name in ("dense", "channel convs knapsack macs=0.7") for seed in (0, 1)
    }
