"""What each rank costs the weight of each layer."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, say_empty
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Relative errors by layer and rank."""
    return results.truncation_errors


def draw(errors: pd.DataFrame) -> Figure:
    """Relative error of the weight by layer and rank, a panel for each scheme.

    Args:
        errors: of `truncation_errors`.
    """
    schemes, layers = list(dict.fromkeys(errors["scheme"])), list(dict.fromkeys(errors["layer"]))
    rows = max(1, len(schemes))
    figure, axes = canvas(1, rows, height=max(2.5, (0.24 * len(layers) + 1.1) * rows))
    figure.suptitle("Relative error of the weight at each rank, by singular values of the baseline", fontsize=11)
    if errors.empty:
        say_empty(axes[0], "no layer was decomposed")
        return figure
    for axis, scheme in zip(axes, schemes, strict=False):
        of_scheme = errors[errors["scheme"] == scheme]
        grid = of_scheme.pivot_table(index="layer", columns="rank", values="weight_error", sort=False)
        grid = grid.reindex(index=[name for name in layers if name in grid.index]).sort_index(axis=1)
        sns.heatmap(
            grid, ax=axis, cmap="cividis_r", vmin=0, vmax=1, cbar=False, annot=True, fmt=".2f", annot_kws={"size": 6.5}
        )
        axis.set(title=scheme, xlabel="rank", ylabel="")
        axis.tick_params(labelsize=7, rotation=0)
    return figure
