"""What share of cost and accuracy each method dominates, on a grid that the compared methods share."""

import pandas as pd
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, say_empty
from lrbench.report.frames.rivals import RIVALS, name_rivals
from lrbench.report.results import Results

MANY = 6
"""Methods from which a chart says more than the table."""


def info(results: Results) -> pd.DataFrame:
    """Hypervolumes of the groups of rivals that compare `MANY` methods or more; of fewer the table says all."""
    compared = results.hypervolumes.dropna(subset="hypervolume")
    sizes = compared.groupby(RIVALS, sort=False, dropna=False)["method"].transform("nunique")
    return compared[sizes >= MANY]


def draw(volumes: pd.DataFrame) -> Figure:
    """The share of cost ratio x accuracy that each compared method dominates, in MACs and in params.

    Args:
        volumes: of `info`.
    """
    groups = list(volumes.groupby(RIVALS, sort=False))
    rows = len(volumes.drop_duplicates([*RIVALS, "method"]))
    figure, axes = canvas(rows=max(1, len(groups)), height=1.8 + 0.7 * len(groups) + 0.3 * rows, share_y=False)
    if volumes.empty:
        say_empty(axes[0], f"no {MANY} methods share a rank rule, layer set and seed")
        return figure
    figure.suptitle("Hypervolume of methods: each only by what all of its group have", fontsize=11)
    for axis, (key, group) in zip(axes, groups, strict=True):
        for shift, (cost, marker) in zip((-0.12, 0.12), (("macs", "o"), ("params", "s")), strict=True):
            one = group[group["cost"] == cost]
            spread = [one["hypervolume"] - one["low"], one["high"] - one["hypervolume"]]
            places = [place + shift for place in range(len(one))]
            label = cost.replace("macs", "MACs")
            axis.errorbar(one["hypervolume"], places, xerr=spread, fmt=marker, mfc="none", elinewidth=1, label=label)
        axis.set_yticks(range(len(one)), one["method"])
        where = name_rivals(dict(zip(RIVALS, key, strict=True)))
        axis.set_title(f"{where}: a grid of {one['grid'].iloc[0]} trials", fontsize=9)
        axis.margins(y=0.3)
        axis.invert_yaxis()
    axes[-1].set_xlabel("share of (cost ratio x accuracy) dominated, 95 % interval over images and seeds")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure
