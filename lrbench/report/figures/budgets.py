"""What each way of spending a budget is worth."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lrbench.report.figures.canvas import STAGE_MARKS, canvas, colours_of, say_empty, stage_keys
from lrbench.report.results import Results
from lrbench.results.records import MEASURED

DENSE = {"dense": (":", "dense"), "control": ("--", "dense control")}
"""Line style and words of the dense models to compare with."""


def info(results: Results) -> pd.DataFrame:
    """Outcomes of budget rules."""
    return results.budgets


def draw(outcomes: pd.DataFrame) -> Figure:
    """Accuracy right after truncation, after re-estimation and after finetuning, by rule; a panel for each budget.

    Args:
        outcomes: of `budget_outcomes`.
    """
    budgets = sorted(set(outcomes["budget"]), key=_order)
    named = outcomes.assign(way=outcomes["allocation"] + ", " + outcomes["method"])
    ways = list(dict.fromkeys(named.sort_values(["method", "allocation"])["way"]))
    rows = max(1, -(-len(budgets) // 2))
    figure, axes = canvas(min(2, max(1, len(budgets))), rows, height=1.4 + rows * (1.0 + 0.24 * len(ways)))
    if outcomes.empty:
        say_empty(axes[0], "no trial by a budget rule")
        return figure
    colours = colours_of(list(named["method"]))
    for axis, budget in zip(axes, budgets, strict=False):
        group = named[named["budget"] == budget]
        heights, shades = group["way"].map(ways.index), list(group["method"].map(colours))
        low, high = (group[[f"accuracy_{stage}" for stage in MEASURED]].agg(how, axis=1) for how in ("min", "max"))
        axis.hlines(heights, low, high, colors=shades, lw=1.4, alpha=0.5)
        for stage, (marker, hollow) in STAGE_MARKS.items():
            faces = "white" if hollow else shades
            axis.scatter(group[f"accuracy_{stage}"], heights, c=faces, edgecolors=shades, marker=marker, s=30, zorder=3)
        for model, (style, _) in DENSE.items():
            axis.axvline(group[f"accuracy_{model}"].mean(), color="0.4", ls=style, lw=1.2)
        axis.set(title=budget.replace("=", " at most "), xlabel="test accuracy (%)")
        axis.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes[0].set_yticks(range(len(ways)), ways)
    for axis in axes:
        axis.tick_params(axis="y", labelsize=8)
    axes[0].set_ylim(len(ways) - 0.5, -0.5)
    for axis in axes[len(budgets) :]:
        axis.set_visible(False)
    line = mpl.lines.Line2D
    handles = [*stage_keys()]
    handles += [line([], [], color="0.4", ls=style, label=words) for style, words in DENSE.values()]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    return figure


def _order(budget: str) -> tuple[str, float]:
    cost, _, share = budget.partition("=")
    return cost, -float(share)
