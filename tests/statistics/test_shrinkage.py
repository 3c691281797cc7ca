"""Posteriors of many drops at once: against drawing the model they follow, and in worlds whose truth is known."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lrbench.statistics.components import Component
from lrbench.statistics.luck import PRIOR, deviations_of, pooled
from lrbench.statistics.shrinkage import LEVEL, LEVEL_SPREAD, NONE, SCATTER, SLOPE, WORTH, Measured, Shrunk, shrink

KNOWN = Component(variance=0.003**2, freedom=1e6)


def draw(macs: np.ndarray, random: np.random.Generator, *, worlds: int) -> np.ndarray:
    """What points of these MAC ratios lose by their method, (worlds, K), as the model says."""
    levels = np.log(LEVEL) + LEVEL_SPREAD * random.normal(size=(worlds, 1))
    logs = levels - SLOPE * np.log(2 * macs) + SCATTER * random.normal(size=(worlds, len(macs)))
    return np.exp(logs)


def measured(drops: Sequence[float], errors: Sequence[float], macs: Sequence[float], luck: Component) -> list[Shrunk]:
    """The posteriors of points of one seed each."""
    points = [
        Measured(drop=drop, images=error**2, mac_ratio=ratio)
        for drop, error, ratio in zip(drops, errors, macs, strict=True)
    ]
    return shrink(points, luck)


@pytest.mark.parametrize("freedom", [3.0, 20.0, 1e6])
@pytest.mark.parametrize("drops", [[0.012], [0.03, -0.004], [0.02, 0.02]])
def test_a_posterior_is_that_of_drawing_the_model(drops: list[float], freedom: float) -> None:
    macs, errors = np.array([0.3, 0.6][: len(drops)]), np.array([0.008, 0.005][: len(drops)])
    random = np.random.default_rng(0)
    own = draw(macs, random, worlds=400_000)
    luck = 0.003 * np.sqrt(freedom / random.chisquare(freedom, (len(own), 1)))
    truth, again = (own + luck * random.normal(size=own.shape) for _ in range(2))
    weights = np.exp(-(((np.array(drops) - truth) / errors) ** 2).sum(axis=1) / 2)
    weights /= weights.sum()
    near = 0.025 if freedom > 10 else 0.06  # with few degrees of freedom Student's t only comes near to it
    for i, found in enumerate(measured(drops, errors, macs, Component(variance=0.003**2, freedom=freedom))):
        assert found.mean == pytest.approx(weights @ truth[:, i], abs=near / 50)
        for limit in (0.0, 0.005, 0.01, 0.02, 0.04):
            assert found.at_most(limit) == pytest.approx(weights @ (truth[:, i] <= limit), abs=near)
            assert found.retrained(limit) == pytest.approx(weights @ (again[:, i] <= limit), abs=near)


def test_the_trial_to_export_has_the_posterior_of_drawing_its_luck() -> None:
    """The best of three seeds: images err in all of them alike (0.5 points), and in each by itself (0.4)."""
    random, luck, lost = np.random.default_rng(5), 0.006, np.array([0.004, 0.015, 0.02])
    own = draw(np.array([0.4]), random, worlds=400_000)
    trained, fresh = own + luck * random.normal(size=(len(own), 3)), own[:, 0] + luck * random.normal(size=len(own))
    shared, single = np.full((3, 3), 0.005**2), 0.004**2 * np.eye(3)
    off = lost - trained
    fit = np.exp(-np.einsum("ws,st,wt->w", off, np.linalg.inv(shared + single), off) / 2)
    weights = fit / fit.sum()
    point = Measured(
        drop=lost.mean(),
        images=0.005**2 + 0.004**2 / 3,
        mac_ratio=0.4,
        seeds=3,
        beyond=lost[0] - lost.mean(),
        apart=0.004**2,
    )
    (found,) = shrink([point], Component(variance=luck**2, freedom=1e6))
    assert found.mean == pytest.approx(weights @ trained[:, 0], abs=3e-4)
    assert found.error == pytest.approx(np.sqrt(weights @ (trained[:, 0] - found.mean) ** 2), rel=0.03)
    for limit in (0.0, 0.005, 0.01, 0.02):
        assert found.at_most(limit) == pytest.approx(weights @ (trained[:, 0] <= limit), abs=0.02)
        assert found.retrained(limit) == pytest.approx(weights @ (fresh <= limit), abs=0.02)


@given(st.lists(st.floats(0.001, 0.3), min_size=1, max_size=5))
def test_with_endless_images_a_drop_is_what_was_measured(drops: list[float]) -> None:
    for drop, found in zip(drops, measured(drops, [1e-5] * len(drops), [0.5] * len(drops), KNOWN), strict=True):
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
    for found in measured(*map(list, zip(*points, strict=True)), KNOWN):
        low, high = found.at_most(limit), found.at_most(limit + more)
        assert -1e-9 <= low <= high + 1e-12 <= 1 + 1e-9
        grid = np.linspace(-1.5, 1.5, 3001)
        inside = np.array([found.at_most(x) for x in grid])
        middles, masses = (grid[1:] + grid[:-1]) / 2, np.diff(inside)
        assert found.mean == pytest.approx(middles @ masses, abs=1e-3)
        assert found.error == pytest.approx(np.sqrt(((middles - found.mean) ** 2) @ masses), abs=2e-3)


def test_of_equal_measurements_the_cheaper_is_trusted_less() -> None:
    chances = [found.at_most(0.01) for found in measured([0.005] * 3, [0.007] * 3, [0.15, 0.3, 0.6], PRIOR)]
    assert chances == sorted(chances)
    assert chances[2] > chances[0] + 0.2


def test_many_points_move_one_another_as_few_do() -> None:
    """Points share images and control, so that ever more of them are worth no more than `WORTH`."""
    few, many = (measured([0.004] * count, [0.01] * count, [0.4] * count, PRIOR)[0] for count in (WORTH, 40 * WORTH))
    assert many.mean == pytest.approx(few.mean, rel=1e-6)
    assert shrink([], PRIOR) == []


def test_a_model_loses_nothing_to_itself() -> None:
    for chance in (NONE.at_most, NONE.retrained):
        assert (chance(-1e-9), chance(0.0)) == (0.0, 1.0)
    assert (NONE.mean, NONE.error) == (0.0, 0.0)


def test_the_cheapest_that_seems_sure_is_as_sure_as_it_says() -> None:
    """The best of many is mostly lucky: by its own measurement it holds far less often than it says."""
    random, macs = np.random.default_rng(2), np.linspace(0.1, 0.9, 12)
    errors, limit, wanted = np.full(12, 0.01), 0.01, 0.7
    said: dict[str, list[float]] = {"alone": [], "together": []}
    held: dict[str, list[bool]] = {"alone": [], "together": []}
    own = draw(macs, random, worlds=500)
    for truth in own + 0.003 * random.normal(size=own.shape):
        seen = random.normal(truth, errors)
        alone = norm.cdf(limit, seen, errors)
        together = [found.at_most(limit) for found in measured(seen, errors, macs, KNOWN)]
        for name, chances in (("alone", alone), ("together", together)):
            sure = np.flatnonzero(np.array(chances) >= wanted)
            if len(sure):
                said[name].append(chances[sure[0]])
                held[name].append(truth[sure[0]] <= limit)
    assert len(held["together"]) > 300
    assert np.mean(held["together"]) == pytest.approx(np.mean(said["together"]), abs=0.05)
    assert np.mean(held["alone"]) < np.mean(said["alone"]) - 0.07


def test_a_lucky_point_is_surer_of_these_weights_than_of_another_training() -> None:
    lucky, unlucky = measured([0.002, 0.03], [0.001] * 2, [0.3] * 2, Component(variance=0.006**2, freedom=20))
    assert lucky.at_most(0.005) > lucky.retrained(0.005) + 0.2
    assert unlucky.at_most(0.025) < unlucky.retrained(0.025)


def test_seeds_of_other_points_make_a_point_surer() -> None:
    """They tell how large luck is: here, that it is no larger than was thought."""
    pairs = [deviations_of(0.003 * np.array([[1.0], [-1.0]]) / 2**0.5) for _ in range(50)]
    for limit, sign in ((0.03, 1), (0.0, -1)):
        before, after = (
            measured([0.012], [0.002], [0.4], luck)[0].retrained(limit) for luck in (PRIOR, pooled(pairs, PRIOR))
        )
        assert sign * after > sign * before


def test_of_equal_means_one_seed_tells_less_of_the_method_than_three() -> None:
    luck = Component(variance=0.01**2, freedom=10)
    one, three = (
        shrink([Measured(drop=0.005, images=0.003**2, mac_ratio=0.4, seeds=seeds)], luck)[0] for seeds in (1, 3)
    )
    assert one.own[1] > three.own[1]


def test_probabilities_come_true_as_often_as_they_say_whatever_the_seeds() -> None:
    """Sweeps of few points of one to three seeds, whose luck is drawn anew from sweep to sweep, known from the pool."""
    random, macs = np.random.default_rng(6), np.linspace(0.15, 0.9, WORTH)
    said: dict[str, list[float]] = {"these": [], "again": []}
    held: dict[str, list[bool]] = {"these": [], "again": []}
    for own in draw(macs, random, worlds=700):
        luck = np.sqrt(PRIOR.variance * PRIOR.freedom / random.chisquare(PRIOR.freedom))
        points, trained, seen = [], [], []
        for drop, ratio in zip(own, macs, strict=True):
            seeds = int(random.integers(1, 4))
            losses = drop + luck * random.normal(size=seeds)
            looked = losses + 0.004 * random.normal() + 0.003 * random.normal(size=seeds)
            best = int(looked.argmin())
            if seeds > 1:
                scatter = deviations_of(looked[:, None])
                seen.append(replace(scatter, noise=scatter.freedom * 0.003**2))
            points.append(
                Measured(
                    drop=float(looked.mean()),
                    images=0.004**2 + 0.003**2 / seeds,
                    mac_ratio=ratio,
                    seeds=seeds,
                    beyond=float(looked[best] - looked.mean()),
                    apart=0.003**2,
                )
            )
            trained.append(losses[best])
        posteriors, limits = shrink(points, pooled(seen, PRIOR)), random.choice([0.0025, 0.005, 0.01, 0.02], size=WORTH)
        for found, drop, lost, limit in zip(posteriors, own, trained, limits, strict=True):
            said["these"].append(found.at_most(limit))
            held["these"].append(bool(lost <= limit))
            said["again"].append(found.retrained(limit))
            held["again"].append(bool(drop + luck * random.normal() <= limit))
    for name, chances in said.items():
        probable, true = np.array(chances), np.array(held[name])
        for low in (0.05, 0.2, 0.4, 0.6, 0.8):
            band = (low < probable) & (probable <= low + 0.2)
            assert band.sum() > 150
            assert true[band].mean() == pytest.approx(probable[band].mean(), abs=0.06), (name, low)
