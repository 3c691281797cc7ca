"""Where a series of runs takes a step: a change of level that noise, even noise that drifts, rarely makes.

The levels that fit best (least squares, by dynamic programming; Truong et al. 2020, arXiv 1801.00718) are kept when
each differs from the next by more than noise of autocorrelation 0.5 does in 99 of 100 series without a step. How much
that is was simulated (`bench/study_history.py`); so nothing is assumed of how runs depend on each other below that.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import sqrt
from types import MappingProxyType

import numpy as np

from lrbench.statistics.posterior import Floats

SHORTEST = 3
"""Runs of a level at least."""

LEAST = 2 * SHORTEST
"""Runs of a series at least; fewer cannot be judged."""

CRITICAL = MappingProxyType({10: 7.4, 16: 7.1, 30: 6.8, 60: 6.7})
"""By number of runs, the least contrast that counts as a step; between them by interpolation."""


def find_steps(values: Floats, *, resolution: float | None = None) -> list[int]:
    """The places of the runs that begin a new level, none for fewer runs than `LEAST`.

    Args:
        values: one for each run, oldest first, (runs,).
        resolution: of the values, when they can only be multiples of it; by default the least gap between any two.
    """
    limit = float(np.interp(len(values), list(CRITICAL), list(CRITICAL.values())))
    return next((places for contrast, places in fits(values, resolution=resolution) if contrast > limit), [])


def fits(values: Floats, *, resolution: float | None = None) -> Iterator[tuple[float, list[int]]]:
    """The best fit of each number of levels, most levels first: its least contrast, and where levels begin.

    A contrast is the difference of neighbouring levels over its standard error, by the residuals of all levels and no
    less than what rounding alone leaves. See `find_steps` for the arguments.
    """
    from ruptures import KernelCPD

    gaps = np.diff(np.unique(values))
    if len(values) < LEAST or not len(gaps):
        return
    rounding = (resolution or float(gaps.min())) / sqrt(12)
    finder = KernelCPD(kernel="linear", min_size=SHORTEST).fit((values - values.mean()) / gaps.sum())
    for steps in range(len(values) // SHORTEST - 1, 0, -1):
        places = finder.predict(n_bkps=steps)[:-1]
        yield _least_contrast(np.split(values, places), rounding), places


def _least_contrast(levels: Sequence[Floats], rounding: float) -> float:
    squares = sum(float(((level - level.mean()) ** 2).sum()) for level in levels)
    noise = max(rounding, sqrt(squares / (sum(map(len, levels)) - len(levels))))
    return min(
        abs(float(after.mean() - before.mean())) / (noise * sqrt(1 / len(before) + 1 / len(after)))
        for before, after in pairwise(levels)
    )
