"""Damage as it was predicted against damage as it was measured."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from lrbench.report.figures.canvas import canvas, colours_of, markers_of, say_empty
from lrbench.report.frames.damage import WHAT
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Damages, predicted and measured."""
    return results.damage_calibration


def draw(calibration: pd.DataFrame) -> Figure:
    """Predicted against measured damage of single layers and of whole models, with a 90 % band and what it covers.

    Args:
        calibration: of `damage_calibration`.
    """
    drawn = calibration[calibration["measured"].astype(float) > 0]
    panels = [(what, drawn[drawn["what"] == what]) for what in WHAT if (drawn["what"] == what).any()]
    figure, axes = canvas(max(1, len(panels)), share_y=False)
    if not panels:
        say_empty(axes[0], "no layer was cut alone and judged")
        return figure
    methods = list(dict.fromkeys(drawn["method"]))
    colours, markers = colours_of(methods), markers_of(methods)
    figure.suptitle("Damage: each point predicted without itself, with the 90 % band", fontsize=11)
    for axis, (what, group) in zip(axes, panels, strict=True):
        _band(axis, group)
        for method, some in group.groupby("method", sort=False):
            name = str(method)
            axis.scatter(
                some["predicted"], some["measured"], color=colours[name], marker=markers[name], s=14, alpha=0.8
            )
        whole = calibration[calibration["what"] == what]
        axis.set(xscale="log", yscale="log", xlabel="predicted [nats]", ylabel=f"measured: {WHAT[what]}")
        for line in (axis.xaxis, axis.yaxis):
            line.set_major_locator(LogLocator(numticks=5))
            line.set_major_formatter("{x:g}")
        axis.set_title(_covers(what, whole), fontsize=9)
    handles = [
        figure.axes[0].plot([], [], color=colours[name], marker=markers[name], ls="", label=name)[0] for name in methods
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _covers(what: str, group: pd.DataFrame) -> str:
    known = group["inside"].dropna().astype(bool)
    covered = f"the band holds {known.sum()} of {len(known)}" if len(known) else f"{len(group)}, too few for a band"
    return f"{'single layers' if what == 'layer' else 'whole models'}: {covered}"


def _band(axis: Axes, group: pd.DataFrame) -> None:
    """The diagonal, and the median band beside it."""
    ends = np.array([0.7, 1.4]) * [
        group[["predicted", "measured"]].min().min(),
        group[["predicted", "measured"]].max().max(),
    ]
    axis.plot(ends, ends, color="0.3", ls="--", lw=1)
    low, high = ((group[end] / group["predicted"]).astype(float).median() for end in ("low", "high"))
    if np.isfinite([low, high]).all():
        axis.fill_between(ends, low * ends, high * ends, color="0.85", zorder=0)
