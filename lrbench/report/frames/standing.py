"""How points stand to one another: three words for each, how probable it is that no other beats it.

A point is `BEATEN` when another is at least as good in cost and in accuracy, and better in one, by their estimates; of
equal accuracies that of the smaller loss is better. Of the rest, which are the front, a point is `UNPROVEN` when the
95 % interval of its lead in accuracy over a cheaper one reaches 0 (paired by images where answers were kept, wider by
the training noise of both), else `FRONT`. All of it goes by the split that may choose. An unfit timing beats nothing
where there are fit ones.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lrbench.report.frames.latency import INTERVAL, SETTING
from lrbench.report.frames.pooling import Right, pool_points, with_timings
from lrbench.report.frames.rivals import RIVALS, split_of
from lrbench.statistics.fronts import Bools, front_chances, lead, resample_accuracies, unbeaten
from lrbench.statistics.posterior import Floats

FRONT, UNPROVEN, BEATEN = "front", "on the front, not proven better than a cheaper point", "beaten"

WORDS = ["split", "point", "point_trial", "point_accuracy", "on_front", "standing", "probability", "resamples"]


def can_beat(points: pd.DataFrame, *, cost: str) -> Bools:
    """Which points can beat others: in latency those with a fit timing, where there are any; else all.

    Args:
        points: with `fit` where `cost` is `ratio`.
        cost: a column.
    """
    fit = (points["fit"] == True).to_numpy() if cost == "ratio" else np.zeros(len(points), bool)  # noqa: E712 - or None
    return fit if fit.any() else np.ones(len(points), bool)


def words_of(points: pd.DataFrame, *, cost: str) -> list[str]:
    """`FRONT`, `UNPROVEN` or `BEATEN` for each point.

    Args:
        points: of `pool_points`, with `cost` and, where that is `ratio`, `fit`.
        cost: the column that is to be small.
    """
    costs, counts = points[cost].to_numpy(float), can_beat(points, cost=cost)
    front = unbeaten(costs, points["worth"].to_numpy(float), counts)
    answers, luck = points["answers"].to_numpy(), points["luck"].iloc[0]
    words = np.where(front, FRONT, BEATEN).astype(object)
    for i in np.flatnonzero(front):
        cheaper = np.flatnonzero(front & counts & (costs < costs[i]))
        means, reach = lead(answers[i], list(answers[cheaper]), luck)
        if (means <= reach).any():
            words[i] = UNPROVEN
    return list(words)


def standings(done: pd.DataFrame, ratios: pd.DataFrame, right: Right) -> pd.DataFrame:
    """How the point of each finished trial stands in params, in MACs, and in latency in each setting timed.

    Args:
        done: of `done_trials`.
        ratios: of `latency_ratios`.
        right: of `unpack_answers`.

    Returns: one row a trial and `cost` (`params`, `macs`, `ratio`). Of its point: `value`, what it costs, with `fit`
        and the interval of a ratio, its name `point`, the trial `point_trial` that would be exported, `standing`,
        `on_front`, by which `split`, and `probability`, the share of `resamples` of images, luck and timings in which
        no other point beats it; `point_accuracy` on the test split, the mean over seeds. Of the trial: its accuracy on
        the test split with its interval.
    """
    parts = []
    for _, group in done.groupby(RIVALS, sort=False):
        split = split_of(group)
        points = pool_points(group, right, split=split)
        parts += [stood.assign(split=split) for stood in _standings(points, group, ratios)]
    of_trial = ["accuracy_kept", "accuracy_low", "accuracy_high"]
    columns = ["cost", *SETTING, "trial", "value", *INTERVAL[1:], "fit", *of_trial, *WORDS]
    if not parts:
        return pd.DataFrame(columns=columns)
    stood = pd.concat(parts).merge(done[["trial", *of_trial]], on="trial").reindex(columns=columns)
    seeds = stood.groupby(["cost", *SETTING, "point_trial"], dropna=False)["accuracy_kept"]
    return stood.assign(point_accuracy=seeds.transform("mean"))


def _standings(points: pd.DataFrame, trials: pd.DataFrame, ratios: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Points of one group of rivals as they stand by each cost, a row for each of their trials."""
    hair = (points["worth"] - points["accuracy"]).to_numpy()
    worths = resample_accuracies(list(points["answers"]), points["luck"].iloc[0]) + hair
    for cost in ("params", "macs"):
        yield _stand(points, points[cost].to_numpy(float), worths, cost=cost)
    first = trials.iloc[0]
    mine = ratios[(ratios["model"] == first["model"]) & (ratios["image_size"] == first["image_size"])]
    for key, setting in mine.groupby(SETTING, sort=False, dropna=False):
        timed = with_timings(points, setting)
        known = timed["ratio"].notna().to_numpy()
        if known.any():
            stood = _stand(timed[known], _draw_ratios(timed[known], len(worths)), worths[:, known], cost="ratio")
            yield stood.assign(**dict(zip(SETTING, key, strict=True)))


def _stand(points: pd.DataFrame, costs: Floats, worths: Floats, *, cost: str) -> pd.DataFrame:
    words = words_of(points, cost=cost)
    stood = points.assign(
        cost=cost,
        value=points[cost],
        point=points["name"],
        point_trial=points["trial"],
        standing=words,
        on_front=[word != BEATEN for word in words],
        probability=front_chances(costs, worths, can_beat(points, cost=cost)),
        resamples=len(worths),
    )
    return stood.assign(trial=points["trials"]).explode("trial", ignore_index=True)


def _draw_ratios(points: pd.DataFrame, resamples: int) -> Floats:
    """Latency ratios drawn from their posteriors, (resamples, K); points of one architecture share its timing."""
    timed = points.drop_duplicates("architecture")
    freedom = timed["freedom"].to_numpy(float)
    spread = np.where(freedom >= 1, timed["log_error"].to_numpy(float), 0.0)
    drawn = np.random.default_rng(1).standard_t(np.maximum(freedom, 1), (resamples, len(timed)))
    ratios: Floats = np.exp(np.log(timed["ratio"].to_numpy(float)) + spread * drawn)
    return ratios[:, pd.factorize(points["architecture"])[0]]


def with_standing(trials: pd.DataFrame, stood: pd.DataFrame, *, cost: str) -> pd.DataFrame:
    """Trials with `WORDS` in a cost; in latency those that were timed, in each setting.

    Args:
        trials: finished ones; in latency with their setting.
        stood: of `standings`.
        cost: `params`, `macs` or `ratio`.
    """
    keys = ["trial", *(SETTING if cost == "ratio" else [])]
    known = stood.loc[stood["cost"] == cost, [*keys, *WORDS]].astype(dict(trials[keys].dtypes))  # all may be empty
    return trials.merge(known, on=keys, how="left")
