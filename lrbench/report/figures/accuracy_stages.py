"""Accuracy of each trial right after truncation, after re-estimation and after finetuning, and which was kept."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lrbench.report.figures.canvas import HEIGHT, STAGE_MARKS, canvas, colours_of, say_empty, stage_keys
from lrbench.report.frames.budgets import is_budgeted
from lrbench.report.results import Results

CROWDED = 24
"""Rank rules times methods that need the whole width of a figure."""


def info(results: Results) -> pd.DataFrame:
    """Finished trials but those of budget rules, which have a figure of their own."""
    return results.done[~is_budgeted(results.done)]


def draw(points: pd.DataFrame) -> Figure:
    """Accuracy truncated -> re-estimated -> finetuned of each trial, by rank rule; a panel for each layer set."""
    trials = points[points["scheme"] != "dense"] if not points.empty else points
    layer_sets = list(dict.fromkeys(trials["layer_set"])) if not trials.empty else []
    across = 1 if len(set(trials["rank_rule"])) * len(set(trials["method"])) > CROWDED else 3
    columns, rows = max(1, min(across, len(layer_sets))), max(1, -(-len(layer_sets) // across))
    figure, axes = canvas(columns, rows, height=HEIGHT if rows == 1 else 1.2 + 2.6 * rows)
    axes[0].set_ylabel("test accuracy (%)")
    axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    if trials.empty:
        say_empty(axes[0], "no finished trial")
        return figure
    colours = colours_of(list(trials["method"]))
    rules = list(trials.groupby("rank_rule")["mac_ratio"].min().sort_values().index)
    methods = list(dict.fromkeys(trials["method"]))
    controls = points[(points["scheme"] == "dense") & points["recipe"].isin(trials["recipe"])]
    control = controls["accuracy_kept"].mean()
    for axis, layer_set in zip(axes, layer_sets, strict=False):
        group = trials[trials["layer_set"] == layer_set]
        shift = {
            method: (i - (len(methods) - 1) / 2) * min(0.22, 0.8 / len(methods)) for i, method in enumerate(methods)
        }
        x = group["rank_rule"].map(rules.index).astype(float) + group["method"].map(shift).astype(float)
        shades = group["method"].map(colours)
        axis.vlines(x, group["accuracy_truncated"], group["accuracy_kept"], colors=list(shades), lw=1.6, alpha=0.6)
        for stage, (marker, hollow) in STAGE_MARKS.items():
            faces = "white" if hollow else list(shades)
            values = group[f"accuracy_{stage}"]
            axis.scatter(x, values, facecolors=faces, edgecolors=list(shades), marker=marker, s=36, zorder=3)
        axis.scatter(x, group["accuracy_kept"], color="black", marker=".", s=16, zorder=4)
        axis.axhline(group["accuracy_dense"].mean(), color="0.6", ls=":", lw=1.2)
        axis.axhline(control, color="0.2", ls="--", lw=1.2)
        axis.set(title=f"layers: {layer_set}", xlabel="rank rule", xlim=(-0.6, len(rules) - 0.4))
        axis.set_xticks(range(len(rules)), rules, rotation=30, ha="right", fontsize=8)
    for axis in axes[len(layer_sets) :]:
        axis.set_visible(False)
    line = mpl.lines.Line2D
    handles = [line([], [], color=colours[name], marker="o", ls="", label=name) for name in methods]
    handles += [
        *stage_keys(),
        line([], [], color="black", marker=".", ls="", label="kept"),
        line([], [], color="0.6", ls=":", label="dense"),
        line([], [], color="0.2", ls="--", label="dense control"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure
