"""What all figures share: canvas, colours, markers."""

from collections.abc import Sequence

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lrbench.report.palette import assign_colours

mpl.use("agg")
mpl.rcParams["svg.hashsalt"] = "lrbench"  # the same picture gives the same file
mpl.rcParams["text.parse_math"] = False  # names are plain text, also with a `$` in them
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLE = {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
WIDTH, HEIGHT = 8.0, 5.2


def canvas(
    columns: int = 1, rows: int = 1, *, height: float = HEIGHT, share_y: bool = True
) -> tuple[Figure, list[Axes]]:
    """An empty figure of 800 px at 100 dpi, laid out by itself."""
    with sns.axes_style("whitegrid", STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    return figure, list(axes.flat)


def colours_of(names: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """A colour-blind-safe colour for each name, the same for the same names."""
    return {name: to_rgb(colour) for name, colour in assign_colours(names).items()}


def markers_of(names: Sequence[str]) -> dict[str, str]:
    """A marker for each name."""
    return {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(sorted(set(names)))}


def say_empty(axis: Axes, text: str) -> None:
    """Say in the middle of an axis why it is empty."""
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color="0.4")
    axis.set_xticks([])
