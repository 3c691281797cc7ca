"""How trials stand to one another within noise: on the front, tied with a cheaper one, or dominated; and to dense."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lrbench.report.frames.latency import INTERVAL, SETTING
from lrbench.report.frames.trials import pareto, with_latency

FRONT, TIED, DOMINATED = "front", "tied", "dominated"
RIVALS = ["model", "data", "image_size", "baseline_epochs", "finetune_epochs", "recipe"]
"""What trials must share to be compared."""


def name_rivals(row: Mapping[Any, Any]) -> str:
    """What rivals share, in words: `resnet18 on digits, 32 px, 12+1 epochs` (of the baseline, of finetuning)."""
    return f"{row['model']} on {row['data']}, {row['image_size']} px, {name_training(row)}"


def name_training(row: Mapping[Any, Any]) -> str:
    """Epochs of the baseline and of finetuning, and the recipe where it is not the usual one: `12+1 epochs, frozen`."""
    recipe = "" if row["recipe"] == "train" else f", {row['recipe']}"
    return f"{row['baseline_epochs']}+{row['finetune_epochs']} epochs{recipe}"


def with_standing(points: pd.DataFrame, *, cost: str) -> pd.DataFrame:
    """Points with `on_front` and `standing` among their rivals; accuracies whose 95 % intervals overlap count as equal.

    A point is `tied` when its interval overlaps that of a front point that is cheaper, or as cheap and more accurate:
    so much accuracy is to be had for less, as far as the test images can tell. That can be said of points on the front
    too. Other points of the front are `front`, all others `dominated`.

    Args:
        points: finished trials with the interval of their accuracy; in latency, of one setting.
        cost: the column that is to be small.
    """
    parts = [_stand(group, cost) for _, group in points.groupby(RIVALS, sort=False)]
    return pd.concat(parts).loc[points.index] if parts else points.assign(on_front=False, standing="")


def _stand(points: pd.DataFrame, cost: str) -> pd.DataFrame:
    costs, values, low, high = (
        points[name].to_numpy(float)[:, None] for name in (cost, "accuracy_finetuned", "accuracy_low", "accuracy_high")
    )
    on_front = points.index.isin(pareto(points, cost=cost, value="accuracy_finetuned").index)
    rival_costs, rivals, rival_low, rival_high = (column[on_front].T for column in (costs, values, low, high))
    preferred = (rival_costs < costs) | ((rival_costs == costs) & (rivals > values))
    tied = (preferred & (low <= rival_high) & (rival_low <= high)).any(axis=1)
    standing = np.where(tied, TIED, np.where(on_front, FRONT, DOMINATED))
    return points.assign(on_front=on_front, standing=standing)


def standings(done: pd.DataFrame, ratios: pd.DataFrame) -> pd.DataFrame:
    """How each finished trial stands in params, in MACs, and in latency in each setting timed.

    Args:
        done: of `done_trials`.
        ratios: of `latency_ratios`.

    Returns: one row a trial and `cost` (`params`, `macs`, `ratio`): what it costs, its accuracy and their intervals.
    """
    timed = with_latency(done, ratios)
    by_setting = [group for _, group in timed.groupby(SETTING, sort=False, dropna=False)]
    parts = [with_standing(done, cost=cost).assign(cost=cost, value=done[cost]) for cost in ("params", "macs")]
    parts += [with_standing(group, cost="ratio").assign(cost="ratio", value=group["ratio"]) for group in by_setting]
    accuracy = ["accuracy_finetuned", "accuracy_low", "accuracy_high"]
    columns = ["cost", *SETTING, "trial", "value", *INTERVAL[1:], "fit", *accuracy, "on_front", "standing"]
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled).reindex(columns=columns) if filled else pd.DataFrame(columns=columns)


def with_control(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials with `loss`, what they lose in accuracy against their dense control, and its 95 % interval.

    The control is the dense trial of the same rivals and seeds, or the first of the same rivals. The interval is
    Newcombe's hybrid score (1998, method 10) for two independent samples. Both models see the same images, so it is
    rather too wide. Empty where there is no control.

    Args:
        trials: finished ones with the interval of their accuracy, of one results folder.
    """
    names = ["accuracy_finetuned", "accuracy_low", "accuracy_high"]
    controls = trials[trials["scheme"] == "dense"]
    first = controls.drop_duplicates(RIVALS)[[*RIVALS, *names]]
    seeds = [*RIVALS, "seed", "baseline_seed"]
    same = trials[seeds].merge(controls.drop_duplicates(seeds)[[*seeds, *names]], on=seeds, how="left")
    other = trials[RIVALS].merge(first, on=RIVALS, how="left")
    control, low, high = (same[name].fillna(other[name]).to_numpy(float) for name in names)
    mine, mine_low, mine_high = (trials[name].to_numpy(float) for name in names)
    loss = control - mine
    return trials.assign(
        loss=loss,
        loss_low=loss - np.hypot(control - low, mine_high - mine),
        loss_high=loss + np.hypot(high - control, mine - mine_low),
    )
