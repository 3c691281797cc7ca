"""Figures: a frame in, a matplotlib figure out; someone else saves it."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter, PercentFormatter

from lrbench.report.figures.canvas import HEIGHT, canvas, colours_of, markers_of, say_empty
from lrbench.report.frames.standing import DOMINATED, FRONT, RIVALS, TIED, with_standing

STANDINGS = {FRONT: ("black", 1.6, 1.0), TIED: ("0.45", 1.0, 0.75), DOMINATED: ("white", 0.5, 0.35)}
"""Edge colour, edge width and opacity of a point."""

CROWDED = 24
"""Rank rules times methods that need the whole width of a figure."""


def pareto_figure(points: pd.DataFrame, *, cost: str, label: str, unit: str, title: str) -> Figure:
    """Finetuned accuracy against a cost: every trial as it stands, the dense control, and the Pareto front of them all.

    Args:
        points: finished trials with the interval of their accuracy; `cost_low` and `cost_high`, when there, are drawn.
        cost: the column on the x-axis.
        label: of the x-axis.
        unit: at its ticks, such as `s`; "" for counts.
        title: of the figure.
    """
    figure, (axis,) = canvas()
    axis.set(xlabel=label, ylabel="test accuracy after finetuning (%)", title=title)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axis.xaxis.set_major_formatter(EngFormatter(unit=unit))
    if points.empty:
        say_empty(axis, "no finished trial")
        return figure
    dense = points[points["scheme"] == "dense"]
    trials = points[points["scheme"] != "dense"]
    colours, markers = colours_of(list(trials["method"])), markers_of(list(trials["layer_set"]))
    stood = with_standing(points, cost=cost)
    for _, front in stood[stood["on_front"]].sort_values([cost, "accuracy_finetuned"]).groupby(RIVALS):
        axis.step(front[cost], front["accuracy_finetuned"], where="post", color="0.55", lw=1.4, zorder=1)
    for x in dense[cost].iloc[:1]:
        axis.axvline(x, color="0.2", ls="--", lw=1.0, zorder=1)
    for (method, layer_set, standing), group in stood[stood["scheme"] != "dense"].groupby(
        ["method", "layer_set", "standing"]
    ):
        edge, width, alpha = STANDINGS[str(standing)]
        colour = to_rgba(colours[str(method)], alpha)
        fit = group["fit"] if "fit" in group else [True] * len(group)
        axis.scatter(
            group[cost],
            group["accuracy_finetuned"],
            facecolors=[colour if good else "white" for good in fit],
            marker=markers[str(layer_set)],
            edgecolors=[edge if good or standing == FRONT else colour for good in fit],
            linewidths=width,
            s=64,
            zorder=3,
        )
    value = points["accuracy_finetuned"]
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
    axis.scatter(dense[cost], dense["accuracy_finetuned"], color="black", marker="*", s=170, zorder=4)
    _key(axis, methods=list(trials["method"]), layer_sets=list(trials["layer_set"]))
    return figure


def _spread(points: pd.DataFrame, middle: "pd.Series[float]", name: str) -> "list[pd.Series[float]]":
    """How far an interval reaches below and above its middle."""
    return [(middle - points[f"{name}_low"]).clip(lower=0), (points[f"{name}_high"] - middle).clip(lower=0)]


def _key(axis: Axes, *, methods: Sequence[str], layer_sets: Sequence[str]) -> None:
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
        line([], [], color="0.55", lw=1.4, label="Pareto front"),
        *(
            line([], [], marker="o", ls="", ms=8, mfc=to_rgba("0.6", alpha), mec=edge, mew=width, label=name)
            for name, (edge, width, alpha) in STANDINGS.items()
        ),
    ]
    axis.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)


def stages_figure(points: pd.DataFrame) -> Figure:
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
    control = controls["accuracy_finetuned"].mean()
    for axis, layer_set in zip(axes, layer_sets, strict=False):
        group = trials[trials["layer_set"] == layer_set]
        shift = {
            method: (i - (len(methods) - 1) / 2) * min(0.22, 0.8 / len(methods)) for i, method in enumerate(methods)
        }
        x = group["rank_rule"].map(rules.index).astype(float) + group["method"].map(shift).astype(float)
        shades = group["method"].map(colours)
        axis.vlines(x, group["accuracy_truncated"], group["accuracy_finetuned"], colors=list(shades), lw=1.6, alpha=0.6)
        axis.scatter(x, group["accuracy_truncated"], facecolors="white", edgecolors=list(shades), s=42, zorder=3)
        axis.scatter(
            x, group["accuracy_recalibrated"], facecolors="white", edgecolors=list(shades), marker="D", s=26, zorder=3
        )
        axis.scatter(x, group["accuracy_finetuned"], color=list(shades), s=42, zorder=3)
        axis.axhline(group["accuracy_dense"].mean(), color="0.6", ls=":", lw=1.2)
        axis.axhline(control, color="0.2", ls="--", lw=1.2)
        axis.set(title=f"layers: {layer_set}", xlabel="rank rule", xlim=(-0.6, len(rules) - 0.4))
        axis.set_xticks(range(len(rules)), rules, rotation=30, ha="right", fontsize=8)
    for axis in axes[len(layer_sets) :]:
        axis.set_visible(False)
    line = mpl.lines.Line2D
    handles = [line([], [], color=colours[name], marker="o", ls="", label=name) for name in methods]
    handles += [
        line([], [], color="0.3", marker="o", mfc="white", ls="", label="truncated"),
        line([], [], color="0.3", marker="D", ms=5, mfc="white", ls="", label="batch norm re-estimated"),
        line([], [], color="0.3", marker="o", ls="", label="finetuned"),
        line([], [], color="0.6", ls=":", label="dense"),
        line([], [], color="0.2", ls="--", label="dense, finetuned as long"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def spectra_figure(spectra: pd.DataFrame) -> Figure:
    """Singular values of each layer over the largest one, by scheme; dashed: a written-back layer once trained."""
    schemes = list(dict.fromkeys(spectra["scheme"]))
    figure, axes = canvas(max(1, min(3, len(schemes))), max(1, -(-len(schemes) // 3)))
    axes[0].set_ylabel("singular value / largest")
    if spectra.empty:
        say_empty(axes[0], "no layer was decomposed")
        return figure
    first = spectra.groupby(["baseline", "trial", "scheme", "layer"], dropna=False)["singular_value"].transform("max")
    relative = spectra.assign(relative=spectra["singular_value"] / first.where(first > 0, 1.0))
    layers = list(dict.fromkeys(spectra["layer"]))
    shades = dict(zip(layers, sns.color_palette("viridis", len(layers)), strict=True))
    baseline = spectra["baseline"].iloc[0]
    least = max(1e-8, relative["relative"].min() / 1.5)
    for axis, scheme in zip(axes, schemes, strict=False):
        group = relative[(relative["scheme"] == scheme) & (relative["baseline"] == baseline)]
        for (layer, trial), line in group.groupby(["layer", "trial"], dropna=False):
            trained = not pd.isna(trial)
            axis.plot(line["index"], line["relative"], color=shades[str(layer)], lw=1.3, ls="--" if trained else "-")
        axis.set(title=scheme, xlabel="index of the singular value", xscale="log", yscale="log", ylim=(least, 1.5))
        for ticks in (axis.xaxis, axis.yaxis):
            ticks.set_major_formatter("{x:g}")
            ticks.set_minor_formatter(NullFormatter())
    for axis in axes[len(schemes) :]:
        axis.set_visible(False)
    handles = [mpl.lines.Line2D([], [], color=shades[name], label=name) for name in layers]
    if spectra["trial"].notna().any():
        handles.append(mpl.lines.Line2D([], [], color="0.3", ls="--", label="written back, then trained"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure
