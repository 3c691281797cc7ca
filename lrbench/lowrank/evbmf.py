"""The rank of a matrix above its noise, by the global analytic solution of empirical variational Bayes factorization.

Nakajima, Sugiyama, Babacan, Tomioka 2013, Global analytic solution of fully-observed variational Bayesian matrix
factorization, Journal of Machine Learning Research 14, 1-37; used for ranks by Kim et al. 2016, arXiv 1511.06530.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

TAU = 2.5129
"""The zero-crossing of the paper's threshold, over the square root of the aspect ratio."""

Floats = NDArray[np.float64]


def evbmf_rank(singular_values: Sequence[float], shape: tuple[int, int]) -> int:
    """How many singular values stand above the noise, whose variance is estimated from the others; may be 0.

    Args:
        singular_values: all of them, largest first.
        shape: of the matrix, (M, N).
    """
    values: Floats = np.asarray(singular_values, dtype=np.float64)
    if not values.size or values[0] <= 0:
        return 0
    values = values / values[0]
    rows, columns = min(shape), max(shape)
    aspect = rows / columns
    threshold = (1 + TAU * aspect**0.5) * (1 + aspect**0.5 / TAU)
    largest = min(ceil(rows / (1 + aspect)) - 1, len(values)) - 1
    rest = values[largest + 1 :]
    upper = float(np.sum(values**2)) / (rows * columns)
    lower = max(float(rest[0] ** 2) / (columns * threshold), float(np.mean(rest**2)) / columns) if rest.size else 0.0
    lower = max(lower, upper * 1e-12)
    if lower >= upper:
        return int(np.sum(values > (columns * upper * threshold) ** 0.5))
    minimum = minimize_scalar(
        lambda log: _free_energy(float(np.exp(log)), values, rows=rows, columns=columns, threshold=threshold),
        bounds=(np.log(lower), np.log(upper)),
        method="bounded",
    )
    return int(np.sum(values > (columns * float(np.exp(minimum.x)) * threshold) ** 0.5))


def _free_energy(variance: float, values: Floats, *, rows: int, columns: int, threshold: float) -> float:
    """The variational free energy at a noise variance, constants left out."""
    aspect = rows / columns
    x = np.maximum(values**2 / (columns * variance), 1e-300)
    above, below = x[x > threshold], x[x <= threshold]
    tau = 0.5 * (above - (1 + aspect) + np.sqrt((above - (1 + aspect)) ** 2 - 4 * aspect))
    return float(
        np.sum(below - np.log(below))
        + np.sum(above - tau)
        + np.sum(np.log((tau + 1) / above))
        + aspect * np.sum(np.log(tau / aspect + 1))
        + (rows - len(values)) * np.log(variance)
    )
