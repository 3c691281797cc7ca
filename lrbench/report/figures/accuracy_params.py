"""Accuracy against params."""

import pandas as pd
from matplotlib.figure import Figure

from lrbench.report.figures.accuracy_cost import accuracy_cost_figure
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Finished trials as they stand."""
    return results.stood("params")


def draw(points: pd.DataFrame, *, title: str) -> Figure:
    """Every trial as it stands in params."""
    return accuracy_cost_figure(points, cost="params", label="params", unit="", title=title)
