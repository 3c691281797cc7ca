"""What share of the plane of cost and accuracy each method dominates, over the grid that all compared methods share."""

from collections.abc import Hashable, Iterator, Mapping

import numpy as np
import pandas as pd

from lrbench.report.frames.pooling import Right, pool_points
from lrbench.report.frames.rivals import RIVALS, Row
from lrbench.statistics.fronts import resample_accuracies
from lrbench.statistics.posterior import CONFIDENCE, Floats, luck_of

GRID = ["layer_set", "rank_rule", "seed", "baseline_seed"]
"""What is a place of the grid: a method that has more of them dominates more, whatever it is worth."""

COSTS = {"macs": "mac_ratio", "params": "param_ratio"}

COLUMNS = [*RIVALS, "method", "cost", "trials", "grid", "hypervolume", "low", "high", "best", "reason"]

ALONE = "no other method was tried"
APART = "shares no rank rule, layer set and seed with all others"

Place = tuple[Hashable, ...]


def hypervolumes(done: pd.DataFrame, right: Right) -> pd.DataFrame:
    """What share of the plane of cost ratio (0..1) and accuracy (0..1) each method dominates, on a common grid.

    1 would be a model that costs nothing and never errs; the dense model itself dominates nothing. Only what costs
    less than dense counts; a point's accuracy on the test split is the mean over its seeds. Zitzler & Thiele (1998),
    reference point (1, 0).

    Args:
        done: of `done_trials`.
        right: of `unpack_answers`.

    Returns: one row for each group of rivals, method and cost (`macs`, `params`): `trials` of the method, how many of
        them are on the `grid` (a rank rule, layer set and seed that all compared methods have), `hypervolume` with its
        95 % interval `low`, `high` by resampling images and seeds, and `best`, the share of these resamples in which no
        other method has more. Where nothing is compared these are empty, with the `reason`.
    """
    rows: list[Row] = []
    for key, group in done[done["scheme"] != "dense"].groupby(RIVALS, sort=False):
        named = dict(zip(RIVALS, key, strict=True))
        rows += [{**named, **row} for row in _of_rivals(group, right)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_rivals(trials: pd.DataFrame, right: Right) -> Iterator[Row]:
    places = {
        str(method): set(group[GRID].itertuples(index=False, name=None))
        for method, group in trials.groupby("method", sort=False)
    }
    compared, grid = common_grid(places)
    held = [place in grid for place in trials[GRID].itertuples(index=False, name=None)]
    on_grid = trials[trials["method"].isin(compared) & pd.Series(held, index=trials.index)]
    found = dict(_volumes(on_grid, right)) if compared else {}
    for method, own in places.items():
        for cost in COSTS:
            row = {"method": method, "cost": cost, "trials": len(own), "grid": len(grid) if method in compared else 0}
            reason = None if method in compared else ALONE if len(places) == 1 else APART
            yield {**row, **found.get((method, cost), {}), "reason": reason}


def common_grid(places: Mapping[str, set[Place]]) -> tuple[tuple[str, ...], set[Place]]:
    """The methods that are compared, and the places of the grid that all of them have.

    While the methods share none, that of the fewest places is left out, the last of equals.

    Args:
        places: of each method.

    Returns: no methods and no places where fewer than two are left.
    """
    compared = list(places)
    while len(compared) > 1:
        shared = set.intersection(*(places[method] for method in compared))
        if shared:
            return tuple(compared), shared
        fewest = min(len(places[method]) for method in compared)
        compared.remove(next(method for method in reversed(compared) if len(places[method]) == fewest))
    return (), set()


def _volumes(trials: pd.DataFrame, right: Right) -> Iterator[tuple[tuple[str, str], Row]]:
    """By method and cost, the hypervolume of trials that are all on the grid."""
    methods = list(dict.fromkeys(trials["method"]))
    pools = [pool_points(trials[trials["method"] == method], right, split="test") for method in methods]
    points = pd.concat(pools, ignore_index=True)
    owner = np.repeat(np.arange(len(methods)), [len(pool) for pool in pools])
    accuracies = points["accuracy"].to_numpy(float)[None]
    drawn = resample_accuracies(list(points["answers"]), luck_of(points["answers"]))
    for cost, column in COSTS.items():
        ratios = points[column].to_numpy(float)
        mine = [owner == i for i in range(len(methods))]
        exact = [float(dominated(ratios[own], accuracies[:, own])[0]) for own in mine]
        resampled = np.array([dominated(ratios[own], drawn[:, own]) for own in mine])
        low, high = np.quantile(resampled, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2), axis=1)
        best = (resampled >= resampled.max(axis=0)).mean(axis=1)
        for i, method in enumerate(methods):
            yield (
                (method, cost),
                {"hypervolume": exact[i], "low": low[i], "high": high[i], "best": best[i]},
            )


def dominated(costs: Floats, accuracies: Floats) -> Floats:
    """The area under the stairs of the best accuracy at each cost up to 1, (R,).

    Args:
        costs: (K,).
        accuracies: (R, K).
    """
    order = np.argsort(costs, kind="stable")
    stairs = np.maximum.accumulate(accuracies[:, order], axis=1)
    widths = np.diff(np.minimum(np.append(costs[order], 1.0), 1.0))
    area: Floats = stairs @ widths
    return area
