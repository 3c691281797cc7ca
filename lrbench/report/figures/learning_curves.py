"""Training accuracy by epoch."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lrbench.report.figures.canvas import canvas, colours_of, say_empty
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Epochs beside the method of their trial."""
    return results.learning_curves


def draw(curves: pd.DataFrame) -> Figure:
    """Training accuracy by epoch, baselines on the left, finetuning on the right; a line for each run.

    Args:
        curves: of `learning_curves`.
    """
    stages = [stage for stage in ("baseline", "finetune") if stage in set(curves["stage"])]
    figure, axes = canvas(max(1, len(stages)))
    axes[0].set_ylabel("accuracy on training images as they were seen (%)")
    axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    if curves.empty:
        say_empty(axes[0], "nothing was trained")
        return figure
    methods = list(dict.fromkeys(curves["method"]))
    colours = {**colours_of([name for name in methods if name != "dense"]), "dense": (0.0, 0.0, 0.0)}
    for axis, stage in zip(axes, stages, strict=True):
        for (method, _), line in curves[curves["stage"] == stage].groupby(["method", "curve"], sort=False):
            ordered, colour = line.sort_values("epoch"), colours[str(method)]
            axis.plot(ordered["epoch"], ordered["accuracy"], color=colour, lw=1.2, alpha=0.6, marker=".", ms=4)
        last = curves.loc[curves["stage"] == stage, "epoch"].max()
        axis.set(title=stage, xlabel="epoch", xlim=(0.5, last + 0.5))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    handles = [mpl.lines.Line2D([], [], color=colours[name], label=name) for name in methods]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    return figure
