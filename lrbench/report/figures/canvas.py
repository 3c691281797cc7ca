"""What all figures share: canvas, colours, markers."""

from collections.abc import Sequence

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from lrbench.config.names import STAGES
from lrbench.report.palette import assign_colours

mpl.use("agg")
mpl.rcParams["svg.hashsalt"] = "lrbench"  # the same picture gives the same file
mpl.rcParams["text.parse_math"] = False  # names are plain text, also with a `$` in them
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STAGE_MARKS = {"truncated": ("o", True), "recalibrated": ("D", True), "finetuned": ("o", False)}
"""The marker of each stage of a trial, and whether it is hollow."""

STYLE = {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
WIDTH, HEIGHT = 8.0, 5.2
TICK, LINE = 32, 120
"""The most characters of a label of an axis, and of a line of any other text."""


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


def stage_keys(prefix: str = "") -> list[Line2D]:
    """An entry of a legend for each stage, its words after a prefix."""
    return [
        Line2D([], [], color="0.3", marker=mark, mfc="white" if hollow else "0.3", ls="", label=prefix + STAGES[stage])
        for stage, (mark, hollow) in STAGE_MARKS.items()
    ]


def say_empty(axis: Axes, text: str) -> None:
    """Say in the middle of an axis why it is empty."""
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color="0.4")
    axis.set_xticks([])


def shorten_(figure: Figure) -> Figure:
    """Shorten names that would leave no room for the picture (in place): of layers, layer sets, models."""
    for axis in figure.axes:
        for line in (axis.xaxis, axis.yaxis):
            names = [label.get_text() for label in line.get_ticklabels()]
            if isinstance(line.get_major_locator(), FixedLocator) and max(map(len, names), default=0) > TICK:
                line.set_ticklabels([shortened(name, most=TICK) for name in names])
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text("\n".join(shortened(line, most=LINE) for line in text.get_text().splitlines()))
    return figure


def shortened(text: str, *, most: int) -> str:
    """A text of at most so many characters, its middle left out where it has more."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
