"""How probable it is that an accuracy, a drop in accuracy or a latency ratio keeps to a limit.

An accuracy on n images has Jeffreys' prior, hence a Beta posterior (Brown, Cai & DasGupta 2001). A drop between two
models is that of matched proportions, with Jeffreys' prior on the images that were lost, won and neither (Altham 1971),
or the difference of two independent Betas where nobody kept which images they were; either is taken as normal. Several
seeds are pooled: the images count once, since all seeds see the same ones, and the spread of the seeds widens the
posterior. A single seed tells nothing of that spread. A log latency ratio has the Student t posterior behind its
interval (flat prior on mean and log scale; Gelman et al. 2013, section 3.2).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc
from scipy.stats import beta, norm

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
    def between(self) -> float:
        """Squared standard error of the mean accuracy over seeds; 0 for a single one."""
        return _between(self.accuracies)


@dataclass(frozen=True, kw_only=True)
class Share:
    """The Beta posterior of an accuracy, by its mean and standard deviation."""

    mean: float
    error: float

    def at_least(self, limit: float) -> float:
        """The probability of at least this accuracy."""
        return float(betaincc(*self._shape, min(max(limit, 0.0), 1.0)))

    def interval(self) -> tuple[float, float]:
        """The equal-tailed interval."""
        low, high = beta.interval(CONFIDENCE, *self._shape)
        return float(low), float(high)

    @property
    def _shape(self) -> tuple[float, float]:
        weight = max(1.0, self.mean * (1 - self.mean) / self.error**2 - 1)  # never less than the prior's own
        return self.mean * weight, (1 - self.mean) * weight


@dataclass(frozen=True, kw_only=True)
class Drop:
    """The normal posterior of a drop in accuracy (0.01: a point), by its mean and standard deviation."""

    mean: float
    error: float

    def at_most(self, limit: float) -> float:
        """The probability of at most this drop."""
        return float(norm.cdf(limit, self.mean, self.error))

    def interval(self) -> tuple[float, float]:
        """The equal-tailed interval."""
        low, high = norm.interval(CONFIDENCE, self.mean, self.error)
        return float(low), float(high)


def share_of(answers: Answers) -> Share:
    """The posterior of an accuracy: of the mean over the seeds."""
    mean, variance = _jeffreys(answers)
    return Share(mean=mean, error=sqrt(variance + answers.between))


def drop_between(before: Answers, after: Answers) -> Drop:
    """The posterior of what is lost from one model to another, seed by seed (both in the same order).

    Image by image where both sides kept their answers, else as two independent samples of images.
    """
    seeds = _between(before.accuracies - after.accuracies)
    old, new = before.right, after.right
    if old is not None and new is not None and old.shape == new.shape:
        lost = (old - new).mean(axis=0)
        weight = len(lost) + 1.5  # half an image each of lost, won and neither
        mean = float(lost.sum()) / weight
        images = ((float((lost**2).sum()) + 1) / weight - mean**2) / (weight + 1)
    else:
        (high, wide), (low, narrow) = _jeffreys(before), _jeffreys(after)
        mean, images = high - low, wide + narrow
    return Drop(mean=mean, error=sqrt(images + seeds))


def latency_at_most(timing: Estimate, limit: float) -> float:
    """The probability of at most this latency ratio; NaN for a single layout, which has no spread.

    With a flat prior it equals the one-sided p-value against a true ratio of at most `limit`.
    """
    return timing.chance_above(limit) if timing.freedom >= 1 else nan


def _jeffreys(answers: Answers) -> tuple[float, float]:
    """Mean and variance of Beta(right + 1/2, wrong + 1/2), with the right answers of a mean seed."""
    mean = (sum(answers.correct.values()) / len(answers.correct) + 0.5) / (answers.samples + 1)
    return mean, mean * (1 - mean) / (answers.samples + 2)


def _between(values: Floats) -> float:
    """Squared standard error of the mean over seeds; 0 for a single one."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0


def unpack(mask: str, samples: int) -> Floats:
    """Which images were answered rightly, 0 or 1 each, from a cell of `answers.csv`."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(mask), dtype=np.uint8), count=samples).astype(float)


def stack_right(masks: Sequence[str | None], samples: int) -> Floats | None:
    """The answers of several seeds, (seeds, images); None unless all were kept."""
    return np.array([unpack(mask, samples) for mask in masks if mask]) if all(masks) else None
