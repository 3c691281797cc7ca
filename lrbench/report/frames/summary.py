"""Finished trials with what sums them up: latency in the first setting timed, ranks after training, the front."""

from typing import Any

import pandas as pd

from lrbench.report.frames.latency import INTERVAL, SETTING, describe
from lrbench.report.frames.standing import RIVALS
from lrbench.report.frames.trials import pareto


def summarise(done: pd.DataFrame, ratios: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Every finished trial with its latency ratio in the first setting timed, and the ranks of its layers.

    Args:
        done: of `done_trials`.
        ratios: of `latency_ratios`.
        layers: rows of `layers.csv`.

    Returns: `setting` says which setting that is; `trained_ranks` are the numerical ranks, after training, of those
        layers that any trial truncates.
    """
    ranks = _trained_ranks(layers)
    if ratios.empty:
        return done.assign(ratio=float("nan"), setting="not timed", trained_ranks=done["trial"].map(ranks))
    first = ratios.iloc[0][SETTING]
    same = ratios[(ratios[SETTING] == first).all(axis=1)]
    joined = done.merge(same[["architecture", "fit", *INTERVAL]], on="architecture", how="left")
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
    """The dense controls, then the Pareto front of finetuned accuracy over MACs, cheapest first.

    Trials of other models, data or epochs do not compete: each has its own front.

    Args:
        summary: of `summarise`.
    """
    parts = [summary.iloc[:0]]
    for _, rivals in summary.groupby(RIVALS, sort=False):
        front = pareto(rivals, cost="macs", value="accuracy_finetuned")
        parts += [rivals[rivals["scheme"] == "dense"], front[front["scheme"] != "dense"]]
    return pd.concat(parts)
