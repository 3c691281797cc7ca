"""Ratios and intervals against scipy and against noise whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_ind

from lrbench.statistics.paired import (
    Ratio,
    difference,
    estimate,
    holm,
    is_fit,
    layout_medians,
    widest_half_width,
)


def noise(count: int, *, seed: int, deviation: float = 0.05) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, deviation, count)


@pytest.mark.parametrize("count", [2, 15, 40])
def test_one_process_has_the_t_interval_of_scipy(count: int) -> None:
    logs = noise(count, seed=count)
    mine, theirs = estimate([logs]).ratio(), ttest_1samp(logs, 0.0).confidence_interval(0.99)
    assert np.log([mine.ratio, mine.low, mine.high]) == pytest.approx([logs.mean(), theirs.low, theirs.high])


@pytest.mark.parametrize("count", [2, 10, 57])
def test_the_stopping_rule_looks_at_the_widest_interval(count: int) -> None:
    models = [noise(count, seed=i, deviation=0.02 * (i + 1)) for i in range(3)]
    widest = max(estimate([one]).ratio().half_width for one in models)
    assert widest_half_width(np.column_stack(models)) == pytest.approx(widest)


def test_a_single_layout_has_no_interval() -> None:
    assert widest_half_width(np.zeros((1, 2))) == np.inf
    alone = estimate([np.array([0.0])]).ratio()
    assert (alone.ratio, alone.low, alone.high, alone.half_width) == (1.0, 0.0, np.inf, np.inf)
    assert np.isnan(alone.ends).all(), "tables leave it empty"


@given(st.lists(st.lists(st.floats(-1, 1), min_size=1, max_size=12), min_size=1, max_size=4))
def test_the_interval_holds_the_ratio(processes: list[list[float]]) -> None:
    found = estimate([np.array(one) for one in processes]).ratio()
    assert found.low <= found.ratio <= found.high
    assert found.half_width >= 0


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Each layout has an offset of its own beside the noise of its rounds, as memory has."""
    random = np.random.default_rng(0)
    held = []
    for _ in range(400):
        logs = np.repeat(random.normal(0, 0.01, 12), 5) + random.normal(0, 0.01, 60)
        found = estimate([layout_medians(logs, np.repeat(np.arange(12), 5))]).ratio(0.9)
        held.append(found.low <= 1 <= found.high)
    assert 0.86 < np.mean(held) < 0.94


def test_layout_medians_are_those_of_numpy_for_one_model_and_for_several() -> None:
    logs = noise(30, seed=0).reshape(15, 2)
    layouts = [0] * 4 + [1] * 5 + [3] * 6
    expected = [np.median(part, axis=0) for part in (logs[:4], logs[4:9], logs[9:])]
    assert layout_medians(logs, layouts) == pytest.approx(np.array(expected))
    assert layout_medians(logs[:, 0], layouts) == pytest.approx(np.array(expected)[:, 0])


def test_no_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one layout"):
        estimate([np.array([])])


@pytest.mark.parametrize(
    ("low", "high", "fit"), [(0.98, 1.02, True), (1.001, 1.02, False), (0.97, 0.999, False), (0.9, 1.02, False)]
)
def test_a_control_is_fit_when_it_holds_1_and_is_narrow(low: float, high: float, fit: bool) -> None:
    assert is_fit(Ratio(ratio=(low * high) ** 0.5, low=low, high=high), within=0.05) is fit


def test_a_difference_is_tested_as_welch_does() -> None:
    one, other = noise(9, seed=1) + 0.04, noise(23, seed=2, deviation=0.02)
    gap = difference(estimate([one]), estimate([other]))
    theirs = ttest_ind(one, other, equal_var=False, alternative="greater")
    assert gap.chance_above(1.0) == pytest.approx(theirs.pvalue)
    interval = ttest_ind(one, other, equal_var=False).confidence_interval(0.99)
    assert np.log([gap.ratio().low, gap.ratio().high]) == pytest.approx([interval.low, interval.high])


def test_without_scatter_a_ratio_is_above_what_it_is_above() -> None:
    still = estimate([np.full(6, np.log(1.1))])
    assert still.chance_above(1.05) == 0.0
    assert still.chance_above(1.15) == 1.0
    assert difference(still, still).chance_above(1.0) == 1.0


def test_one_layout_can_never_be_sure() -> None:
    alone = estimate([np.array([1.0])])
    assert alone.chance_above(1.0) == 1.0
    assert difference(alone, estimate([noise(9, seed=0)])).chance_above(1.0) == 1.0


@given(st.lists(st.floats(0, 1), max_size=12))
def test_corrected_chances_are_those_of_holm(chances: list[float]) -> None:
    found, count = holm(chances), len(chances)
    for i, chance in enumerate(chances):
        lower = sorted(other for other in chances if other <= chance)
        assert found[i] == pytest.approx(min(1, max((count - rank) * p for rank, p in enumerate(lower))))
        assert chance <= found[i] <= 1
