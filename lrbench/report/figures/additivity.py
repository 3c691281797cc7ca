"""Sums of layers against whole models."""

import pandas as pd
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, say_empty
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Predicted and measured ratios of whole models."""
    return results.additivity


def draw(points: pd.DataFrame, *, title: str) -> Figure:
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
