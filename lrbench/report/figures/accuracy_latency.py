"""Accuracy against latency."""

import pandas as pd
from matplotlib.figure import Figure

from lrbench.report.figures.accuracy_cost import accuracy_cost_figure
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Finished trials as they stand in each setting that their architecture was timed in."""
    return results.stood("ratio")


def draw(points: pd.DataFrame, *, title: str) -> Figure:
    """Every trial as it stands in latency: the ratio times the dense latency, so that points share one minute.

    Args:
        points: of `with_standing`, one setting.
        title: of the figure.
    """
    dense = points["dense_latency_s"].median()
    placed = points.assign(
        paired_s=points["ratio"] * dense, cost_low=points["ratio_low"] * dense, cost_high=points["ratio_high"] * dense
    )
    return accuracy_cost_figure(
        placed, cost="paired_s", label="latency of a batch, with 99 % interval", unit="s", title=title
    )
