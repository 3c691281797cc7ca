"""Which point of a sweep keeps to what is wanted at the least cost, how sure that is, and what lies beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import pandas as pd

from lrbench.errors import InputError
from lrbench.report.choice.choose import Fields, choose, eligible_of, front_of, neighbours, tied_with
from lrbench.report.choice.constraints import ACCURACIES, CONSTRAINTS, COSTS, Limits
from lrbench.report.frames.rivals import Row


@dataclass(frozen=True, kw_only=True)
class Held:
    """How the chosen point stands to one constraint.

    Attributes:
        name: of the constraint.
        limit: in the unit of its column (0..1 for shares).
        value: of the chosen point.
        probability: that its true value keeps to the limit, for the weights of its trial; NaN when its timing has no
            spread.
        retrained: that it would, if its method was trained again.
        binding: whether another point would be chosen without this constraint alone.
    """

    name: str
    limit: float
    value: float
    probability: float
    retrained: float
    binding: bool


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best value of a constraint among some points: whose it is, and the probability that it keeps to the limit."""

    value: float
    probability: float
    point: str


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The best value of one constraint that any point reaches: alone, and among those that keep all others."""

    name: str
    limit: float
    alone: Best | None
    together: Best | None


@dataclass(frozen=True, kw_only=True)
class Surest:
    """The point that keeps to all constraints with the greatest probability: that of its least probable one."""

    point: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Closest:
    """The surest point, or where none has a chance the one that comes nearest to all constraints.

    Attributes:
        point: its row.
        reached: by constraint its value, and the probability that this keeps to the limit.
    """

    point: Row
    reached: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What is recommended, or (`point` None) how near the constraints can be reached.

    Attributes:
        point: the chosen row of `pool_points`; the dense control where it beats all else that would do.
        objective: what was optimised: `accuracy`, or the cost that was minimised.
        cost: by which `cheaper` and `dearer`, its neighbours on the front of accuracy, are told.
        candidates: how many factorized points there were to choose from.
        held: one for each constraint.
        tied: from how many others, that keep the limits of cost, its accuracy cannot be told on the split that chose.
        nearest: one for each constraint, when none is feasible.
        surest: then, if there is one, the point that comes closest to being sure enough.
        closest: then that point, or the one that misses least.
    """

    point: Row | None
    objective: str
    cost: str
    candidates: int
    held: tuple[Held, ...] = ()
    tied: int = 0
    cheaper: Row | None = None
    dearer: Row | None = None
    nearest: tuple[Nearest, ...] = ()
    surest: Surest | None = None
    closest: Closest | None = None


def recommend(
    points: pd.DataFrame, limits: Limits, *, confidence: float = 0.5, minimise: str | None = None
) -> Recommendation:
    """Choose among the points that keep to each limit with enough probability; the dense control is one of them.

    What is chosen lies on the front of cost and accuracy of all that keep to the limits of cost: no point that could be
    shown beside it beats it. With a limit on accuracy or its drop it is the point of least cost: that of `minimise`,
    else the first cost that is limited, else latency where points are timed, else MACs. With limits on costs alone it
    is the most accurate one; of those whose accuracy cannot be told from the best, the one of least loss, which tells
    more than so few images do, but never the least accurate of them. Of points that count by latency those with a fit
    timing come first.

    Args:
        points: of `with_drops` and `with_timings`.
        limits: by the names of `CONSTRAINTS`, in the units of their columns.
        confidence: least probability, 0..1, with which each must hold.
        minimise: one of `COSTS`.

    Raises: InputError when nothing is limited, or what is limited was never measured.
    """
    cut = points[~points["dense"].astype(bool)]
    _refuse_unknown(cut, limits, minimise)
    cost = minimise or next((name for name in COSTS if name in limits), None)
    cost = cost or ("latency" if cut["ratio"].notna().any() else "macs")
    objective = cost if minimise or ACCURACIES & set(limits) else "accuracy"
    chances = pd.DataFrame({name: CONSTRAINTS[name].probabilities(points, limit) for name, limit in limits.items()})
    keeps = chances >= confidence
    found = Recommendation(point=None, objective=objective, cost=cost, candidates=len(cut))
    chosen = choose(points, keeps, objective=objective, cost=cost)
    if chosen is None:
        nearest = tuple(_nearest(cut, keeps.loc[cut.index], chances.loc[cut.index], limits))
        return _infeasible(replace(found, nearest=nearest), points, chances, limits)
    point, held = points.loc[chosen].to_dict(), []
    for name, limit in limits.items():
        constraint, other = CONSTRAINTS[name], choose(points, keeps.drop(columns=name), objective=objective, cost=cost)
        held.append(
            Held(
                name=name,
                limit=limit,
                value=point[constraint.column],
                probability=constraint.probability(point, limit),
                retrained=(constraint.retrained or constraint.probability)(point, limit),
                binding=other != chosen,
            )
        )
    eligible = eligible_of(points, keeps, cost=cost)
    beside = neighbours(front_of(eligible, cost)[CONSTRAINTS[cost].column], chosen)
    cheaper, dearer = (None if i is None else points.loc[i].to_dict() for i in beside)
    return replace(
        found,
        point=point,
        held=tuple(held),
        tied=int(tied_with(points["answers"][eligible.index], point["answers"], point["luck"]).sum()) - 1,
        cheaper=cheaper,
        dearer=dearer,
    )


def _refuse_unknown(cut: pd.DataFrame, limits: Limits, minimise: str | None) -> None:
    names = [f"--{name}" for name in CONSTRAINTS]
    if not limits:
        raise InputError(f"nothing was asked for; give at least one of {', '.join(names)}")
    for name, limit in limits.items():
        if not isfinite(limit):
            raise InputError(f"--{name} must be a finite number, got {limit}")
    if "max-drop" in limits and cut["drop"].isna().all():
        raise InputError("--max-drop needs the dense control; it did not finish. --accuracy does not")
    if "latency" in (*limits, minimise) and cut["ratio"].isna().all():
        raise InputError(
            "no factorized model was timed; lrbench time DIR does that, --macs and --params need no timings"
        )


def _infeasible(found: Recommendation, points: pd.DataFrame, chances: pd.DataFrame, limits: Limits) -> Recommendation:
    """What is said where no point is sure enough: which is the surest, and which comes closest."""
    best = _surest(points, chances, objective=found.objective, cost=found.cost)
    surest = None if best is None else Surest(point=str(points["name"][best[0]]), probability=best[1])
    place = _nearest_of(points[~points["dense"].astype(bool)], chances, limits) if best is None else best[0]
    return replace(found, surest=surest, closest=_closest(points.loc[place], chances.loc[place]))


def _nearest(cut: pd.DataFrame, keeps: pd.DataFrame, chances: pd.DataFrame, limits: Limits) -> Iterator[Nearest]:
    for name, limit in limits.items():
        alone, together = (
            _best(part, name, chances[name]) for part in (cut, cut[keeps.drop(columns=name).all(axis=1)])
        )
        yield Nearest(name=name, limit=limit, alone=alone, together=together)


def _best(points: pd.DataFrame, name: str, chances: "pd.Series[float]") -> Best | None:
    """The best value of a constraint among some points."""
    column = CONSTRAINTS[name].column
    ranked = points.assign(chance=chances).astype({column: float}).dropna(subset=column)
    if ranked.empty:
        return None
    first = ranked.sort_values(column, ascending=CONSTRAINTS[name].at_most, kind="stable").iloc[0]
    return Best(value=float(first[column]), probability=float(first["chance"]), point=str(first["name"]))


def _surest(points: pd.DataFrame, chances: pd.DataFrame, *, objective: str, cost: str) -> tuple[Any, float] | None:
    """What would be chosen with the largest confidence that lets anything be chosen; None when nothing has a chance."""
    least = chances.min(axis=1)
    fields: Fields = {}  # the front is the same for many confidences
    for confidence in sorted(set(least[least > 0]), reverse=True):
        chosen = choose(points, chances >= confidence, objective=objective, cost=cost, fields=fields)
        if chosen is not None:
            return chosen, float(confidence)
    return None


def _nearest_of(cut: pd.DataFrame, chances: pd.DataFrame, limits: Limits) -> Any:
    """The index of the point that keeps to most limits; of such points the one that is least beyond the others."""
    beyond = pd.DataFrame(
        {
            name: (cut[constraint.column].astype(float) - limit).mul(1 if constraint.at_most else -1).clip(lower=0)
            / max(abs(limit), constraint.unit)
            for name, limit in limits.items()
            for constraint in (CONSTRAINTS[name],)
        }
    ).fillna(float("inf"))
    ranked = pd.DataFrame({"missed": (chances.loc[cut.index] == 0).sum(axis=1), "beyond": beyond.sum(axis=1)})
    return ranked.sort_values(["missed", "beyond"], kind="stable").index[0]


def _closest(point: "pd.Series[Any]", chances: "pd.Series[float]") -> Closest:
    reached = {
        str(name): (float(point[CONSTRAINTS[str(name)].column]), float(chance)) for name, chance in chances.items()
    }
    return Closest(point=point.to_dict(), reached=reached)
