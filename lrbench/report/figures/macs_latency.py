"""MACs against latency, of whole models."""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, colours_of, markers_of, say_empty
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Every architecture in each setting; none where nothing but the dense model was timed."""
    timed = results.timed_architectures
    return timed if (timed["scheme"] != "dense").any() else timed.iloc[:0]


def draw(points: pd.DataFrame, *, title: str) -> Figure:
    """MAC ratio against latency ratio with its interval; on the diagonal MACs would be time. Hollow: unfit timings.

    Args:
        points: of `timed_architectures`, one setting.
        title: of the figure.
    """
    figure, (axis,) = canvas()
    axis.set(xlabel="MAC ratio", ylabel="latency ratio, with 99 % interval", title=title)
    trials = points[points["scheme"] != "dense"]
    if trials.empty:
        say_empty(axis, "nothing was timed but the dense model")
        return figure
    colours, markers = colours_of(list(trials["method"])), markers_of(list(trials["layer_set"]))
    for (method, layer_set), group in trials.groupby(["method", "layer_set"], sort=False):
        _points(axis, group.sort_values("mac_ratio"), colour=colours[str(method)], marker=markers[str(layer_set)])
    ends = [0.0, 1.05 * max(1.0, trials["mac_ratio"].max())]
    axis.plot(ends, ends, color="0.6", ls=":", lw=1.2, zorder=1)
    axis.axhline(1.0, color="0.2", ls="--", lw=1.2, zorder=1)
    axis.set(xlim=ends, ylim=(0.0, 1.05 * max(1.0, trials[["ratio", "ratio_high"]].max().max())))
    line = mpl.lines.Line2D
    handles = [line([], [], color=colours[m], marker="o", ls="", label=m) for m in dict.fromkeys(trials["method"])]
    handles += [
        line([], [], color="0.35", marker=markers[name], ls="", mfc="none", label=f"layers: {name}")
        for name in dict.fromkeys(trials["layer_set"])
    ]
    handles += [
        line([], [], color="0.6", ls=":", label="latency = MACs"),
        line([], [], color="0.2", ls="--", label="dense"),
    ]
    axis.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    return figure


def _points(axis: Axes, group: pd.DataFrame, *, colour: tuple[float, float, float], marker: str) -> None:
    """Ratios with intervals, joined by a thin line where they are of one rank rule family."""
    low, high = group["ratio"] - group["ratio_low"], group["ratio_high"] - group["ratio"]
    axis.errorbar(
        group["mac_ratio"], group["ratio"], yerr=[low, high], fmt="none", ecolor=colour, elinewidth=1, alpha=0.6
    )
    faces = [colour if fit else "white" for fit in group["fit"]]
    axis.scatter(
        group["mac_ratio"], group["ratio"], facecolors=faces, edgecolors=[colour], marker=marker, s=48, zorder=3
    )
