"""Posteriors of many drops at once: against drawing the model they follow, and in worlds whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lrbench.statistics.shrinkage import LEVEL, LEVEL_SPREAD, LUCK, NONE, SCATTER, SLOPE, WORTH, shrink


def draw(macs: np.ndarray, random: np.random.Generator, *, worlds: int) -> np.ndarray:
    """True drops of points of these MAC ratios, (worlds, K), as the model says."""
    levels = np.log(LEVEL) + LEVEL_SPREAD * random.normal(size=(worlds, 1))
    logs = levels - SLOPE * np.log(2 * macs) + SCATTER * random.normal(size=(worlds, len(macs)))
    return np.exp(logs) + LUCK * random.normal(size=logs.shape)


@pytest.mark.parametrize("drops", [[0.012], [0.03, -0.004], [0.02, 0.02]])
def test_a_posterior_is_that_of_drawing_the_model(drops: list[float]) -> None:
    macs, errors = np.array([0.3, 0.6][: len(drops)]), np.array([0.008, 0.005][: len(drops)])
    truth = draw(macs, np.random.default_rng(0), worlds=400_000)
    weights = np.exp(-(((np.array(drops) - truth) / errors) ** 2).sum(axis=1) / 2)
    weights /= weights.sum()
    for i, found in enumerate(shrink(drops, errors, macs)):
        assert found.mean == pytest.approx(weights @ truth[:, i], abs=3e-4)
        for limit in (0.0, 0.005, 0.01, 0.02, 0.04):
            assert found.at_most(limit) == pytest.approx(weights @ (truth[:, i] <= limit), abs=0.02)


@given(st.lists(st.floats(0.001, 0.3), min_size=1, max_size=5))
def test_with_endless_images_a_drop_is_what_was_measured(drops: list[float]) -> None:
    for drop, found in zip(drops, shrink(drops, [1e-5] * len(drops), [0.5] * len(drops)), strict=True):
        assert found.mean == pytest.approx(drop, rel=0.1, abs=2e-3)
        assert found.error < 0.02


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.floats(-0.3, 0.9), st.floats(1e-4, 0.2), st.floats(0.01, 1.5)), min_size=1, max_size=3),
    st.floats(-0.5, 0.5),
    st.floats(0, 0.5),
)
def test_probabilities_rise_with_the_limit_and_moments_are_theirs(
    points: list[tuple[float, float, float]], limit: float, more: float
) -> None:
    for found in shrink(*map(list, zip(*points, strict=True))):
        low, high = found.at_most(limit), found.at_most(limit + more)
        assert -1e-9 <= low <= high + 1e-12 <= 1 + 1e-9
        grid = np.linspace(-1.5, 1.5, 3001)
        inside = np.array([found.at_most(x) for x in grid])
        middles, masses = (grid[1:] + grid[:-1]) / 2, np.diff(inside)
        assert found.mean == pytest.approx(middles @ masses, abs=1e-3)
        assert found.error == pytest.approx(np.sqrt(((middles - found.mean) ** 2) @ masses), abs=2e-3)


def test_of_equal_measurements_the_cheaper_is_trusted_less() -> None:
    chances = [found.at_most(0.01) for found in shrink([0.005] * 3, [0.007] * 3, [0.15, 0.3, 0.6])]
    assert chances == sorted(chances)
    assert chances[2] > chances[0] + 0.2


def test_many_points_move_one_another_as_few_do() -> None:
    """Points share images and control, so that ever more of them are worth no more than `WORTH`."""
    few, many = (shrink([0.004] * count, [0.01] * count, [0.4] * count)[0] for count in (WORTH, 40 * WORTH))
    assert many.mean == pytest.approx(few.mean, rel=1e-6)
    assert shrink([], [], []) == []


def test_a_model_loses_nothing_to_itself() -> None:
    assert (NONE.at_most(-1e-9), NONE.at_most(0.0), NONE.mean, NONE.error) == (0.0, 1.0, 0.0, 0.0)


def test_the_cheapest_that_seems_sure_is_as_sure_as_it_says() -> None:
    """The best of many is mostly lucky: by its own measurement it holds far less often than it says."""
    random, macs = np.random.default_rng(2), np.linspace(0.1, 0.9, 12)
    errors, limit, wanted = np.full(12, 0.01), 0.01, 0.7
    said: dict[str, list[float]] = {"alone": [], "together": []}
    held: dict[str, list[bool]] = {"alone": [], "together": []}
    for truth in draw(macs, random, worlds=500):
        measured = random.normal(truth, errors)
        alone = norm.cdf(limit, measured, errors)
        together = [found.at_most(limit) for found in shrink(measured, errors, macs)]
        for name, chances in (("alone", alone), ("together", together)):
            sure = np.flatnonzero(np.array(chances) >= wanted)
            if len(sure):
                said[name].append(chances[sure[0]])
                held[name].append(truth[sure[0]] <= limit)
    assert len(held["together"]) > 300
    assert np.mean(held["together"]) == pytest.approx(np.mean(said["together"]), abs=0.05)
    assert np.mean(held["alone"]) < np.mean(said["alone"]) - 0.07
