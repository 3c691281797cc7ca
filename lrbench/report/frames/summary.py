"""Finished trials with what sums them up: how they stand, latency in the first setting timed, ranks after training."""

from typing import Any

import pandas as pd

from lrbench.report.frames.latency import INTERVAL, SETTING, describe
from lrbench.report.frames.rivals import RIVALS


def summarise(stood: pd.DataFrame, ratios: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Every finished trial with its latency ratio in the first setting timed, and the ranks of its layers.

    Args:
        stood: finished trials as they stand in MACs.
        ratios: of `latency_ratios`.
        layers: rows of `layers.csv`.

    Returns: `setting` says which setting that is; `trained_ranks` are the numerical ranks, after training, of those
        layers that any trial truncates.
    """
    ranks = _trained_ranks(layers)
    if ratios.empty:
        return stood.assign(ratio=float("nan"), setting="not timed", trained_ranks=stood["trial"].map(ranks))
    first = ratios.iloc[0][SETTING]
    same = ratios[(ratios[SETTING] == first).all(axis=1)]
    joined = stood.merge(same[["architecture", "fit", *INTERVAL]], on="architecture", how="left")
    return joined.assign(setting=describe(first.items()), trained_ranks=joined["trial"].map(ranks))


def _trained_ranks(layers: pd.DataFrame) -> dict[Any, str]:
    """By trial, the least and the largest numerical rank of the layers that some trial truncates."""
    cut = set(layers.loc[layers["rank"].notna(), "layer"])
    known = layers[layers["layer"].isin(cut) & layers["numerical_rank"].notna()]
    return {
        trial: "-".join(str(int(rank)) for rank in sorted({ranks.min(), ranks.max()}))
        for trial, ranks in known.groupby("trial")["numerical_rank"]
    }


def fronts(summary: pd.DataFrame) -> pd.DataFrame:
    """The dense controls, then the points of the front of accuracy over MACs, by the trial to export, cheapest first.

    The front is that of the split that may choose; accuracies on the test split are shown after. Trials of other
    models, data or epochs do not compete: each has its own front.

    Args:
        summary: of `summarise`.
    """
    parts = [summary.iloc[:0]]
    for _, rivals in summary.groupby(RIVALS, sort=False):
        dense = rivals["scheme"] == "dense"
        front = rivals[~dense & rivals["on_front"].astype(bool) & (rivals["trial"] == rivals["point_trial"])]
        parts += [rivals[dense], front.sort_values("macs", kind="stable")]
    return pd.concat(parts)
