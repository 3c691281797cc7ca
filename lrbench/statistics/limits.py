"""The least limits that drops in accuracy keep to with given confidences: `at_most` of posteriors, turned round."""

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln, stdtr, stdtrit

from lrbench.statistics.posterior import Drop, Floats
from lrbench.statistics.shrinkage import ENDLESS, Shrunk

BLOCK = 200
"""Posteriors that are worked on at a time."""

NEGLIGIBLE, CLOSE, STEPS = 1e-10, 1e-9, 60
"""The weight of a part that is left out, how near a probability must come, and in how many steps at most."""


def least_limits(posteriors: Sequence[Drop | Shrunk], confidences: Sequence[float]) -> Floats:
    """The least limit that each drop keeps to with each confidence, (K, C); NaN where nothing is known of it.

    Args:
        posteriors: K of them.
        confidences: each above 0 and below 1.
    """
    asked = np.array(confidences, float)
    limits = np.full((len(posteriors), len(asked)), np.nan)
    mixed: list[tuple[int, Shrunk]] = []
    for i, posterior in enumerate(posteriors):
        if isinstance(posterior, Drop):
            limits[i] = posterior.mean + posterior.error * stdtrit(posterior.freedom, asked)
        elif posterior.width == 0:
            limits[i] = _steps(posterior, asked)
        else:
            mixed.append((i, posterior))
    mixed.sort(key=lambda pair: np.count_nonzero(pair[1].weights > NEGLIGIBLE))  # alike ones are worked on together
    for start in range(0, len(mixed), BLOCK):
        places, block = zip(*mixed[start : start + BLOCK], strict=True)
        limits[list(places)] = _of_mixtures(block, asked)
    return limits


def _steps(posterior: Shrunk, confidences: Floats) -> Floats:
    """The limits of a drop that can take some values only."""
    order = np.argsort(posterior.means)
    sums = np.cumsum(posterior.weights[order])
    reached = np.searchsorted(sums, confidences * sums[-1] * (1 - 1e-12))
    limits: Floats = posterior.means[order][reached]
    return limits


def _of_mixtures(posteriors: Sequence[Shrunk], confidences: Floats) -> Floats:
    """The limits of mixtures of Student's t, which lie between those of the outermost t: by Newton's steps, kept there.

    Parts of next to no weight are left out; where a step would leave the ends, they are halved instead. A limit that is
    close enough is done with.
    """
    every = np.array([posterior.weights for posterior in posteriors])
    first = np.argsort(-every, axis=1)[:, : int((every > NEGLIGIBLE).sum(axis=1).max())]
    weights, means = (
        np.take_along_axis(np.array([getattr(posterior, name) for posterior in posteriors]), first, axis=1)
        for name in ("weights", "means")
    )
    width, freedom = (np.array([getattr(posterior, name) for posterior in posteriors]) for name in ("width", "freedom"))
    reach = width[:, None] * stdtrit(freedom[:, None], confidences)
    low, high = ((ends[:, None] + reach).ravel() for ends in (means.min(axis=1), means.max(axis=1)))
    freedom = np.minimum(freedom, ENDLESS)
    scale = np.exp(gammaln((freedom + 1) / 2) - gammaln(freedom / 2)) / np.sqrt(freedom * np.pi) / width
    limits: Floats = ((weights * means).sum(axis=1)[:, None] + reach).ravel()
    asked = np.tile(confidences, len(posteriors))
    left = np.arange(len(limits))
    for _ in range(STEPS):
        of = left // len(confidences)
        degrees = freedom[of, None]
        gaps = (limits[left, None] - means[of]) / width[of, None]
        over = np.einsum("kn,kn->k", weights[of], stdtr(degrees, gaps)) - asked[left]
        far = np.abs(over) >= CLOSE
        if not far.any():
            break
        left, of, over, gaps, degrees = left[far], of[far], over[far], gaps[far], degrees[far]
        below = over < 0
        low[left[below]], high[left[~below]] = limits[left[below]], limits[left[~below]]
        density = np.exp(-(degrees + 1) / 2 * np.log1p(gaps**2 / degrees))
        stepped = limits[left] - over / (scale[of] * np.einsum("kn,kn->k", weights[of], density))
        within = (stepped > low[left]) & (stepped < high[left])
        limits[left] = np.where(within, stepped, (low[left] + high[left]) / 2)
    return limits.reshape(len(posteriors), len(confidences))
