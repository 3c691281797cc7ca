"""What paired timings say: the ratio of two models, its interval, and whether it can be trusted.

A round gives log(model / dense). Medians of rounds are stable on a noisy machine, but where the weights happen to lie
in memory moves a model by about half a percent for as long as they lie there, which no number of rounds averages out.
So a session lays its models out anew every few rounds (as Curtsinger & Berger 2013, "Stabilizer", do for code), and
what is averaged, and what an interval counts as one observation, is the median of the rounds of one layout.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, hypot, inf, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

Logs = NDArray[np.float64]
"""Log ratios, (N,)."""

CONFIDENCE = 0.99
"""Of every interval of a latency ratio."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A ratio of latencies with its interval, which reaches from 0 to infinity where nothing is known of it."""

    ratio: float
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        """The interval as tables have it: NaN where nothing is known."""
        return (self.low, self.high) if self.high < inf else (nan, nan)

    @property
    def half_width(self) -> float:
        """How far the interval reaches from the ratio at most, as a share of it."""
        return max(self.high / self.ratio, self.ratio / self.low if self.low else inf) - 1


def log_ratios(seconds: Iterable[float], dense: Iterable[float]) -> Logs:
    """log(model / dense), round by round."""
    logs: Logs = np.log(np.fromiter(seconds, float) / np.fromiter(dense, float))
    return logs


def layout_medians(logs: Logs, layouts: Sequence[int]) -> Logs:
    """The median of the rounds of each layout, in the order of the layouts.

    Args:
        logs: of each round, (N,) or (N, models).
        layouts: of each round, N numbers that never fall.
    """
    starts = np.unique(layouts, return_index=True)[1]
    return np.array([np.median(part, axis=0) for part in np.split(logs, starts[1:])])


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean log ratio with its standard error and degrees of freedom, and what it stands on.

    With less than one degree of freedom nothing is known of its error.
    """

    log: float
    error: float
    freedom: float
    processes: int = 1
    occasions: int = 1

    def ratio(self, confidence: float = CONFIDENCE) -> Ratio:
        """As a ratio, with its interval by Student's t."""
        if self.error == inf:
            return Ratio(ratio=exp(self.log), low=0.0, high=inf)
        reach = _quantile(self.freedom, confidence) * self.error if self.error else 0.0
        return Ratio(ratio=exp(self.log), low=exp(self.log - reach), high=exp(self.log + reach))

    def chance_above(self, ratio: float) -> float:
        """The one-sided p-value against a true ratio of at most this."""
        if self.freedom < 1:
            return 1.0
        gap = self.log - log(ratio)
        return float(t.sf(gap / self.error, self.freedom)) if self.error > 0 else float(gap <= 0)


def estimate(processes: Sequence[Logs]) -> Estimate:
    """The mean log ratio over all layouts of some processes, where nothing but layouts moves a model.

    This holds for a model beside its own copy; for a factorized one beside the dense see `components`.

    Args:
        processes: the layout medians of each, at least one each.

    Raises: ValueError when a process has none.
    """
    if not processes or any(len(medians) == 0 for medians in processes):
        raise ValueError("a ratio needs at least one layout of each process")
    layouts = np.concatenate(processes)
    error = float(layouts.std(ddof=1)) / sqrt(len(layouts)) if len(layouts) > 1 else inf
    return Estimate(log=float(layouts.mean()), error=error, freedom=len(layouts) - 1, processes=len(processes))


def difference(first: Estimate, second: Estimate) -> Estimate:
    """log(first / second) of independent estimates; degrees of freedom after Welch (1947) and Satterthwaite (1946)."""
    gap, error = first.log - second.log, hypot(first.error, second.error)
    if min(first.freedom, second.freedom) < 1:
        return Estimate(log=gap, error=inf, freedom=0)
    if error == 0:
        return Estimate(log=gap, error=0.0, freedom=first.freedom + second.freedom)
    parts = first.error**4 / first.freedom + second.error**4 / second.freedom
    return Estimate(log=gap, error=error, freedom=error**4 / parts)


@lru_cache(maxsize=4096)
def _quantile(freedom: float, confidence: float) -> float:
    return float(t.ppf((1 + confidence) / 2, freedom))


def widest_half_width(medians: Logs, *, confidence: float = CONFIDENCE) -> float:
    """The widest half width among the intervals of several models; infinite for a single layout.

    Args:
        medians: of each layout, (layouts, models).
        confidence: of each interval.
    """
    count = len(medians)
    if count < 2:
        return inf
    errors = medians.std(axis=0, ddof=1) / sqrt(count)
    return exp(_quantile(count - 1, confidence) * float(errors.max(initial=0.0))) - 1


def is_fit(control: Ratio, *, within: float) -> bool:
    """Whether the A/A control, whose true ratio is 1, says so, to within a half width."""
    return control.low <= 1 <= control.high and control.half_width <= within


def slope_through_origin(x: Logs, y: Logs, weights: Logs) -> float:
    """The k of y = k x by weighted least squares; 1 where all x are 0."""
    spread = float((weights * x * x).sum())
    return float((weights * x * y).sum()) / spread if spread > 0 else 1.0


def holm(chances: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): the chance that any of them is a false alarm."""
    order, worst, corrected = sorted(range(len(chances)), key=chances.__getitem__), 0.0, [0.0] * len(chances)
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(chances) - rank) * chances[i]))
        corrected[i] = worst
    return corrected
