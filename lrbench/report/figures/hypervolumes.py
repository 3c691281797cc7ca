"""What share of cost and accuracy each method dominates."""

import pandas as pd
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, say_empty
from lrbench.report.frames.rivals import RIVALS, name_rivals
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Hypervolumes by method."""
    return results.hypervolumes


def draw(volumes: pd.DataFrame) -> Figure:
    """The share of cost ratio x accuracy that each method dominates, in MACs and in params.

    Args:
        volumes: of `hypervolumes`.
    """
    figure, (axis,) = canvas(height=1.6 + 0.35 * len(volumes.drop_duplicates([*RIVALS, "method"])))
    axis.set(xlabel="share of (cost ratio x accuracy) dominated", xlim=(0, 1), title="Hypervolume by method")
    if volumes.empty:
        say_empty(axis, "no finished trial")
        return figure
    several = len(volumes.drop_duplicates(RIVALS)) > 1
    where = [f"\n{name_rivals(row)}" if several else "" for row in volumes.to_dict("records")]
    named = volumes.assign(name=volumes["method"] + where)
    for cost, marker in (("macs", "o"), ("params", "s")):
        group = named[named["cost"] == cost]
        axis.plot(group["hypervolume"], group["name"], marker, mfc="none", label=cost.replace("macs", "MACs"))
    axis.margins(y=0.3)
    axis.invert_yaxis()
    axis.legend(loc="best", fontsize=9)
    return figure
