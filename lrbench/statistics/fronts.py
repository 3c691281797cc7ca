"""Which of many points lie on the front of a cost and an accuracy, how sure that is, and which cannot be told apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lrbench.statistics.components import Component
from lrbench.statistics.luck import with_luck
from lrbench.statistics.posterior import Answers, Floats, half_widths, share_of

Bools = NDArray[np.bool_]

RESAMPLES, FEWEST, MOST_VALUES = 1000, 100, 10_000_000
"""How often is resampled; less often where points times resamples are more than `MOST_VALUES`, but never less than
`FEWEST` times."""

HAIR = 1e-9
"""Less than any difference in accuracy."""

NEAR = 1.0
"""Standard errors of a lead up to which a point is near the front."""

BLOCK = 50
"""Resamples that are worked on at a time."""


def worths_of(accuracies: Floats, losses: Floats) -> Floats:
    """Accuracies, of equal ones that of less loss a hair larger, (K,); a loss that is NaN counts as the least."""
    ranks = rankdata(losses, nan_policy="omit") / max(1, np.count_nonzero(~np.isnan(losses)))
    worths: Floats = accuracies - HAIR * np.nan_to_num(ranks)
    return worths


def unbeaten(costs: Floats, worths: Floats, counts: Bools) -> Bools:
    """Which points no other beats: by being at least as good in cost and in worth, and better in one.

    Args:
        costs: that are to be small, (K,) or (R, K).
        worths: that are to be large, of the same shape.
        counts: which points can beat others, (K,).
    """
    costs, worths = np.broadcast_arrays(costs, worths)
    order = np.lexsort((-worths, costs), axis=-1)
    cost, worth = (np.take_along_axis(values, order, axis=-1) for values in (costs, worths))
    rivals = np.where(counts[order], worth, -np.inf)
    start = np.full((*cost.shape[:-1], 1), -np.inf)
    before = np.concatenate([start, np.maximum.accumulate(rivals, axis=-1)[..., :-1]], axis=-1)
    twin = np.zeros(cost.shape, bool)  # of the point before it in order, which then beats no more than it is beaten
    twin[..., 1:] = (cost[..., 1:] == cost[..., :-1]) & (worth[..., 1:] == worth[..., :-1])
    first = np.maximum.accumulate(np.where(twin, 0, np.arange(cost.shape[-1])), axis=-1)
    good = np.take_along_axis(worth > before, first, axis=-1)
    result = np.empty(cost.shape, bool)
    np.put_along_axis(result, order, good, axis=-1)
    return result


def lead(point: Answers, others: Sequence[Answers], luck: Component) -> tuple[Floats, Floats]:
    """By how much a point is more accurate than each of others, and how far the interval of that reaches, (K,) each.

    As `drop_between` has it, with the luck of the trainings of both, however many there were.

    Args:
        point: which leads, or not.
        others: on the same images.
        luck: of an accuracy.
    """
    mean, errors, freedom = _lead(point, others, luck)
    return mean, half_widths(errors, freedom)


def _lead(point: Answers, others: Sequence[Answers], luck: Component) -> tuple[Floats, Floats, Floats]:
    """The leads, their standard errors and the degrees of freedom of these."""
    field = [point, *others]
    trainings = np.array([1 / len(answers.correct) for answers in field])
    right = _mean_right(field)
    if right is None:
        shares = [share_of(answers) for answers in field]
        means, errors = (np.array([getattr(share, name) for share in shares]) for name in ("mean", "error"))
        mean, images = means[0] - means[1:], errors[0] ** 2 + errors[1:] ** 2
    else:
        lost = right[0] - right[1:]
        weight = lost.shape[1] + 1.5  # half an image each of lost, won and neither
        mean = lost.sum(axis=1, dtype=float) / weight
        images = ((np.einsum("kn,kn->k", lost, lost, dtype=float) + 1) / weight - mean**2) / (weight + 1)
    return mean, *with_luck(images, luck, trainings[0] + trainings[1:])


def near_front(costs: Floats, worths: Floats, points: Sequence[Answers], luck: Component) -> Bools:
    """Which points are on the front of cost and accuracy, or near it, (K,).

    Near: no point of the front that is at most as dear leads by more than `NEAR` standard errors of that lead, paired
    by images where it was kept which were right (see `lead`).

    Args:
        costs: that are to be small, (K,).
        worths: of `worths_of`, (K,).
        points: what they answered.
        luck: of an accuracy.
    """
    front = unbeaten(costs, worths, np.ones(len(points), bool))
    near = np.ones(len(points), bool)
    for i in map(int, np.flatnonzero(front)):
        dearer = np.flatnonzero(~front & near & (costs >= costs[i]))
        means, errors, _ = _lead(points[i], [points[int(j)] for j in dearer], luck)
        near[dearer] = means <= NEAR * errors
    return near


def resample_accuracies(points: Sequence[Answers], luck: Component) -> Floats:
    """Accuracies of points on images drawn anew with replacement, trained anew, (resamples, K); always the same.

    All points meet the same images. Where it was not kept which of them they got right, each point meets its own. How
    large the luck of a training is, is drawn too.

    Args:
        points: a mean over seeds each.
        luck: of an accuracy.
    """
    random = np.random.default_rng(0)
    resamples = max(FEWEST, min(RESAMPLES, MOST_VALUES // max(1, len(points))))
    right = _mean_right(points)
    if right is not None:
        images = right.shape[1]
        drawn = [
            random.multinomial(images, np.full(images, 1 / images), min(BLOCK, resamples - start)).astype(np.float32)
            for start in range(0, resamples, BLOCK)
        ]
        accuracies = np.concatenate([(times @ right.T) / images for times in drawn])
    else:
        shares = np.array([point.accuracies.mean() for point in points])
        samples = np.array([point.samples for point in points])
        accuracies = random.binomial(samples, shares, (resamples, len(points))) / samples
    spread = np.sqrt(luck.variance * luck.freedom / random.chisquare(luck.freedom, (resamples, 1)))
    trainings = np.array([1 / len(point.correct) for point in points])
    drawn_means: Floats = accuracies + spread * np.sqrt(trainings) * random.normal(size=accuracies.shape)
    return drawn_means


def front_chances(costs: Floats, worths: Floats, counts: Bools) -> Floats:
    """In which share of the resamples no other point beats each point, (K,).

    Args:
        costs: (K,), or (resamples, K).
        worths: (resamples, K).
        counts: as in `unbeaten`.
    """
    costs = np.broadcast_to(costs, worths.shape)
    blocks = [slice(start, start + BLOCK) for start in range(0, len(worths), BLOCK)]
    fronts = sum(unbeaten(costs[block], worths[block], counts).sum(axis=0) for block in blocks)
    return np.asarray(fronts, float) / len(worths)


def _are_paired(points: Sequence[Answers]) -> bool:
    """Whether it was kept of all points which images they got right, and these are equally many."""
    return all(point.right is not None and point.samples == points[0].samples for point in points)


def _mean_right(points: Sequence[Answers]) -> NDArray[np.float32] | None:
    """By point the share of its seeds that are right on each image, (K, images); None where they cannot be paired."""
    if not _are_paired(points):
        return None
    return np.array([point.right.mean(axis=0) for point in points if point.right is not None], np.float32)
