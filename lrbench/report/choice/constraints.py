"""What can be asked of a recommendation, how a point is held against it, and how probable it is that it truly holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log
from types import MappingProxyType

import pandas as pd

from lrbench.report.frames.rivals import Row
from lrbench.statistics.paired import Estimate
from lrbench.statistics.posterior import latency_at_most

ROUNDING = 1e-9
"""What floats make of a difference that is just as large as its limit."""


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """What a limit is held against.

    Attributes:
        column: of a point.
        probability: that the true value of a point keeps to a limit, for the weights that would be exported.
        reads: the columns that this looks at.
        at_most: whether the limit is the largest value, or the least.
        unit: what a user's 1 is in the column: 0.01 for percentages.
        retrained: the same of the method, trained again; None where training moves nothing.
    """

    column: str
    probability: Callable[[Row, float], float]
    reads: tuple[str, ...]
    at_most: bool = True
    unit: float = 1.0
    retrained: Callable[[Row, float], float] | None = None

    def probabilities(self, points: pd.DataFrame, limit: float) -> "pd.Series[float]":
        """By point, how probable it is that it keeps to a limit; 0 where nothing was measured.

        Where a timing has no spread to go by, its value decides: 1 or 0.
        """
        known = points[points[self.column].notna()]
        chances = pd.Series(
            [self.probability(point, limit) for point in known[list(self.reads)].to_dict("records")],
            index=known.index,
            dtype=float,
        )
        held = self.holds(known[self.column].astype(float), limit).astype(float)
        return chances.fillna(held).reindex(points.index, fill_value=0.0)

    def holds(self, values: "pd.Series[float]", limit: float) -> "pd.Series[bool]":
        """Which values keep to a limit; empty ones do not."""
        return values <= limit + ROUNDING if self.at_most else values >= limit - ROUNDING


def _exactly(column: str) -> Callable[[Row, float], float]:
    return lambda point, limit: float(point[column] <= limit + ROUNDING)


def _accuracy(point: Row, limit: float) -> float:
    return float(point["accuracy_posterior"].at_least(limit))


def _accuracy_retrained(point: Row, limit: float) -> float:
    return float(point["accuracy_retrained"].at_least(limit))


def _drop(point: Row, limit: float) -> float:
    return float(point["drop_posterior"].at_most(limit + ROUNDING))


def _drop_retrained(point: Row, limit: float) -> float:
    return float(point["drop_posterior"].retrained(limit + ROUNDING))


def _latency(point: Row, limit: float) -> float:
    if point["log_error"] == 0:
        return float(point["ratio"] <= limit + ROUNDING)
    timing = Estimate(log=log(point["ratio"]), error=point["log_error"], freedom=point["freedom"])
    return latency_at_most(timing, limit)


CONSTRAINTS: Mapping[str, Constraint] = MappingProxyType(
    {
        "max-drop": Constraint(
            column="drop", probability=_drop, reads=("drop_posterior",), unit=0.01, retrained=_drop_retrained
        ),
        "accuracy": Constraint(
            column="accuracy",
            probability=_accuracy,
            reads=("accuracy_posterior",),
            at_most=False,
            unit=0.01,
            retrained=_accuracy_retrained,
        ),
        "latency": Constraint(column="ratio", probability=_latency, reads=("ratio", "log_error", "freedom")),
        "macs": Constraint(column="mac_ratio", probability=_exactly("mac_ratio"), reads=("mac_ratio",)),
        "params": Constraint(column="param_ratio", probability=_exactly("param_ratio"), reads=("param_ratio",)),
    }
)
"""What can be asked for, by option. Posteriors are those of `posterior`; MACs and params are known."""

COSTS = ("latency", "macs", "params")
"""Constraints that can be minimised, in the order in which one stands for the cost where several are given."""

ACCURACIES = frozenset({"max-drop", "accuracy"})
"""Constraints on accuracy; with one of them the cheapest point is chosen, else the most accurate."""

Limits = Mapping[str, float]
"""Limits by the names of `CONSTRAINTS`, in the units of their columns."""


def limits_of(asked: Mapping[str, float | None]) -> dict[str, float]:
    """What a user asked for, in the units of the columns."""
    return {name: value * CONSTRAINTS[name].unit for name, value in asked.items() if value is not None}
