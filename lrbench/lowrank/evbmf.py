"""The rank of a matrix above its noise, by the global analytic solution of empirical variational Bayes factorization.

Nakajima, Sugiyama, Babacan, Tomioka 2013, Global analytic solution of fully-observed variational Bayesian matrix
factorization, Journal of Machine Learning Research 14, 1-37; used for ranks by Kim et al. 2016, arXiv 1511.06530.
"""

from collections.abc import Sequence
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

TAU = 2.5129
"""The zero-crossing of the paper's threshold, over the square root of the aspect ratio."""

POINTS = 200
"""Where the free energy is looked at, besides its bends, to find its dips."""

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
    variance = noise_variance(values, (lower, upper), rows=rows, columns=columns, threshold=threshold)
    return int(np.sum(values > (columns * variance * threshold) ** 0.5))


def noise_variance(values: Floats, bounds: tuple[float, float], *, rows: int, columns: int, threshold: float) -> float:
    """The variance of least free energy, which has several local minima: each singular value that enters bends it."""

    def energy(log: float) -> float:
        return free_energy(float(np.exp(log)), values, rows=rows, columns=columns, threshold=threshold)

    low, high = np.log(bounds)
    bends = np.log(np.maximum(values, 1e-150) ** 2 / (columns * threshold))
    logs: Floats = np.unique([*np.linspace(low, high, POINTS), *bends[(bends > low) & (bends < high)]])
    energies = np.array([inf, *map(energy, logs), inf])
    dips = np.flatnonzero((energies[1:-1] <= energies[:-2]) & (energies[1:-1] <= energies[2:]))
    found = [(float(energies[1 + dip]), float(logs[dip])) for dip in dips]
    for dip in dips.tolist():
        around = (logs[max(0, dip - 1)], logs[min(len(logs) - 1, dip + 1)])
        finer = minimize_scalar(energy, bounds=around, method="bounded")
        found.append((finer.fun, finer.x))
    return float(np.exp(min(found)[1]))


def free_energy(variance: float, values: Floats, *, rows: int, columns: int, threshold: float) -> float:
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
