"""The law of damage: it recovers what made the data, and leaves out exactly."""

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.statistics.damage import BAND, BEND, FEWEST, Damaged, bands, fit_damage, left_out

METHODS = {"channel": -0.4, "channel output": 0.2, "weight": 0.5, "spatial": -0.3}


def probes(*, layers: int, noise: float, seed: int, bend: float = BEND) -> list[Damaged]:
    """Layers cut at five errors by each method, by a known law; `noise` is the standard deviation of logarithms."""
    random = np.random.default_rng(seed)
    scales = random.normal(-2, 1, layers)
    return [
        Damaged(
            layer=f"conv{i}",
            method=method,
            error=error,
            damage=error * exp(scales[i] + offset + bend * sqrt(error) + random.normal(0, noise)),
        )
        for i in range(layers)
        for method, offset in METHODS.items()
        for error in np.exp(random.uniform(log(1e-4), log(0.9), 5)).tolist()
    ]


@pytest.mark.parametrize("bend", [0.5, 6.0])
def test_a_law_without_noise_is_recovered(bend: float) -> None:
    known = probes(layers=15, noise=0.0, seed=0, bend=bend)
    law = fit_damage(known)
    for probe in known:
        assert law(probe.layer, probe.method, probe.error) == pytest.approx(probe.damage, rel=0.08)
    assert law.offsets["weight"] - law.offsets["channel"] == pytest.approx(0.9, abs=0.02)
    assert np.mean(list(law.bends.values())) == pytest.approx(bend, abs=0.05)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_what_is_left_out_is_what_a_fit_to_the_others_says(seed: int, noise: float) -> None:
    known = probes(layers=3, noise=noise, seed=seed)
    together = [(0,), (3, 4), (len(known) - 1, 7, 30)]
    for places, logs in zip(together, left_out(known, together), strict=True):
        law = fit_damage([probe for i, probe in enumerate(known) if i not in places])
        if min(law.bends.values()) == 0:
            continue  # a bend below 0 is taken as 0 in predictions
        for i, residual in zip(places, logs, strict=True):
            predicted = law(known[i].layer, known[i].method, known[i].error)
            assert residual == pytest.approx(log(known[i].damage / predicted), abs=1e-6)


def one_by_one(known: list[Damaged]) -> np.ndarray:
    return np.concatenate(left_out(known, [(i,) for i in range(len(known))]))


def test_residuals_left_out_are_as_large_as_the_noise() -> None:
    assert np.sqrt(np.mean(one_by_one(probes(layers=20, noise=0.4, seed=1)) ** 2)) == pytest.approx(0.41, abs=0.04)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(-10, 10), st.lists(st.floats(0, 50), min_size=2, max_size=9))
def test_damage_rises_with_the_error_and_is_0_without_one(seed: int, bend: float, errors: list[float]) -> None:
    """Whatever was measured, and far beyond it."""
    law = fit_damage(probes(layers=2, noise=1.0, seed=seed, bend=bend))
    damages = [law("conv0", "weight", error) for error in sorted(errors)]
    assert damages == sorted(damages)
    assert np.isfinite(damages).all()
    assert law("conv0", "weight", 0.0) == 0


def test_one_probe_and_an_unknown_method_are_enough_for_a_prediction_and_none_for_an_unknown_layer() -> None:
    only = Damaged(layer="a", method="channel", error=0.25, damage=0.1)
    law = fit_damage([only])
    assert law("a", "channel", 0.25) == pytest.approx(0.1, rel=1e-4)
    assert law("a", "weight", 0.25) == pytest.approx(0.1, rel=1e-4), "no offset is known"
    assert law("a", "channel", 0.01) == pytest.approx(0.1 / 25 * exp(BEND * (0.1 - 0.5)), rel=0.05)
    with pytest.raises(KeyError):
        law("b", "channel", 0.25)
    assert np.isnan(one_by_one([only, replace(only, layer="b")])).all(), "the others say nothing of its layer"
    assert np.isnan(left_out([only] * 3, [(0, 1, 2)])).all()


def test_a_law_does_not_depend_on_the_order_of_the_probes() -> None:
    known = probes(layers=4, noise=0.5, seed=3)
    assert fit_damage(known) == fit_damage(known[::-1])


def test_a_band_covers_what_it_says_on_simulated_laws() -> None:
    """Of probes with noise, each by the law and the band of the others."""
    covered = []
    for seed in range(20):
        logs = one_by_one(probes(layers=8, noise=0.4, seed=seed))
        centres, halves = bands(logs)
        covered.append(np.mean(np.abs(logs - centres) <= halves))
    assert np.mean(covered) == pytest.approx(BAND, abs=0.02)


@given(st.lists(st.floats(-5, 5) | st.just(float("nan")), min_size=1, max_size=12))
def test_a_band_is_students_prediction_interval_from_the_others(logs: list[float]) -> None:
    centres, halves = bands(np.array(logs))
    for i in range(len(logs)):
        others = np.array([value for j, value in enumerate(logs) if j != i and np.isfinite(value)])
        if len(others) < FEWEST:
            assert np.isnan([centres[i], halves[i]]).all()
            continue
        reach = scipy.stats.t.ppf(0.95, len(others) - 1) * np.sqrt(1 + 1 / len(others))
        assert centres[i] == pytest.approx(others.mean(), abs=1e-9)
        assert halves[i] == pytest.approx(reach * others.std(ddof=1), abs=1e-5)
