"""Accuracy against a cost, with the front: what several figures draw."""

from collections.abc import Sequence
from textwrap import fill

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from lrbench.report.figures.canvas import canvas, colours_of, markers_of, say_empty
from lrbench.report.frames.rivals import RIVALS
from lrbench.report.frames.standing import BEATEN, FRONT, UNPROVEN
from lrbench.report.frames.trials import name_accuracy

STANDINGS = {FRONT: ("black", 1.6, 1.0), UNPROVEN: ("0.45", 1.0, 0.75), BEATEN: ("white", 0.5, 0.35)}
"""Edge colour, edge width and opacity of a point."""


def accuracy_cost_figure(points: pd.DataFrame, *, cost: str, label: str, unit: str, title: str) -> Figure:
    """Accuracy against a cost: every trial as its point stands, the dense control, and the front of them all.

    Accuracies are those of the test split; the front is that of the split that chooses.

    Args:
        points: of `with_standing`; `cost_low` and `cost_high`, when there, are drawn.
        cost: the column on the x-axis.
        label: of the x-axis.
        unit: at its ticks, such as `s`; "" for counts.
        title: of the figure.
    """
    figure, (axis,) = canvas()
    axis.set(xlabel=label, ylabel=f"{name_accuracy(points)} (%)", title=title)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axis.xaxis.set_major_formatter(EngFormatter(unit=unit))
    if points.empty:
        say_empty(axis, "no finished trial")
        return figure
    dense = points[points["scheme"] == "dense"]
    trials = points[points["scheme"] != "dense"]
    colours, markers = colours_of(list(trials["method"])), markers_of(list(trials["layer_set"]))
    exported = points[points["on_front"].astype(bool) & (points["trial"] == points["point_trial"])]
    for _, front in exported.sort_values(cost).groupby(RIVALS):
        axis.plot(front[cost], front["point_accuracy"], color="0.55", lw=1.4, zorder=1)
    for x in dense[cost].iloc[:1]:
        axis.axvline(x, color="0.2", ls="--", lw=1.0, zorder=1)
    for (method, layer_set, standing), group in trials.groupby(["method", "layer_set", "standing"]):
        edge, width, alpha = STANDINGS[str(standing)]
        colour = to_rgba(colours[str(method)], alpha)
        fit = group["fit"] if "fit" in group else [True] * len(group)
        axis.scatter(
            group[cost],
            group["accuracy_kept"],
            facecolors=[colour if good else "white" for good in fit],
            marker=markers[str(layer_set)],
            edgecolors=[edge if good or standing == FRONT else colour for good in fit],
            linewidths=width,
            s=64,
            zorder=3,
        )
    value = points["accuracy_kept"]
    axis.errorbar(
        points[cost],
        value,
        yerr=_spread(points, value, "accuracy"),
        xerr=_spread(points, points[cost], "cost") if "cost_low" in points else None,
        fmt="none",
        ecolor="0.75",
        elinewidth=1,
        zorder=2,
    )
    axis.scatter(dense[cost], dense["accuracy_kept"], color="black", marker="*", s=170, zorder=4)
    chosen = "the front" if (points["split"] == "test").all() else "the front, by the search split"
    _key(axis, methods=list(trials["method"]), layer_sets=list(trials["layer_set"]), front=chosen)
    return figure


def _spread(points: pd.DataFrame, middle: "pd.Series[float]", name: str) -> "list[pd.Series[float]]":
    """How far an interval reaches below and above its middle."""
    return [(middle - points[f"{name}_low"]).clip(lower=0), (points[f"{name}_high"] - middle).clip(lower=0)]


def _key(axis: Axes, *, methods: Sequence[str], layer_sets: Sequence[str], front: str) -> None:
    """A legend beside the axes: colour is scheme and truncation, shape the layer set."""
    colours, markers = colours_of(methods), markers_of(layer_sets)
    line = mpl.lines.Line2D
    handles = [
        line([], [], color=colours[name], marker="o", ls="", ms=8, label=name) for name in dict.fromkeys(methods)
    ]
    handles += [
        line([], [], color="0.35", marker=markers[name], ls="", ms=7, mfc="none", label=f"layers: {name}")
        for name in dict.fromkeys(layer_sets)
    ]
    handles += [
        line([], [], color="black", marker="*", ls="", ms=12, label="dense control"),
        line([], [], color="0.2", ls="--", lw=1.0, label="cost of dense"),
        line([], [], color="0.55", lw=1.4, label=front),
        *(
            line([], [], marker="o", ls="", ms=8, mfc=to_rgba("0.6", alpha), mec=edge, mew=width, label=fill(name, 24))
            for name, (edge, width, alpha) in STANDINGS.items()
        ),
    ]
    axis.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
