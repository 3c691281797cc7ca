"""The latency ratio of each layer at each rank, as colours."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, say_empty
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Latency ratios of single layers."""
    return results.layer_ratios


def draw(ratios: pd.DataFrame, *, title: str) -> Figure:
    """Latency ratio by layer shape and rank, a panel for each scheme; blue is faster than dense, red slower.

    Args:
        ratios: of `layer_ratios`, one setting.
        title: of the figure.
    """
    timed = ratios[ratios["rank"].notna()]
    schemes = list(dict.fromkeys(timed["scheme"]))
    shapes = list(dict.fromkeys(timed["shape"]))
    rows = max(1, len(schemes))
    figure, axes = canvas(1, rows, height=max(2.5, (0.32 * len(shapes) + 1.1) * rows))
    figure.suptitle(title, fontsize=11)
    if timed.empty:
        say_empty(axes[0], "no layer was timed")
        return figure
    for axis, scheme in zip(axes, schemes, strict=False):
        grid = timed[timed["scheme"] == scheme].pivot_table(index="shape", columns="rank", values="ratio", sort=False)
        grid = grid.reindex(index=shapes).sort_index(axis=1)
        grid.index = [shape.replace(">", "→") for shape in grid.index]
        grid.columns = [f"{rank:.0f}" for rank in grid.columns]
        sns.heatmap(
            np.log2(grid),
            ax=axis,
            cmap="RdBu_r",
            vmin=-1.5,
            vmax=1.5,
            cbar=False,
            annot=grid,
            fmt=".2f",
            annot_kws={"size": 5.5},
        )
        axis.set(title=scheme, xlabel="rank", ylabel="")
        axis.tick_params(labelsize=6.5)
    return figure
