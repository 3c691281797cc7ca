"""Drops in accuracy of all points of a sweep at once: what is known of each, given that many were tried.

Whoever takes the cheapest of many points that seem to keep a limit takes one that was lucky. Against that helps a prior
for what a point of its cost loses (Efron & Morris 1975; for estimates of many small groups Fay & Herriot 1979): it
draws what is far better than its cost promises back, the more, the fewer images there were.

The drop of a point is g + u. Of g the logarithm is normal around `LEVEL` at half the MACs, which rises by `SLOPE` as
MACs fall, with the scatter `SCATTER` of methods and layer sets; u is normal, what luck one training of dense and point
had against another (`LUCK`). The sweep's own level is learned from all its points, which together count as `WORTH`
points, since they share their images and their control.

`LEVEL`: 1 to 2 points are lost at half the MACs in print (Xu et al. 2020, arXiv 2004.14566: ResNet-50 on ImageNet,
ResNet-20 on CIFAR-10). `SLOPE`, `SCATTER`, `LUCK` are those of results/imagenette; results/choices shows how often
what follows from them holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from scipy.special import logsumexp, ndtr, softmax

from lrbench.statistics.posterior import Floats

LEVEL, LEVEL_SPREAD = 0.01, 1.0
"""Drop at half the MACs: the median, and the standard deviation of its logarithm from sweep to sweep."""

SLOPE, SCATTER, LUCK, WORTH = 2.3, 0.9, 0.003, 5
BLOCK = 1000
"""Points that are worked on at a time."""

_LOGS = np.linspace(log(1e-4), log(1.0), 150)
_DROPS = np.exp(_LOGS)
_LEVELS = np.linspace(-3, 3, 13)
"""The level of a sweep, in `LEVEL_SPREAD`s."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shrunk:
    """The posterior of a drop in accuracy (0.01: a point): a mixture of normals that are equally wide.

    Attributes:
        means: of the normals, (N,).
        weights: of the normals, (N,), which sum to 1.
        width: standard deviation of each; 0 when the drop is known.
    """

    means: Floats
    weights: Floats
    width: float

    @property
    def mean(self) -> float:
        """The mean."""
        return float(self.means @ self.weights)

    @property
    def error(self) -> float:
        """The standard deviation."""
        return sqrt(float((self.means - self.mean) ** 2 @ self.weights) + self.width**2)

    def at_most(self, limit: float) -> float:
        """The probability of at most this drop."""
        if self.width == 0:
            return float(self.weights @ (self.means <= limit))
        return float(self.weights @ ndtr((limit - self.means) / self.width))


NONE = Shrunk(means=np.zeros(1), weights=np.ones(1), width=0.0)
"""The drop of a model against itself."""


def shrink(drops: Sequence[float], errors: Sequence[float], mac_ratios: Sequence[float]) -> list[Shrunk]:
    """The posterior of each point's drop.

    Args:
        drops: measured, 0.01 for a point of accuracy, (K,).
        errors: their standard errors, above 0, (K,).
        mac_ratios: MACs of each point over those of the dense model, above 0, (K,).
    """
    measured, ratios = np.asarray(drops, float)[:, None], np.asarray(mac_ratios, float)[:, None]
    variances = np.asarray(errors, float)[:, None] ** 2 + LUCK**2
    blocks = [slice(start, start + BLOCK) for start in range(0, len(measured), BLOCK)]
    evidence = [logsumexp(_joint(measured[k], variances[k], ratios[k]), axis=2).sum(axis=0) for k in blocks]
    worth = min(1.0, WORTH / max(1, len(measured)))
    levels = worth * np.sum(evidence, axis=0) - _LEVELS**2 / 2
    posteriors: list[Shrunk] = []
    for k in blocks:
        joint = _joint(measured[k], variances[k], ratios[k])
        weights = np.exp(joint - logsumexp(joint, axis=2, keepdims=True)).transpose(0, 2, 1) @ softmax(levels)
        luck = LUCK**2 / variances[k]
        means, widths = _DROPS + luck * (measured[k] - _DROPS), LUCK * np.sqrt(1 - luck[:, 0])
        posteriors += [
            Shrunk(means=mean, weights=weight, width=float(width))
            for mean, weight, width in zip(means, weights, widths, strict=True)
        ]
    return posteriors


def _joint(measured: Floats, variances: Floats, ratios: Floats) -> Floats:
    """Log density of what was measured and of g, for each level of the sweep: (K, levels, N)."""
    middle = log(LEVEL) + LEVEL_SPREAD * _LEVELS - SLOPE * np.log(2 * ratios)
    prior = -(((_LOGS - middle[:, :, None]) / SCATTER) ** 2) / 2
    fit: Floats = -((measured - _DROPS) ** 2) / variances / 2
    joint: Floats = fit[:, None] + prior - logsumexp(prior, axis=2, keepdims=True)
    return joint
