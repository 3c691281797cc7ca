"""Hypervolumes against moocore, on the grid that the compared methods share."""

from collections.abc import Sequence
from pathlib import Path

import moocore
import numpy as np
import pandas as pd
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.report.figures import hypervolumes as figure
from lrbench.report.figures.draw import drawings, figure_tables
from lrbench.report.frames.hypervolume import ALONE, APART, common_grid, dominated, hypervolumes
from lrbench.report.frames.trials import done_trials
from lrbench.report.results import Results
from lrbench.results.tables import build_tables
from lrbench.statistics.luck import PRIOR_OF_ACCURACY, with_luck
from lrbench.statistics.posterior import half_widths

Points = Sequence[tuple[str, int, int]]
"""Rank rule, MACs and right answers of 100."""


def volumes(methods: dict[str, Points]) -> pd.DataFrame:
    log = [
        samples.measurement(samples.trial(f"{scheme}{i}", scheme=scheme, rank_rule=rule), macs=macs, correct=correct)
        for scheme, points in methods.items()
        for i, (rule, macs, correct) in enumerate(points)
    ]
    trials = build_tables(log)["trials"].infer_objects()
    return hypervolumes(done_trials(trials), {}).set_index(["method", "cost"])


@given(st.lists(st.tuples(st.floats(0, 1.3), st.floats(0, 1)), min_size=1, max_size=15))
def test_what_is_dominated_is_what_moocore_says(points: list[tuple[float, float]]) -> None:
    costs, accuracies = np.array(points).T
    expected = moocore.hypervolume(np.column_stack([costs, 1 - accuracies]), ref=[1.0, 1.0])
    assert dominated(costs, accuracies[None])[0] == pytest.approx(expected, abs=1e-9)


point = st.tuples(st.integers(1, 130), st.integers(0, 100))


@settings(max_examples=20)
@given(st.lists(st.tuples(point, point), min_size=1, max_size=6), st.lists(point, max_size=4))
def test_only_what_all_have_counts_and_it_is_the_area_under_the_stairs(
    shared: list[tuple[tuple[int, int], tuple[int, int]]], extra: list[tuple[int, int]]
) -> None:
    methods: dict[str, Points] = {
        "channel": [(f"rank={i}", *one) for i, (one, _) in enumerate(shared)]
        + [(f"energy={i}", *one) for i, one in enumerate(extra)],
        "spatial": [(f"rank={i}", *one) for i, (_, one) in enumerate(shared)],
    }
    found = volumes(methods)
    for place, method in enumerate(methods):
        points = [both[place] for both in shared]
        best = [max([c for m, c in points if m <= step], default=0) for step in range(100)]  # at each hundredth of MACs
        for cost in ("macs", "params"):
            row = found.loc[(method, cost)]
            assert row["hypervolume"] == pytest.approx(sum(best) / 100**2)
            assert row["low"] <= row["high"]
            assert (row["trials"], row["grid"]) == (len(methods[method]), len(shared))
    assert found["best"].groupby("cost").sum().min() >= 1 - 1e-9


def test_without_a_common_grid_there_are_reasons_in_place_of_numbers() -> None:
    apart = volumes({"channel": [("rank=8", 50, 80)], "spatial": [("rank=4", 50, 80)]})
    alone = volumes({"channel": [("rank=8", 50, 80), ("rank=4", 30, 70)]})
    for found, reason in ((apart, APART), (alone, ALONE)):
        assert found["hypervolume"].isna().all()
        assert (found["grid"] == 0).all()
        assert set(found["reason"]) == {reason}


def test_a_method_that_shares_nothing_keeps_no_other_from_being_compared() -> None:
    grid = [("rank=8", 50, 80), ("rank=4", 30, 70)]
    found = volumes({"writeback": [("fraction=0.5", 100, 80)], "channel": grid, "spatial": grid})
    assert found.loc["writeback", "reason"].tolist() == [APART] * 2
    assert found.loc["channel", "hypervolume"].tolist() == found.loc["spatial", "hypervolume"].tolist()
    assert found.loc["channel", "best"].tolist() == pytest.approx([0.5, 0.5], abs=0.1), "each meets images of its own"


@given(st.dictionaries(st.sampled_from("abcd"), st.sets(st.tuples(st.integers(0, 4)), min_size=1), max_size=4))
def test_a_common_grid_is_common_and_no_single_method_could_be_added_to_it(places: dict) -> None:
    compared, grid = common_grid(places)
    assert len(compared) != 1
    assert bool(compared) == bool(grid)
    for method in compared:
        assert grid <= places[method]
    if compared:
        assert grid == set.intersection(*(places[method] for method in compared))


@pytest.mark.parametrize(("methods", "panels"), [(figure.MANY, 1), (figure.MANY - 1, 0)])
def test_few_methods_are_a_table_alone(methods: int, panels: int, tmp_path: Path) -> None:
    log = [
        samples.measurement(samples.trial(f"t{i}", scheme=f"scheme{i}"), macs=50 + i, correct=70 + i)
        for i in range(methods)
    ]
    results = Results(samples.folder_of(tmp_path, log))
    assert results.hypervolumes["hypervolume"].notna().sum() == 2 * methods
    assert "hypervolumes" in figure_tables(results)
    drawn = [name for name, _ in drawings(results) if name == "hypervolumes"]
    assert len(drawn) == panels
    axes = figure.draw(figure.info(results)).axes
    assert len(axes[0].get_yticklabels()) >= panels * methods


def test_the_dense_model_has_no_hypervolume() -> None:
    trials = build_tables(samples.sweep()[:1])["trials"].infer_objects()
    assert hypervolumes(done_trials(trials), {}).empty


def test_the_interval_is_that_of_the_accuracy_of_a_real_study() -> None:
    """One point a method, of one seed: its hypervolume is its accuracy times what it saves, and so is the interval."""
    results = Results(Path(__file__).parents[2] / "results" / "seed")
    row = results.hypervolumes.set_index(["method", "cost"]).loc[("channel", "params")]
    trial = results.done[results.done["method"] == "channel"].iloc[0]
    saved, p, n = 1 - trial["param_ratio"], trial["accuracy_finetuned"], trial["samples"]
    assert row["hypervolume"] == pytest.approx(saved * p)
    half = half_widths(*with_luck(p * (1 - p) / n, PRIOR_OF_ACCURACY, 1))
    assert row["high"] - row["low"] == pytest.approx(saved * 2 * half, rel=0.1)
