"""Figures of time: MACs against latency, layers by rank, and sums of layers against whole models."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, colours_of, markers_of, say_empty


def macs_latency_figure(points: pd.DataFrame, *, title: str) -> Figure:
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
    axis.set(xlim=ends, ylim=(0.0, 1.05 * max(1.0, trials["ratio_high"].max())))
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


def layer_figure(ratios: pd.DataFrame, *, title: str) -> Figure:
    """Latency ratio against rank, a panel for each layer shape; dotted: the break-even rank in MACs of each scheme.

    Args:
        ratios: of `layer_ratios`, one setting.
        title: of the figure.
    """
    timed = ratios[ratios["rank"].notna()]
    shapes = list(dict.fromkeys(timed["shape"]))
    columns = max(1, min(3, len(shapes)))
    rows = max(1, -(-len(shapes) // columns))
    figure, axes = canvas(columns, rows, height=2.6 * rows + 0.8)
    figure.suptitle(title, fontsize=11)
    if timed.empty:
        say_empty(axes[0], "no layer was timed")
        return figure
    colours = colours_of(list(timed["scheme"]))
    for axis, shape in zip(axes, shapes, strict=False):
        group = timed[timed["shape"] == shape]
        for scheme, curve in group.groupby("scheme", sort=False):
            ordered, colour = curve.sort_values("rank"), colours[str(scheme)]
            axis.plot(ordered["rank"], ordered["ratio"], color=colour, marker="o", ms=3, lw=1.2)
            axis.fill_between(
                ordered["rank"], ordered["ratio_low"], ordered["ratio_high"], color=colour, alpha=0.2, lw=0
            )
            axis.axvline(ordered["breakeven_rank_macs"].iloc[0], color=colour, ls=":", lw=1.2)
        axis.axhline(1.0, color="0.2", ls="--", lw=1)
        axis.set_title(f"{shape.replace('>', '→')}\n{_short(group['layers'].iloc[0])}", fontsize=7.5)
        axis.set(ylim=(0, 1.6), xlabel="rank")
    for axis in axes[len(shapes) :]:
        axis.set_visible(False)
    figure.supylabel("latency ratio of the layer, 99 % interval", fontsize=9)
    _legend(figure, [*dict.fromkeys(timed["scheme"])], "r* in MACs")
    return figure


def _short(layers: str) -> str:
    """Some names in a few characters: the first, and how many more."""
    first, *others = layers.split()
    return first + (f" and {len(others)} more" if others else "")


def _legend(figure: Figure, schemes: Sequence[str], dotted: str) -> None:
    colours, line = colours_of(schemes), mpl.lines.Line2D
    handles = [line([], [], color=colours[name], marker="o", ms=4, label=name) for name in schemes]
    handles += [line([], [], color="0.4", ls=":", label=dotted), line([], [], color="0.2", ls="--", label="dense")]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=9, frameon=False)


def heat_figure(ratios: pd.DataFrame, *, title: str) -> Figure:
    """Latency ratio by layer shape and rank, a panel for each scheme; blue is faster than dense, red slower.

    Args:
        ratios: of `layer_ratios`, one setting.
        title: of the figure.
    """
    timed = ratios[ratios["rank"].notna()]
    schemes = list(dict.fromkeys(timed["scheme"]))
    shapes = list(dict.fromkeys(timed["shape"]))
    rows = max(1, len(schemes))
    figure, axes = canvas(1, rows, height=max(2.5, (0.32 * len(shapes) + 1.1) * rows))
    figure.suptitle(title, fontsize=11)
    if timed.empty:
        say_empty(axes[0], "no layer was timed")
        return figure
    for axis, scheme in zip(axes, schemes, strict=False):
        grid = timed[timed["scheme"] == scheme].pivot_table(index="shape", columns="rank", values="ratio", sort=False)
        grid = grid.reindex(index=shapes).sort_index(axis=1)
        grid.index = [shape.replace(">", "→") for shape in grid.index]
        grid.columns = [f"{rank:.0f}" for rank in grid.columns]
        sns.heatmap(
            np.log2(grid),
            ax=axis,
            cmap="RdBu_r",
            vmin=-1.5,
            vmax=1.5,
            cbar=False,
            annot=grid,
            fmt=".2f",
            annot_kws={"size": 5.5},
        )
        axis.set(title=scheme, xlabel="rank", ylabel="")
        axis.tick_params(labelsize=6.5)
    return figure


def additivity_figure(points: pd.DataFrame, *, title: str) -> Figure:
    """Measured latency ratios of whole models against those predicted from the layer table.

    Args:
        points: of `additivity`, one setting.
        title: of the figure.
    """
    figure, (axis,) = canvas()
    axis.set(xlabel="latency ratio predicted from single layers", ylabel="measured, with 99 % interval", title=title)
    if points.empty:
        say_empty(axis, "no architecture whose layers were all timed")
        return figure
    spread = [points["ratio"] - points["ratio_low"], points["ratio_high"] - points["ratio"]]
    axis.errorbar(points["predicted_ratio"], points["ratio"], yerr=spread, fmt="o", ms=5, elinewidth=1)
    ends = [
        0.9 * points[["ratio_low", "predicted_ratio"]].min().min(),
        1.05 * points[["ratio_high", "predicted_ratio"]].max().max(),
    ]
    axis.plot(ends, ends, color="0.6", ls=":", lw=1.2)
    error = points["error"].abs().median()
    axis.text(0.03, 0.95, f"median error {error:.1%}", transform=axis.transAxes, va="top", fontsize=9)
    return figure
