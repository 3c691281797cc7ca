"""What plans for a budget predicted beside what was measured."""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import STAGE_MARKS, canvas, colours_of, say_empty, stage_keys
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Plans, predicted and measured."""
    return results.audit


def draw(audited: pd.DataFrame) -> Figure:
    """Plans: predicted damage against that of each stage, predicted against measured latency; colour is the planner.

    Latencies are shown for settings in which single layers were timed.

    Args:
        audited: of `audit`.
    """
    timed = audited[audited["layers_timed"] & audited["latency_error"].notna()]
    figure, axes = canvas(1 if timed.empty else 2, share_y=False)
    plans = audited.drop_duplicates("trial")
    equal = int((plans["macs_equal"] & plans["params_equal"]).sum())
    figure.suptitle(f"Plans: MACs and params as predicted in {equal} of {len(plans)}", fontsize=11)
    if plans.empty:
        say_empty(axes[0], "no plan was finished")
        return figure
    colours = colours_of(list(plans["planner"]))
    _damages(axes[0], plans, colours)
    if not timed.empty:
        _latencies(axes[1], timed, colours)
    line = mpl.lines.Line2D
    handles = [
        line([], [], color=colours[name], marker="o", ls="", label=name) for name in dict.fromkeys(plans["planner"])
    ]
    handles += stage_keys("damage: ")
    if not timed.empty:
        handles.append(line([], [], color="0.3", marker="x", ls="", label="latency scaled by whole models"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _damages(axis: Axes, plans: pd.DataFrame, colours: dict[str, tuple[float, float, float]]) -> None:
    for planner, group in plans.groupby("planner", sort=False):
        colour = colours[str(planner)]
        for stage, (mark, hollow) in STAGE_MARKS.items():
            face = "white" if hollow else colour
            measured = 100 * group[f"damage_{stage}"].astype(float)
            axis.scatter(group["predicted_damage"], measured, facecolors=[face], edgecolors=[colour], marker=mark, s=36)
    axis.axhline(0, color="0.2", ls="--", lw=1, zorder=1)
    axis.set(xlabel="damage predicted", ylabel="points of accuracy below the dense control")


def _latencies(axis: Axes, timed: pd.DataFrame, colours: dict[str, tuple[float, float, float]]) -> None:
    for planner, group in timed.groupby("planner", sort=False):
        colour, predicted = colours[str(planner)], group["predicted_latency_ratio"]
        spread = [group["ratio"] - group["ratio_low"], group["ratio_high"] - group["ratio"]]
        axis.errorbar(predicted, group["ratio"], yerr=spread, fmt="none", ecolor=colour, elinewidth=1, zorder=2)
        faces = [colour if fit else "white" for fit in group["fit"]]
        axis.scatter(predicted, group["ratio"], facecolors=faces, edgecolors=[colour], s=36, zorder=3)
        axis.scatter(group["scaled_ratio"], group["ratio"], c=[colour], marker="x", s=30, lw=1, zorder=3)
    both = timed[["ratio", "predicted_latency_ratio", "scaled_ratio"]]
    ends = [0.95 * both.min().min(), 1.05 * both.max().max()]
    axis.plot(ends, ends, color="0.6", ls=":", lw=1.2)
    axis.set(xlabel="latency ratio predicted (x: scaled)", ylabel="measured, with 99 % interval")
