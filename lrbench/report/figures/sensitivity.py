"""What cutting one layer alone costs."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, say_empty
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Single layers by the share of their MACs that is left."""
    return results.sensitivity_grid


def draw(grid: pd.DataFrame) -> Figure:
    """Relative output error of each layer by the MAC share left to it, and accuracy lost; a row for each method.

    Args:
        grid: of `sensitivity_grid`.
    """
    methods, layers = list(dict.fromkeys(grid["method"])), list(dict.fromkeys(grid["layer"]))
    panels = [("output_error", "relative output error", 1.0)]
    if grid["accuracy_loss"].notna().any():
        panels.append(("accuracy_loss", "points of accuracy lost", 100.0))
    rows = max(1, len(methods))
    figure, axes = canvas(len(panels), rows, height=max(2.5, (0.24 * len(layers) + 1.1) * rows))
    figure.suptitle("One layer cut at a time, by the share of its MACs that is left", fontsize=11)
    if grid.empty:
        say_empty(axes[0], "no layer was cut alone")
        return figure
    shares = sorted(set(grid["mac_share"]))
    for number, axis in enumerate(axes):
        method, (column, words, unit) = methods[number // len(panels)], panels[number % len(panels)]
        cells = grid[grid["method"] == method].pivot_table(index="layer", columns="mac_share", values=column)
        shown = unit * cells.reindex(index=layers, columns=shares)
        shown.columns = [f"{share:.1f}" for share in shares]
        sns.heatmap(
            shown,
            ax=axis,
            cmap="cividis_r",
            vmin=0,
            vmax=1 if unit == 1 else max(1.0, unit * grid[column].max()),
            cbar=False,
            annot=True,
            fmt=".2f" if unit == 1 else ".1f",
            annot_kws={"size": 6},
        )
        axis.set(xlabel="MAC share of the layer, up to", ylabel="")
        axis.set_title(f"{method}: {words}", fontsize=9)
        axis.tick_params(labelsize=7, rotation=0)
    return figure
