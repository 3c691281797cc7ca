"""The rule by which a point is chosen: on the front of cost and accuracy, the best that is sure enough."""

from typing import Any

import numpy as np
import pandas as pd

from lrbench.report.choice.constraints import ACCURACIES, CONSTRAINTS
from lrbench.statistics.components import Component
from lrbench.statistics.fronts import Bools, lead, unbeaten
from lrbench.statistics.posterior import Answers

NUMBERS = ["dense", "fit", "ratio", "mac_ratio", "param_ratio", "worth", "accuracy", "loss"]
"""What points are ordered by."""


def eligible_of(points: pd.DataFrame, keeps: pd.DataFrame, *, cost: str) -> pd.DataFrame:
    """The points that keep to each limit of cost, as `NUMBERS`.

    Where latency counts, those with a fit timing, if there are any, and the dense model, which needs none.
    """
    costly = [name for name in keeps if name not in ACCURACIES]
    numbers = points[NUMBERS].astype(float)
    eligible = numbers[keeps[costly].all(axis=1) & numbers[CONSTRAINTS[cost].column].notna()]
    fit, cut = eligible["fit"] == 1, eligible["dense"] == 0
    return eligible[fit | ~cut] if "latency" in (*costly, cost) and (fit & cut).any() else eligible


def front_of(eligible: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The points that no other beats, cheapest first."""
    column = CONSTRAINTS[cost].column
    costs, worths = (eligible[name].to_numpy() for name in (column, "worth"))
    front = eligible[unbeaten(costs, worths, np.ones(len(eligible), bool))]
    return front.sort_values([column, "mac_ratio"], kind="stable")


Fields = dict[bytes, tuple[pd.DataFrame, pd.DataFrame]]
"""The eligible points and their front, by which points keep to the limits of cost."""


def choose(
    points: pd.DataFrame, keeps: pd.DataFrame, *, objective: str, cost: str, fields: Fields | None = None
) -> Any:
    """The index of the best point of the front that is sure enough; None when there is none.

    Args:
        points: of `with_drops` and `with_timings`.
        keeps: by limit, which points keep to it.
        objective: `accuracy`, or the cost that is minimised.
        cost: one of `COSTS`.
        fields: what was found of the same points by other limits on accuracy; this is added.
    """
    fields = {} if fields is None else fields
    key = keeps[[name for name in keeps if name not in ACCURACIES]].to_numpy().tobytes()
    if key not in fields:
        eligible = eligible_of(points, keeps, cost=cost)
        fields[key] = eligible, front_of(eligible, cost)
    eligible, front = fields[key]
    sure = keeps[[name for name in keeps if name in ACCURACIES]].all(axis=1)[eligible.index]
    if objective != "accuracy":
        return cheapest(front, eligible, sure, cost=cost)
    candidates = front[sure[front.index]]
    if candidates.empty or not (sure & (eligible["dense"] == 0)).any():
        return None
    return _most_accurate(candidates, eligible, points)


def cheapest(front: pd.DataFrame, eligible: pd.DataFrame, sure: "pd.Series[bool]", *, cost: str) -> Any:
    """The index of the cheapest point of the front that is sure enough; None when there is none.

    Where that is the dense control, no factorized point that is sure enough may be cheaper: it is beaten by one that is
    not, but that is no reason to cut nothing.

    Args:
        front: of `front_of`, of the eligible points.
        eligible: of `eligible_of`.
        sure: which of these keep to the limits on accuracy with enough probability.
        cost: one of `COSTS`.
    """
    candidates, cut = front.index[sure[front.index]], eligible[sure & (eligible["dense"] == 0)]
    if candidates.empty or cut.empty:
        return None
    best, column = candidates[0], CONSTRAINTS[cost].column
    beaten = eligible["dense"][best] and (cut[column] < eligible[column][best]).any()
    return None if beaten else best


def _most_accurate(candidates: pd.DataFrame, eligible: pd.DataFrame, points: pd.DataFrame) -> Any:
    """The index of the candidate of least loss among those whose accuracy cannot be told from the best one's."""
    best: Any = candidates["worth"].idxmax()
    tied = eligible[tied_with(points["answers"][eligible.index], points["answers"][best], points["luck"][best])]
    least = tied["accuracy"] == tied["accuracy"].min()
    named = tied if least.all() else tied[~least]
    return candidates[candidates.index.isin(named.index)].sort_values("loss", kind="stable").index[0]


def tied_with(others: "pd.Series[Any]", answers: Answers, luck: Component) -> "pd.Series[bool]":
    """Whose accuracy cannot be told (95 %) from that of these answers, its own among them."""
    means, reach = lead(answers, list(others), luck)
    near: Bools = np.abs(means) <= reach
    return pd.Series(near, index=others.index)


def neighbours(costs: "pd.Series[float]", chosen: Any) -> tuple[Any, Any]:
    """The indices of the next points of the front on the cheaper and on the dearer side; None where there is none.

    Args:
        costs: of the front, cheapest first.
        chosen: index of one of it.
    """
    cheaper, dearer = costs[costs < costs[chosen]], costs[costs > costs[chosen]]
    return None if cheaper.empty else cheaper.index[-1], None if dearer.empty else dearer.index[0]
