"""Accuracy against MACs."""

import pandas as pd
from matplotlib.figure import Figure

from lrbench.report.figures.accuracy_cost import accuracy_cost_figure
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Finished trials as they stand."""
    return results.stood("macs")


def draw(points: pd.DataFrame, *, title: str) -> Figure:
    """Every trial as it stands in MACs."""
    return accuracy_cost_figure(points, cost="macs", label="MACs of one image", unit="", title=title)
