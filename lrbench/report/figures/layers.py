"""Latency of single layers by rank."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from lrbench.lowrank.cuts import parse_names
from lrbench.report.figures.canvas import TICK, canvas, colours_of, say_empty, shortened
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Latency ratios of single layers."""
    return results.layer_ratios


def draw(ratios: pd.DataFrame, *, title: str) -> Figure:
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
    first, *others = parse_names(layers)
    return shortened(first, most=TICK) + (f" and {len(others)} more" if others else "")


def _legend(figure: Figure, schemes: Sequence[str], dotted: str) -> None:
    colours, line = colours_of(schemes), mpl.lines.Line2D
    handles = [line([], [], color=colours[name], marker="o", ms=4, label=name) for name in schemes]
    handles += [line([], [], color="0.4", ls=":", label=dotted), line([], [], color="0.2", ls="--", label="dense")]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=9, frameon=False)
