"""Drops in accuracy of all points of a sweep at once: what is known of each, given that many were tried.

Whoever takes the cheapest of many points that seem to keep a limit takes one that was lucky. Against that helps a prior
for what a point of its cost loses (Efron & Morris 1975; for estimates of many small groups Fay & Herriot 1979): it
draws what is far better than its cost promises back, the more, the fewer images there were.

What one training of dense and point loses is g + u. Of g, the method's own, the logarithm is normal around `LEVEL` at
half the MACs, which rises by `SLOPE` as MACs fall, with the scatter `SCATTER` of methods and layer sets; u is normal,
its luck (`luck`). What is measured is the mean over the seeds of a point, on so many images. The sweep's own level is
learned from all its points, which together count as `WORTH` points, since they share their images and their control.

Two questions have two answers: what the weights lose that would be exported, g and the luck that was drawn; and what
the method would lose if it was trained again, g and fresh luck. Where little is known of how large luck is, either is
taken from Student's t.

`LEVEL`: 1 to 2 points are lost at half the MACs in print (Xu et al. 2020, arXiv 2004.14566: ResNet-50 on ImageNet,
ResNet-20 on CIFAR-10). `SLOPE` and `SCATTER` are those of results/imagenette; results/choices shows how often what
follows from them holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, sqrt

import numpy as np
from scipy.special import logsumexp, softmax, stdtr

from lrbench.statistics.components import Component
from lrbench.statistics.luck import with_luck
from lrbench.statistics.posterior import Floats

LEVEL, LEVEL_SPREAD = 0.01, 1.0
"""Drop at half the MACs: the median, and the standard deviation of its logarithm from sweep to sweep."""

SLOPE, SCATTER, WORTH = 2.3, 0.9, 5
BLOCK = 1000
"""Points that are worked on at a time."""

ENDLESS = 1e9
"""Degrees of freedom of what is as good as normal."""

_LOGS = np.linspace(log(1e-4), log(1.0), 150)
_DROPS = np.exp(_LOGS)
_LEVELS = np.linspace(-3, 3, 13)
"""The level of a sweep, in `LEVEL_SPREAD`s."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a point's drop (0.01: a point).

    Attributes:
        drop: the mean over its seeds.
        images: the variance that the images leave it, above 0.
        mac_ratio: MACs over those of the dense model, above 0.
        seeds: how many.
        beyond: what the trial to export lost beyond the mean.
        apart: the variance that the images leave that, of each seed by itself.
    """

    drop: float
    images: float
    mac_ratio: float
    seeds: int = 1
    beyond: float = 0.0
    apart: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Shrunk:
    """The posterior of a drop in accuracy (0.01: a point): a mixture of Student's t, one for each g that may be.

    Attributes:
        weights: of each, (N,), which sum to 1.
        means: what the weights to export lose then, (N,).
        width: by how much they may lose more or less; 0 when the drop is known.
        freedom: degrees of freedom of this width.
        drops: each g, (N,).
        luck: how far one training of it lies from another.
    """

    weights: Floats
    means: Floats
    width: float
    freedom: float
    drops: Floats
    luck: Component

    @property
    def mean(self) -> float:
        """The mean, of these weights."""
        return float(self.means @ self.weights)

    @property
    def own(self) -> tuple[float, float]:
        """Mean and variance of g."""
        mean = float(self.drops @ self.weights)
        return mean, float((self.drops - mean) ** 2 @ self.weights)

    @property
    def error(self) -> float:
        """The standard deviation, of these weights; with few degrees of freedom as if there were more."""
        return sqrt(float((self.means - self.mean) ** 2 @ self.weights) + self.width**2)

    def at_most(self, limit: float) -> float:
        """The probability that these weights lose at most this."""
        return self._at_most(limit, self.means, width=self.width, freedom=self.freedom)

    def retrained(self, limit: float) -> float:
        """The probability that the method, trained again, loses at most this."""
        return self._at_most(limit, self.drops, width=sqrt(self.luck.variance), freedom=self.luck.freedom)

    def _at_most(self, limit: float, middles: Floats, *, width: float, freedom: float) -> float:
        if width == 0:
            return float(self.weights @ (middles <= limit))
        return float(self.weights @ stdtr(freedom, (limit - middles) / width))


_NOTHING, _SURE = np.zeros(1), np.ones(1)
NONE = Shrunk(
    weights=_SURE,
    means=_NOTHING,
    width=0.0,
    freedom=inf,
    drops=_NOTHING,
    luck=Component(variance=0.0, freedom=inf),
)
"""The drop of a model against itself."""


def shrink(points: Sequence[Measured], luck: Component) -> list[Shrunk]:
    """The posterior of each point's drop.

    Args:
        points: of one sweep.
        luck: of one training, `pooled`.
    """
    measured, images, ratios = (
        np.array([getattr(point, name) for point in points], float)[:, None] for name in ("drop", "images", "mac_ratio")
    )
    errors, freedom = with_luck(images, luck, np.array([1 / point.seeds for point in points])[:, None])
    blocks = [slice(start, start + BLOCK) for start in range(0, len(points), BLOCK)]
    evidence = [logsumexp(_joint(measured[k], errors[k], freedom[k], ratios[k]), axis=2).sum(axis=0) for k in blocks]
    worth = min(1.0, WORTH / max(1, len(points)))
    levels = softmax(worth * np.sum(evidence, axis=0) - _LEVELS**2 / 2)
    posteriors: list[Shrunk] = []
    for k in blocks:
        joint = _joint(measured[k], errors[k], freedom[k], ratios[k])
        weights = np.exp(joint - logsumexp(joint, axis=2, keepdims=True)).transpose(0, 2, 1) @ levels
        posteriors += [_with_drawn(point, weight, luck) for point, weight in zip(points[k], weights, strict=True)]
    return posteriors


def own_luck(luck: Component, *, seeds: int, beyond: float, apart: float) -> tuple[float, float, float]:
    """Of one seed beside the mean over all: the luck it is expected to have had, its variance, and how far it is known.

    Args:
        luck: of one training.
        seeds: how many.
        beyond: what was measured of the seed, less the mean.
        apart: the variance that images leave that, of each seed by itself.
    """
    known = luck.variance / (luck.variance + apart)
    return known * beyond, luck.variance * (1 - 1 / seeds) * (1 - known), known


def _with_drawn(point: Measured, weights: Floats, luck: Component) -> Shrunk:
    """What is known of a point, given how probable each g is: of the luck it drew, and of what it may draw."""
    shared = luck.variance / point.seeds
    known = shared / (shared + point.images)
    shift, own, known_own = own_luck(luck, seeds=point.seeds, beyond=point.beyond, apart=point.apart)
    left = shared * (1 - known)
    doubt = left * (1 - known) + own * (1 - known_own)
    return Shrunk(
        weights=weights,
        means=_DROPS + known * (point.drop - _DROPS) + shift,
        width=sqrt(left + own),
        freedom=luck.freedom * ((left + own) / doubt) ** 2 if doubt else inf,
        drops=_DROPS,
        luck=luck,
    )


def _joint(measured: Floats, errors: Floats, freedom: Floats, ratios: Floats) -> Floats:
    """Log density of what was measured and of g, for each level of the sweep: (K, levels, N)."""
    middle = log(LEVEL) + LEVEL_SPREAD * _LEVELS - SLOPE * np.log(2 * ratios)
    prior = -(((_LOGS - middle[:, :, None]) / SCATTER) ** 2) / 2
    freedom = np.minimum(freedom, ENDLESS)
    fit: Floats = -(freedom + 1) / 2 * np.log1p(((measured - _DROPS) / errors) ** 2 / freedom)
    joint: Floats = fit[:, None] + prior - logsumexp(prior, axis=2, keepdims=True)
    return joint
