"""The least limit that each point keeps to with a confidence: `CONSTRAINTS` turned round, for a page that compares."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from lrbench.report.choice.constraints import CONSTRAINTS, ROUNDING
from lrbench.statistics.limits import least_limits
from lrbench.statistics.posterior import Floats


def _drops(points: pd.DataFrame, confidences: Sequence[float]) -> Floats:
    return least_limits(list(points["drop_posterior"]), confidences)


def _latencies(points: pd.DataFrame, confidences: Sequence[float]) -> Floats:
    """A timing without a spread to go by is taken at its value."""
    ratios, errors, freedoms = (points[name].to_numpy(float) for name in ("ratio", "log_error", "freedom"))
    known = (freedoms >= 1) & (errors > 0)
    reach = stdtrit(np.where(known, freedoms, 1.0)[:, None], np.array(confidences)[None])
    limits: Floats = ratios[:, None] * np.exp(np.where(known, errors, 0.0)[:, None] * reach)
    return limits


def _exactly(name: str) -> Callable[[pd.DataFrame, Sequence[float]], Floats]:
    column = CONSTRAINTS[name].column
    return lambda points, confidences: np.repeat(points[column].to_numpy(float)[:, None], len(confidences), axis=1)


BOUNDS: Mapping[str, Callable[[pd.DataFrame, Sequence[float]], Floats]] = MappingProxyType(
    {"max-drop": _drops, "latency": _latencies, "macs": _exactly("macs"), "params": _exactly("params")}
)
"""By the name of a constraint, how its bounds are computed."""


def bounds_of(points: pd.DataFrame, name: str, confidences: Sequence[float]) -> Floats:
    """The least limit that each point keeps to with each confidence, (K, C); NaN where nothing was measured.

    Args:
        points: of `with_drops` and `with_timings`.
        name: one of `BOUNDS`.
        confidences: each above 0 and below 1.
    """
    bounds: Floats = BOUNDS[name](points, confidences) - ROUNDING
    return bounds
