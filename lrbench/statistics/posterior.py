"""How probable it is that an accuracy, a drop in accuracy or a latency ratio keeps to a limit.

An accuracy on n images has Jeffreys' prior, hence a Beta posterior (Brown, Cai & DasGupta 2001). A drop between two
models is that of matched proportions, with Jeffreys' prior on the images that were lost, won and neither (Altham 1971),
or the difference of two independent Betas where nobody kept which images they were; either is taken as normal. Several
seeds are pooled: the images count once, since all seeds see the same ones. That is what is known of these very weights;
of what would be trained again `with_luck` tells, which makes Student's t of either (of a Beta by its normal scores). A
log latency ratio has the Student t posterior behind its interval (flat prior on mean and log scale; Gelman et al. 2013,
section 3.2).
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, betaincinv, ndtr, ndtri, stdtr, stdtrit

from lrbench.statistics.components import Component
from lrbench.statistics.luck import PRIOR_OF_ACCURACY, deviations_of, pooled, with_luck
from lrbench.statistics.paired import Estimate

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
"""Of every interval of an accuracy."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Right answers of one point of a sweep at one stage, by seed, on the same images.

    Attributes:
        correct: by seed, how many.
        samples: how many images.
        right: which, (seeds, images) of 0 and 1; None where that was not kept.
    """

    correct: Mapping[Hashable, int]
    samples: int
    right: Floats | None

    @property
    def accuracies(self) -> Floats:
        """By seed, 0..1."""
        return np.array(list(self.correct.values())) / self.samples

    @property
    def each(self) -> Floats:
        """What each seed has on each image where that was kept, else its accuracy, (seeds, images or 1)."""
        return self.accuracies[:, None] if self.right is None else self.right


@dataclass(frozen=True, kw_only=True)
class Share:
    """The posterior of an accuracy, by the mean and standard deviation of a Beta, and the freedom of its error."""

    mean: float
    error: float
    freedom: float = inf

    def at_least(self, limit: float) -> float:
        """The probability of at least this accuracy."""
        chance = float(betaincc(*self._shape, min(max(limit, 0.0), 1.0)))
        return chance if self.freedom == inf else float(stdtr(self.freedom, ndtri(chance)))

    def interval(self) -> tuple[float, float]:
        """The equal-tailed interval."""
        low, high = betaincinv(*self._shape, ndtr(_ends(self.freedom)))
        return float(low), float(high)

    def with_luck(self, luck: Component, trainings: float) -> "Share":
        """The accuracy of what would be trained again; arguments as `luck.with_luck` has them."""
        error, freedom = with_luck(self.error**2, luck, trainings)
        return Share(mean=self.mean, error=float(error), freedom=float(freedom))

    @property
    def _shape(self) -> tuple[float, float]:
        weight = max(1.0, self.mean * (1 - self.mean) / self.error**2 - 1)  # never less than the prior's own
        return self.mean * weight, (1 - self.mean) * weight


@dataclass(frozen=True, kw_only=True)
class Drop:
    """The posterior of a drop in accuracy (0.01: a point): Student's t, which is normal with endless freedom."""

    mean: float
    error: float
    freedom: float = inf

    def at_most(self, limit: float) -> float:
        """The probability of at most this drop."""
        return float(stdtr(self.freedom, (limit - self.mean) / self.error))

    def interval(self) -> tuple[float, float]:
        """The equal-tailed interval."""
        low, high = self.mean + self.error * _ends(self.freedom)
        return float(low), float(high)

    def with_luck(self, luck: Component, trainings: float) -> "Drop":
        """The drop of what would be trained again; arguments as `luck.with_luck` has them."""
        error, freedom = with_luck(self.error**2, luck, trainings)
        return Drop(mean=self.mean, error=float(error), freedom=float(freedom))


def half_widths(errors: Floats, freedom: Floats) -> Floats:
    """How far intervals reach to either side."""
    reach: Floats = errors * stdtrit(freedom, (1 + CONFIDENCE) / 2)
    return reach


def luck_of(points: Iterable[Answers]) -> Component:
    """The luck of a training, of an accuracy, by what the seeds of points answered."""
    return pooled([deviations_of(point.each) for point in points if len(point.correct) > 1], PRIOR_OF_ACCURACY)


def share_of(answers: Answers) -> Share:
    """The posterior of the mean accuracy of these very weights."""
    mean, variance = _jeffreys(answers)
    return Share(mean=mean, error=sqrt(variance))


def drop_between(before: Answers, after: Answers) -> Drop:
    """The posterior of what these very weights lose to others on average, seed by seed (both in the same order).

    Image by image where both sides kept their answers, else as two independent samples of images.
    """
    each = lost_by_each(before, after)
    if each.shape[1] > 1:
        lost = each.mean(axis=0)
        weight = len(lost) + 1.5  # half an image each of lost, won and neither
        mean = float(lost.sum()) / weight
        images = ((float((lost**2).sum()) + 1) / weight - mean**2) / (weight + 1)
    else:
        (high, wide), (low, narrow) = _jeffreys(before), _jeffreys(after)
        mean, images = high - low, wide + narrow
    return Drop(mean=mean, error=sqrt(images))


def lost_by_each(before: Answers, after: Answers) -> Floats:
    """What each seed lost on each image where both sides kept that, else what it lost in all, (seeds, images or 1)."""
    old, new = before.right, after.right
    if old is not None and new is not None and old.shape == new.shape:
        return old - new
    return (before.accuracies - after.accuracies)[:, None]


def latency_at_most(timing: Estimate, limit: float) -> float:
    """The probability of at most this latency ratio; NaN for a single layout, which has no spread.

    With a flat prior it equals the one-sided p-value against a true ratio of at most `limit`.
    """
    return timing.chance_above(limit) if timing.freedom >= 1 else nan


def _jeffreys(answers: Answers) -> tuple[float, float]:
    """Mean and variance of Beta(right + 1/2, wrong + 1/2), with the right answers of a mean seed."""
    mean = (sum(answers.correct.values()) / len(answers.correct) + 0.5) / (answers.samples + 1)
    return mean, mean * (1 - mean) / (answers.samples + 2)


def _ends(freedom: float) -> Floats:
    """The ends of the interval of Student's t."""
    ends: Floats = stdtrit(freedom, np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    return ends


def unpack(mask: str, samples: int) -> Floats:
    """Which images were answered rightly, 0 or 1 each, from a cell of `answers.csv`."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(mask), dtype=np.uint8), count=samples).astype(float)


def stack_right(masks: Sequence[str | None], samples: int) -> Floats | None:
    """The answers of several seeds, (seeds, images); None unless all were kept."""
    return np.array([unpack(mask, samples) for mask in masks if mask]) if all(masks) else None
