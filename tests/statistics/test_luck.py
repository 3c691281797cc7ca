"""Training noise against numpy by hand, in worlds whose truth is known, and its prior against the published studies."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f

from bench.study_components import ROOT, most_likely
from lrbench.report.frames.pooling import STAGE, answers_of, points_of
from lrbench.report.frames.rivals import RIVALS
from lrbench.report.results import Results
from lrbench.statistics.components import Component, Deviations
from lrbench.statistics.luck import PRIOR, PRIOR_OF_ACCURACY, SHARED, deviations_of, pooled, with_luck
from lrbench.statistics.posterior import lost_by_each

SEEDS = st.lists(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=4), min_size=1, max_size=6)


@given(SEEDS)
def test_where_only_accuracies_are_known_the_variance_is_pooled_by_degrees_of_freedom(
    points: list[list[float]],
) -> None:
    found = pooled([deviations_of(np.array(seeds)[:, None]) for seeds in points], PRIOR)
    squares = sum((len(seeds) - 1) * float(np.var(seeds, ddof=1)) for seeds in points)
    own = sum(len(seeds) - 1 for seeds in points)
    freedom = own / (1 + (len(points) - 1) / 4)
    assert found.freedom == pytest.approx(PRIOR.freedom + freedom)
    by_hand = (PRIOR.freedom * PRIOR.variance + freedom * squares / own) / (PRIOR.freedom + freedom)
    assert found.variance == pytest.approx(by_hand)


def test_without_several_seeds_the_prior_is_all_that_is_known() -> None:
    assert pooled([], PRIOR) == PRIOR
    assert pooled([deviations_of(np.ones((1, 50)))], PRIOR) == PRIOR


def test_points_that_share_a_control_deviate_together_as_assumed() -> None:
    """The squared correlation of the drops of two points, each with its own luck and both with their control's."""
    random = np.random.default_rng(0)
    control, own = random.normal(size=(100_000, 2, 1)), random.normal(size=(100_000, 2, 2))
    squares = (control - own).var(axis=1, ddof=1)
    assert np.corrcoef(squares.T)[0, 1] == pytest.approx(SHARED, abs=0.02)


def world(random: np.random.Generator, *, points: int, seeds: int, images: int, luck: float) -> Iterator[np.ndarray]:
    """What seeds get right on the same images, of which each seed decides some by chance; luck moves all of them."""
    for _ in range(points):
        ease = random.normal(0.8, 1.0, images)
        shift = luck / 0.28 * random.normal(size=(seeds, 1))  # the density of ease there
        yield (ease + shift + 0.2 * random.normal(size=(seeds, images)) > 0).astype(float)


@pytest.mark.parametrize("luck", [0.0, 0.005, 0.02])
def test_the_luck_of_training_is_recovered_from_few_images(luck: float) -> None:
    """By the scatter of seeds alone even seeds without luck would seem to have some: they decide images by chance."""
    random, vague = np.random.default_rng(3), Component(variance=1e-12, freedom=1e-6)
    seen = [deviations_of(right) for right in world(random, points=400, seeds=3, images=500, luck=luck)]
    found = pooled(seen, vague).variance ** 0.5
    assert found == pytest.approx(luck, rel=0.1, abs=0.002)
    alone = pooled([replace(one, noise=0.0) for one in seen], vague).variance ** 0.5
    assert alone > found + 0.0005


def test_the_error_of_a_mean_over_seeds_covers_as_often_as_it_says() -> None:
    """Few points tell the luck of all: intervals by Student's t hold what they say, normal ones do not."""
    random, hits, normal = np.random.default_rng(4), [], []
    for _ in range(3000):
        luck = np.sqrt(PRIOR.variance * PRIOR.freedom / random.chisquare(PRIOR.freedom))
        pair, image = luck * random.normal(size=(1, 2, 1)), 0.001
        known = pooled([deviations_of(one) for one in pair], PRIOR)
        error, freedom = with_luck(image**2, known, 1.0)
        off = abs(luck * random.normal() + image * random.normal()) / error
        quantile = abs(np.quantile(random.standard_t(freedom, 4000), 0.05))
        hits.append(off <= quantile)
        normal.append(off <= 1.645)
    assert np.mean(hits) == pytest.approx(0.9, abs=0.02)
    assert np.mean(normal) < 0.88


@given(st.floats(1e-8, 1e-3), st.integers(1, 5), st.floats(1e-7, 1e-3), st.floats(1, 50))
def test_one_seed_is_never_surer_than_more(images: float, seeds: int, variance: float, freedom: float) -> None:
    luck = Component(variance=variance, freedom=freedom)
    one, more = (with_luck(images, luck, 1 / count) for count in (1, seeds))
    assert more[0] <= one[0]
    assert more[1] >= one[1] >= freedom * (1 - 1e-12)


def deviations(study: str, *, drops: bool) -> Iterator[Deviations]:
    """How seeds deviate on the test split, for each recipe of a study."""
    results = Results(ROOT / study)
    for _, trials in results.done.groupby(RIVALS, sort=False):
        groups = [members for members in points_of(trials) if len(members) > 1]
        answers = [answers_of(members, results.right, stage=STAGE["test"], split="test") for members in groups]
        controls = {tuple(one["seed"] for one in members): i for i, members in enumerate(groups) if is_dense(members)}
        seen = [
            deviations_of(lost_by_each(answers[controls[seeds_of(members)]], mine) if drops else mine.each)
            for members, mine in zip(groups, answers, strict=True)
            if not (drops and is_dense(members))
        ]
        if seen:
            share = 1 / (1 + (len(seen) - 1) * (SHARED if drops else 0))
            sums = np.sum([(one.squares, one.noise, one.loading, one.freedom) for one in seen], axis=0) * share
            yield Deviations(**dict(zip(("squares", "noise", "loading", "freedom"), sums.tolist(), strict=True)))


def is_dense(members: list) -> bool:
    return members[0]["scheme"] == "dense"


def seeds_of(members: list) -> tuple:
    return tuple(one["seed"] for one in members)


def test_the_prior_follows_from_the_published_studies() -> None:
    by_drops, by_accuracies = (most_likely(list(deviations("imagenette", drops=drops))) for drops in (True, False))
    assert 2 * by_accuracies.variance < PRIOR.variance < by_drops.variance
    assert 100 * by_drops.variance**0.5 == pytest.approx(0.33, abs=0.005)
    assert 100 * (2 * by_accuracies.variance) ** 0.5 == pytest.approx(0.28, abs=0.005)
    (digits,) = deviations("truncation", drops=True)
    ratio = digits.squares / digits.loading / PRIOR.variance
    chances = [f.sf(ratio, digits.freedom, freedom) for freedom in (PRIOR.freedom, by_drops.freedom)]
    assert chances[1] < 0.01 < chances[0], "digits are a surprise to a prior as sure as imagenette is"
    assert PRIOR_OF_ACCURACY.variance == PRIOR.variance / 2, "that of a point without its control"
