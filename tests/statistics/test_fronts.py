"""Fronts against the definition over all pairs, leads against `drop_between`, chances where the truth is plain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from lrbench.statistics.components import Component
from lrbench.statistics.fronts import front_chances, lead, near_front, resample_accuracies, unbeaten, worths_of
from lrbench.statistics.posterior import Answers, drop_between

LUCK, NONE = Component(variance=0.01**2, freedom=5.0), Component(variance=0.0, freedom=5.0)
POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=20)


def by_definition(points: list[tuple[int, int, bool]]) -> list[bool]:
    return [
        not any(
            counts and cost <= own_cost and worth >= own_worth and (cost, worth) != (own_cost, own_worth)
            for cost, worth, counts in points
        )
        for own_cost, own_worth, _ in points
    ]


@given(POINTS, POINTS)
def test_the_unbeaten_are_those_of_the_definition(
    one: list[tuple[int, int, bool]], other: list[tuple[int, int, bool]]
) -> None:
    size = min(len(one), len(other))
    one, other = one[:size], [(cost, worth, one[i][2]) for i, (cost, worth, _) in enumerate(other[:size])]
    costs, worths = (np.array([[point[k] for point in points] for points in (one, other)], float) for k in (0, 1))
    counts = np.array([point[2] for point in one], bool)
    assert unbeaten(costs, worths, counts).tolist() == [by_definition(one), by_definition(other)]
    assert unbeaten(costs[0], worths[0], counts).tolist() == by_definition(one)


def answers(right: np.ndarray | list[list[int]], *, kept: bool = True) -> Answers:
    seen = np.array(right, float)
    correct = {seed: int(row.sum()) for seed, row in enumerate(seen)}
    return Answers(correct=correct, samples=seen.shape[1], right=seen if kept else None)


def drawn(shares: list[float], *, images: int, seed: int = 0) -> Answers:
    random = np.random.default_rng(seed)
    return answers(np.array([random.random(images) < share for share in shares]))


MODELS = st.lists(st.tuples(st.integers(1, 4), st.floats(0, 1), st.integers(0, 99)), max_size=8)


@pytest.mark.parametrize("kept", [True, False])
@given(MODELS)
def test_the_points_near_the_front_are_those_of_the_definition(
    kept: bool, models: list[tuple[int, float, int]]
) -> None:
    points = [answers(drawn([share], images=40, seed=seed).right, kept=kept) for _, share, seed in models]
    costs, worths = np.array([model[0] for model in models], float), np.array([p.accuracies.mean() for p in points])
    front = unbeaten(costs, worths, np.ones(len(points), bool))

    def is_told_apart(i: int, j: int) -> bool:
        (mean,), (reach,) = lead(points[i], [points[j]], NONE)
        return bool(mean > reach / 1.959963984540054)

    rivals = [[i for i in np.flatnonzero(front) if costs[i] <= costs[j]] for j in range(len(points))]
    expected = [front[j] or not any(is_told_apart(i, j) for i in rivals[j]) for j in range(len(points))]
    assert near_front(costs, worths, points, NONE).tolist() == expected


def test_a_point_a_standard_error_behind_is_near_and_one_farther_is_not() -> None:
    """100 images, of which the front's point is right on 90; each other loses some of these and wins none."""
    points = [answers([[1] * count + [0] * (100 - count)]) for count in (90, 90, 89, 88, 80)]
    costs = np.array([1.0, 2.0, 2.0, 2.0, 2.0])
    worths = np.array([point.accuracies.mean() for point in points])
    assert near_front(costs, worths, points, NONE).tolist() == [True, True, True, False, False]
    assert near_front(np.arange(5.0)[::-1], worths, points, NONE).all(), "what is cheaper is not behind"
    assert near_front(costs, worths, points, LUCK).tolist() == [True, True, True, True, False]


def test_of_equal_accuracies_that_of_less_loss_is_worth_a_hair_more() -> None:
    worths = worths_of(np.array([0.5, 0.5, 0.6, 0.5]), np.array([2.0, 1.0, 9.0, np.nan]))
    assert np.argsort(worths).tolist() == [0, 1, 3, 2]
    assert np.abs(worths - [0.5, 0.5, 0.6, 0.5]).max() < 1e-8


@pytest.mark.parametrize("kept", [True, False])
def test_a_lead_is_the_drop_to_each_other_point(kept: bool) -> None:
    points = [answers(drawn([share], images=200, seed=i).right, kept=kept) for i, share in enumerate((0.9, 0.8, 0.5))]
    means, reach = lead(points[0], points, LUCK)
    for i, other in enumerate(points):
        drop = drop_between(points[0], other).with_luck(LUCK, 2.0)
        low, high = drop.interval()
        assert (means[i], reach[i]) == (pytest.approx(drop.mean, abs=1e-6), pytest.approx((high - low) / 2, abs=1e-6))


def test_a_lead_over_one_seed_is_less_sure_than_one_over_three() -> None:
    right = [1] * 95 + [0] * 5
    point, one, three = answers([[1] * 99 + [0]]), answers([right]), answers([right] * 3)
    means, reach = lead(point, [one, three], Component(variance=0.02**2, freedom=4))
    assert means[0] == means[1]
    assert reach[0] > reach[1]


def test_resampling_is_paired_centred_and_always_the_same() -> None:
    points = [drawn([0.8, 0.7], images=300), drawn([0.8, 0.7], images=300), drawn([0.5], images=300, seed=9)]
    found = resample_accuracies(points, LUCK)
    assert (found == resample_accuracies(points, LUCK)).all()
    assert found.mean(axis=0) == pytest.approx([point.accuracies.mean() for point in points], abs=0.01)
    single = resample_accuracies([drawn([0.8], images=300), drawn([0.8], images=300)], NONE)
    assert (single[:, 0] == single[:, 1]).all(), "but for their training, equal answers stay equal on every draw"
    lone = answers(drawn([0.8], images=300).right, kept=False)
    apart = resample_accuracies([lone, lone], NONE)
    assert (apart[:, 0] != apart[:, 1]).mean() > 0.5, "of whom nobody knows which images they got right"
    assert apart.std(axis=0) == pytest.approx([(0.8 * 0.2 / 300) ** 0.5] * 2, rel=0.15)


def test_resampled_points_are_trained_anew() -> None:
    """As far apart as luck says, for a point of three seeds less than for one of a single seed."""
    right = np.ones((1, 50))
    found = resample_accuracies([answers(np.repeat(right, seeds, axis=0)) for seeds in (1, 3)], LUCK)
    kept = np.quantile(found - 1, [0.025, 0.975], axis=0)
    assert kept[1] == pytest.approx(0.01 * t.ppf(0.975, LUCK.freedom) / np.sqrt([1, 3]), rel=0.15)
    assert kept[0] == pytest.approx(-kept[1], rel=0.25)


def test_more_points_are_resampled_less_often() -> None:
    few, many = (resample_accuracies([drawn([0.5], images=8)] * count, LUCK) for count in (2, 20_000))
    assert (len(few), len(many)) == (1000, 500)


def test_a_lone_point_of_the_front_is_sure_and_a_beaten_one_is_not() -> None:
    cheap, good, worse = (drawn([share], images=400, seed=i) for i, share in enumerate((0.6, 0.95, 0.7)))
    worths = resample_accuracies([cheap, good, worse], LUCK)
    chances = front_chances(np.array([1.0, 2.0, 3.0]), worths, np.ones(3, bool))
    assert chances.tolist() == [1.0, 1.0, 0.0]
    assert front_chances(np.array([1.0, 2.0, 3.0]), worths, np.array([True, False, False]))[2] > 0.99


def test_two_of_equal_cost_and_worth_share_the_front() -> None:
    right = drawn([0.8], images=400).right
    worths = resample_accuracies([answers(right), answers(right[:, ::-1])], LUCK)
    chances = front_chances(np.ones(2), worths, np.ones(2, bool))
    ties = (worths[:, 0] == worths[:, 1]).mean()
    assert chances.sum() == pytest.approx(1 + ties)
    assert (chances > 0.4).all()
