"""Which point of a sweep keeps to what is wanted at the least cost, how sure that is, and what lies beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pandas as pd

from lrbench.errors import InputError
from lrbench.report.advice.constraints import CONSTRAINTS, COSTS, Limits
from lrbench.report.frames.points import Row
from lrbench.report.frames.trials import pareto


@dataclass(frozen=True, kw_only=True)
class Held:
    """How the chosen point stands to one constraint.

    Attributes:
        name: of the constraint.
        limit: in the unit of its column (0..1 for shares).
        value: of the chosen point.
        probability: that its true value keeps to the limit; NaN when its timing has no spread.
        binding: whether another point would be chosen without this constraint alone.
    """

    name: str
    limit: float
    value: float
    probability: float
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
class Recommendation:
    """What is recommended, or (`point` None) how near the constraints can be reached.

    Attributes:
        point: the chosen row of `pool_points`.
        objective: what was optimised: `accuracy`, or the cost that was minimised.
        cost: by which `cheaper` and `dearer`, its neighbours on the Pareto front of accuracy, are told.
        candidates: how many points there were to choose from.
        held: one for each constraint.
        nearest: one for each constraint, when none is feasible.
        surest: then, if there is one, the point that comes closest to being sure enough.
    """

    point: Row | None
    objective: str
    cost: str
    candidates: int
    held: tuple[Held, ...] = ()
    cheaper: Row | None = None
    dearer: Row | None = None
    nearest: tuple[Nearest, ...] = ()
    surest: Surest | None = None


def recommend(
    points: pd.DataFrame, limits: Limits, *, confidence: float = 0.5, minimise: str | None = None
) -> Recommendation:
    """Choose among the factorized points that keep to each limit with enough probability.

    The cheapest of many points whose measured value just keeps to a limit is mostly one that was lucky; asking for more
    than even odds makes up for it.

    With a limit on accuracy or its drop, the point of least cost: that of `minimise`, else the first cost that is
    limited, else latency where points are timed, else MACs. With limits on costs alone, the most accurate one. Of
    points that count by latency those with a fit timing come first.

    Args:
        points: of `pool_points`.
        limits: by the names of `CONSTRAINTS`, in the units of their columns.
        confidence: least probability, 0..1, with which each must hold.
        minimise: one of `COSTS`.

    Raises: InputError when nothing is limited, or what is limited was never measured.
    """
    cut = points[~points["dense"].astype(bool)]
    _refuse_unknown(cut, limits, minimise)
    cost = minimise or next((name for name in COSTS if name in limits), None)
    cost = cost or ("latency" if cut["ratio"].notna().any() else "macs")
    objective = cost if minimise or {"max-drop", "accuracy"} & set(limits) else "accuracy"
    chances = pd.DataFrame({name: CONSTRAINTS[name].probabilities(cut, limit) for name, limit in limits.items()})
    keeps = chances >= confidence
    chosen = _choose(cut, keeps, objective=objective, cost=cost)
    if chosen is None:
        return Recommendation(
            point=None,
            objective=objective,
            cost=cost,
            candidates=len(cut),
            nearest=tuple(_nearest(cut, keeps, chances, limits)),
            surest=_surest(cut, chances),
        )
    point = points.loc[chosen].to_dict()
    held = []
    for name, limit in limits.items():
        binding = _choose(cut, keeps.drop(columns=name), objective=objective, cost=cost) != chosen
        constraint = CONSTRAINTS[name]
        held.append(
            Held(
                name=name,
                limit=limit,
                value=point[constraint.column],
                probability=constraint.probability(point, limit),
                binding=binding,
            )
        )
    cheaper, dearer = _neighbours(points, point, CONSTRAINTS[cost].column)
    return Recommendation(
        point=point,
        objective=objective,
        cost=cost,
        candidates=len(cut),
        held=tuple(held),
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
        raise InputError(
            "--max-drop needs the dense control, finetuned as long; it did not finish. --accuracy does not"
        )
    if "latency" in (*limits, minimise) and cut["ratio"].isna().all():
        raise InputError(
            "no factorized model was timed; lrbench time DIR does that, --macs and --params need no timings"
        )


def _choose(cut: pd.DataFrame, keeps: pd.DataFrame, *, objective: str, cost: str) -> Any:
    """The index of the best point that keeps to each limit; None when there is none."""
    feasible = cut[keeps.all(axis=1) & cut[CONSTRAINTS[objective].column].notna()]
    if "latency" in (*keeps, objective) and (fit := feasible["fit"] == True).any():  # noqa: E712 - None is not False
        feasible = feasible[fit]
    if feasible.empty:
        return None
    order = (
        ["accuracy", CONSTRAINTS[cost].column] if objective == "accuracy" else [CONSTRAINTS[cost].column, "accuracy"]
    )
    keys = [*order, "mac_ratio"]
    ranked = feasible.astype(dict.fromkeys(keys, float)).sort_values(
        keys, ascending=[key != "accuracy" for key in keys], kind="stable"
    )
    return ranked.index[0]


def _neighbours(points: pd.DataFrame, point: Row, column: str) -> tuple[Row | None, Row | None]:
    """The next points of the Pareto front of accuracy over a cost, on the cheaper and on the dearer side."""
    known = points[points[column].notna()].astype({column: float})
    front = pareto(known, cost=column, value="accuracy")
    cheaper, dearer = front[front[column] < point[column]], front[front[column] > point[column]]
    return (
        None if cheaper.empty else cheaper.iloc[-1].to_dict(),
        None if dearer.empty else dearer.iloc[0].to_dict(),
    )


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


def _surest(cut: pd.DataFrame, chances: pd.DataFrame) -> Surest | None:
    """The point whose least probable constraint is the most probable; None when none has any chance."""
    ranked = cut.assign(least=chances.min(axis=1)).sort_values("least", ascending=False, kind="stable")
    first = ranked.iloc[0]
    return Surest(point=str(first["name"]), probability=float(first["least"])) if first["least"] > 0 else None
