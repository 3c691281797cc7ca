"""Components of variance against closed formulas, scipy's t test and noise whose truth is known."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from bench.study_components import ROOT, STUDIES, priors_of, settings_of
from lrbench.statistics.components import (
    KNEE,
    LEAST_EARLIER,
    PRIORS,
    Component,
    Components,
    Occasions,
    estimate_over,
    is_outlier,
    learned,
    prior_of,
)

PRIOR = PRIORS["one thread"]


def known(process: float, occasion: float, *, freedom: float = 1e12) -> Components:
    """Components of these standard deviations."""
    return Components(
        process=Component(variance=process**2, freedom=freedom),
        occasion=Component(variance=occasion**2, freedom=freedom),
    )


def subject(truth: float, *, seed: int, process: float, occasion: float, shape: tuple[int, int, int]) -> Occasions:
    """Log ratios of so many occasions, processes and layouts; layouts scatter by 1 %."""
    random, (occasions, processes, layouts) = np.random.default_rng(seed), shape
    load = np.hypot(KNEE, truth)
    return [
        {
            (o, p): truth + load * (shift + random.normal(0, process)) + random.normal(0, 0.01, layouts)
            for p in range(processes)
        }
        for o, shift in enumerate(random.normal(0, occasion, occasions))
    ]


def still(*occasions: list[float]) -> Occasions:
    """Processes whose two layouts agree: of each occasion their log ratios."""
    numbers = count()
    return [{next(numbers): np.full(2, log) for log in occasion} for occasion in occasions]


@given(st.lists(st.lists(st.floats(-2, 2), min_size=1, max_size=4), min_size=1, max_size=4))
def test_known_components_give_the_error_of_the_closed_formula(logs: list[list[float]]) -> None:
    found = estimate_over(still(*logs), known(0.01, 0.03))
    load = KNEE**2 + found.log**2
    processes = sum(1 / len(occasion) for occasion in logs) / len(logs) ** 2
    assert found.log == pytest.approx(np.mean([np.mean(occasion) for occasion in logs]))
    assert found.error**2 == pytest.approx(load * (0.01**2 * processes + 0.03**2 / len(logs)))
    assert (found.processes, found.occasions) == (sum(map(len, logs)), len(logs))


def test_the_error_is_that_of_many_estimates() -> None:
    components = known(0.02, 0.03)
    found = [
        estimate_over(subject(-0.7, seed=seed, process=0.02, occasion=0.03, shape=(2, 3, 5)), components)
        for seed in range(2000)
    ]
    assert np.std([one.log for one in found]) == pytest.approx(np.mean([one.error for one in found]), rel=0.05)


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_without_a_prior_processes_give_the_t_interval_of_their_means(processes: int) -> None:
    means = np.random.default_rng(processes).normal(-0.5, 0.02, processes)
    timed = still(list(means))
    nothing = Components(process=Component(variance=1e-4, freedom=1e-9), occasion=Component(variance=0.0, freedom=1e-9))
    found = estimate_over(timed, learned(nothing, [timed])).ratio()
    low, high = t.interval(0.99, processes - 1, means.mean(), means.std(ddof=1) / processes**0.5)
    assert np.log([found.low, found.high]) == pytest.approx([low, high], rel=1e-4)


def test_much_data_outweighs_the_prior() -> None:
    every = [
        subject(truth, seed=seed, process=0.04, occasion=0.06, shape=(300, 3, 8))
        for seed, truth in enumerate(np.linspace(-1.2, 0.2, 6))
    ]
    found = learned(PRIOR, every)
    assert found.process.variance**0.5 == pytest.approx(0.04, rel=0.15)
    assert found.occasion.variance**0.5 == pytest.approx(0.06, rel=0.15)


def test_what_says_nothing_leaves_the_prior_alone() -> None:
    assert learned(PRIOR, []) == PRIOR
    assert learned(PRIOR, [still([-0.5]), still([-0.2])]) == PRIOR
    one = learned(PRIOR, [still([-0.5, -0.52, -0.51])])
    assert one.occasion == PRIOR.occasion, "one occasion says nothing of others"
    assert one.process.freedom == pytest.approx(PRIOR.process.freedom + 2)


def test_architectures_of_one_session_share_its_freedom() -> None:
    alone = still([-0.5, -0.52, -0.51], [-0.55, -0.5])
    assert learned(PRIOR, [alone] * 8).process.freedom == learned(PRIOR, [alone]).process.freedom
    assert learned(PRIOR, [alone] * 8).occasion.freedom == learned(PRIOR, [alone]).occasion.freedom
    elsewhere = [{session + 10: logs for session, logs in occasion.items()} for occasion in alone]
    assert learned(PRIOR, [alone, elsewhere]).process.freedom == pytest.approx(PRIOR.process.freedom + 2 * 3)


def test_layouts_that_scatter_more_than_processes_say_little_of_these() -> None:
    loud = [{p: np.array([-1.0, 0.0]) + 0.1 * p for p in range(3)}]
    found = learned(PRIOR, [loud])
    assert found.process.freedom == pytest.approx(PRIOR.process.freedom, abs=0.01)
    assert found.process.variance == pytest.approx(PRIOR.process.variance, rel=0.01)


def test_smaller_models_have_wider_intervals_and_more_occasions_narrower_ones() -> None:
    widths = [estimate_over(still([log, log, log]), PRIOR).ratio().half_width for log in (0.0, -0.3, -0.8, -1.5)]
    assert widths == sorted(widths)
    assert estimate_over(still([-0.8] * 3, [-0.8] * 3), PRIOR).ratio().half_width < 0.75 * widths[2]


def test_single_layouts_tell_no_error() -> None:
    found = estimate_over([{0: np.zeros(1), 1: np.zeros(1)}], PRIOR)
    assert (found.freedom, found.ratio().half_width, found.processes) == (0, np.inf, 2)


def test_settings_that_nobody_published_have_the_wider_prior() -> None:
    assert prior_of("cpu", 1) == PRIORS["one thread"]
    assert prior_of("cpu", 4) == prior_of("cuda", 1) == PRIORS["several threads"]
    assert PRIORS["several threads"].process.variance > PRIORS["one thread"].process.variance


def test_few_earlier_values_make_no_outlier() -> None:
    earlier = [-1.0 + 0.001 * i for i in range(LEAST_EARLIER)]
    assert is_outlier(-2.0, earlier, prior=PRIOR)
    assert not is_outlier(-2.0, earlier[1:], prior=PRIOR)
    assert not is_outlier(-1.05, earlier, prior=PRIOR), "another occasion moves it so far"


def test_outliers_are_as_rare_as_said() -> None:
    random = np.random.default_rng(0)
    values = random.normal(-1, 0.05, (4000, 20))
    weak = replace(PRIOR, occasion=replace(PRIOR.occasion, freedom=1e-9))
    found = np.mean([is_outlier(row[0], list(row[1:]), prior=weak, confidence=0.99) for row in values])
    assert 0.006 < found < 0.014


def test_the_priors_are_those_of_the_published_studies() -> None:
    settings = [setting for study in STUDIES for setting in settings_of(ROOT / study)]
    for kind, components in priors_of(settings).items():
        for name, component in vars(components).items():
            told = getattr(PRIORS[kind], name)
            assert told.variance**0.5 == pytest.approx(component.variance**0.5, abs=6e-5), (kind, name)
            assert told.freedom == pytest.approx(component.freedom, abs=0.06), (kind, name)
