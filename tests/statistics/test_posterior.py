"""Probabilities against scipy, against counting every table of a Dirichlet, and against worlds whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, t

from lrbench.statistics.components import Component
from lrbench.statistics.paired import estimate
from lrbench.statistics.posterior import Answers, Drop, Share, drop_between, latency_at_most, share_of, unpack


def answers(correct: list[int], samples: int, right: np.ndarray | None = None) -> Answers:
    return Answers(correct=dict(enumerate(correct)), samples=samples, right=right)


@given(st.integers(1, 5000), st.floats(0, 1), st.floats(0, 1))
def test_one_seed_has_the_beta_posterior_of_jeffreys(samples: int, share: float, limit: float) -> None:
    correct = round(share * samples)
    found = share_of(answers([correct], samples))
    exact = beta(correct + 0.5, samples - correct + 0.5)
    assert found.at_least(limit) == pytest.approx(exact.sf(limit), abs=1e-6)
    assert found.interval() == pytest.approx(exact.interval(0.95), abs=1e-6)


def matched(lost: int, won: int, samples: int) -> tuple[Answers, Answers]:
    """Two models on the same images, of which so many were lost and won."""
    old, new = np.zeros((1, samples)), np.zeros((1, samples))
    old[0, :lost] = new[0, lost : lost + won] = 1
    return answers([lost], samples, old), answers([won], samples, new)


@pytest.mark.parametrize(("lost", "won", "samples"), [(30, 10, 400), (3, 3, 200), (60, 2, 1000), (0, 0, 500)])
def test_a_paired_drop_is_that_of_a_dirichlet_by_monte_carlo(lost: int, won: int, samples: int) -> None:
    found = drop_between(*matched(lost, won, samples))
    shares = np.random.default_rng(0).dirichlet([lost + 0.5, won + 0.5, samples - lost - won + 0.5], 400_000)
    drawn = shares[:, 0] - shares[:, 1]
    assert found.mean == pytest.approx(drawn.mean(), abs=1e-4)
    assert found.error == pytest.approx(drawn.std(), rel=0.01)
    if lost + won > 20:  # enough for a normal
        for limit in np.quantile(drawn, [0.05, 0.3, 0.5, 0.9]):
            assert found.at_most(limit) == pytest.approx((drawn <= limit).mean(), abs=0.015)


@given(st.integers(1, 400), st.integers(0, 400), st.integers(0, 400))
def test_without_images_to_pair_a_drop_is_the_difference_of_two_betas(samples: int, one: int, other: int) -> None:
    old, new = min(one, samples), min(other, samples)
    found = drop_between(answers([old], samples), answers([new], samples))
    before, after = (beta(right + 0.5, samples - right + 0.5) for right in (old, new))
    assert found.mean == pytest.approx(before.mean() - after.mean())
    assert found.error == pytest.approx(np.hypot(before.std(), after.std()))


def test_pairing_tells_more_than_two_independent_samples() -> None:
    before, after = matched(20, 5, 400)
    paired = drop_between(before, after)
    apart = drop_between(answers([200], 400), answers([185], 400))
    assert paired.mean == pytest.approx(apart.mean, abs=2e-4)
    assert paired.error < apart.error / 2


def test_images_count_once_however_many_seeds_there_are() -> None:
    same, apart = (share_of(answers(correct, 1000)) for correct in ([900, 900, 900], [870, 900, 930]))
    alone = share_of(answers([900], 1000))
    assert (same.mean, same.error) == pytest.approx((alone.mean, alone.error)), "three seeds are not 3,000 images"
    assert (apart.mean, apart.error) == (same.mean, same.error), "how far seeds scatter is pooled over points"


@given(st.integers(1, 4), st.floats(1e-4, 0.05), st.floats(2, 40))
def test_training_noise_widens_by_the_variance_of_a_mean_over_seeds(seeds: int, spread: float, freedom: float) -> None:
    luck = Component(variance=spread**2, freedom=freedom)
    share, drop = share_of(answers([900], 1000)), Drop(mean=0.01, error=0.005)
    for before, after in ((share, share.with_luck(luck, 1 / seeds)), (drop, drop.with_luck(luck, 1 / seeds))):
        assert after.error == pytest.approx(np.hypot(before.error, spread / seeds**0.5))
        assert after.mean == before.mean
        (low, high), (lowest, highest) = before.interval(), after.interval()
        assert lowest < low < high < highest
    again = drop.with_luck(luck, 1 / seeds)
    exact = t(again.freedom, again.mean, again.error)
    assert again.interval() == pytest.approx(exact.interval(0.95))
    assert again.at_most(0.02) == pytest.approx(exact.cdf(0.02))
    assert 0 <= share_of(answers([0, 10], 10)).with_luck(luck, 1).interval()[1] <= 1


def test_a_probability_comes_true_as_often_as_it_says() -> None:
    """Truth drawn from the prior, answers drawn from the truth: of what is 80 % probable, 80 % is true."""
    random = np.random.default_rng(1)
    shares = random.dirichlet([0.5, 0.5, 0.5], 3000)
    said, held = [], []
    for lost, won, neither in shares:
        counts = random.multinomial(200, [lost, won, neither])
        limit = (counts[0] - counts[1]) / 200 + random.normal(0, 0.05)
        said.append(drop_between(*matched(counts[0], counts[1], 200)).at_most(limit))
        held.append(lost - won <= limit)
    probable, true = np.array(said), np.array(held)
    for low, high in ((0.1, 0.3), (0.3, 0.7), (0.7, 0.9)):
        band = (low < probable) & (probable < high)
        assert band.sum() > 100
        assert true[band].mean() == pytest.approx(probable[band].mean(), abs=0.05)


@given(st.floats(0.2, 2), st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_a_latency_ratio_has_the_posterior_of_scipys_t(limit: float, layouts: int, seed: int) -> None:
    logs = np.random.default_rng(seed).normal(-0.3, 0.1, layouts)
    found = latency_at_most(estimate([logs]), limit)
    assert found == pytest.approx(t.cdf(np.log(limit), layouts - 1, logs.mean(), logs.std(ddof=1) / layouts**0.5))


def test_the_interval_ends_where_half_a_percent_is_left() -> None:
    timing = estimate([np.random.default_rng(0).normal(-0.3, 0.1, 12)])
    assert latency_at_most(timing, timing.ratio().high) == pytest.approx(0.995)
    assert latency_at_most(timing, timing.ratio().low) == pytest.approx(0.005)


def test_a_single_layout_gives_no_probability() -> None:
    assert np.isnan(latency_at_most(estimate([np.array([-1.0])]), 0.9))


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_answers_are_unpacked_as_they_were_packed(right: list[bool]) -> None:
    assert unpack(np.packbits(right).tobytes().hex(), len(right)).tolist() == right


@given(st.floats(-0.5, 0.5), st.floats(1e-3, 0.2), st.floats(0.01, 0.99))
def test_intervals_hold_95_percent(mean: float, error: float, share: float) -> None:
    low, high = Drop(mean=mean, error=error).interval()
    drop = Drop(mean=mean, error=error)
    assert drop.at_most(high) - drop.at_most(low) == pytest.approx(0.95)
    posterior = Share(mean=share, error=0.1 * (share * (1 - share)) ** 0.5)
    low, high = posterior.interval()
    assert posterior.at_least(low) - posterior.at_least(high) == pytest.approx(0.95)
    few = Share(mean=share, error=posterior.error, freedom=4.0)
    assert few.at_least(few.interval()[0]) == pytest.approx(0.975)
    assert few.interval()[0] < low
