"""Singular values of each layer, by scheme."""

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lrbench.report.figures.canvas import TICK, canvas, say_empty, shortened
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Rows of `spectra.csv`."""
    return results.spectra


def draw(spectra: pd.DataFrame) -> Figure:
    """Singular values of each layer over the largest one, by scheme; dashed: a written-back layer once trained."""
    schemes = list(dict.fromkeys(spectra["scheme"]))
    figure, axes = canvas(max(1, min(3, len(schemes))), max(1, -(-len(schemes) // 3)))
    axes[0].set_ylabel("singular value / largest")
    if spectra.empty:
        say_empty(axes[0], "no layer was decomposed")
        return figure
    first = spectra.groupby(["baseline", "trial", "scheme", "layer"], dropna=False)["singular_value"].transform("max")
    relative = spectra.assign(relative=spectra["singular_value"] / first.where(first > 0, 1.0))
    layers = list(dict.fromkeys(spectra["layer"]))
    shades = dict(zip(layers, sns.color_palette("viridis", len(layers)), strict=True))
    baseline = spectra["baseline"].iloc[0]
    least = max(1e-8, relative["relative"].min() / 1.5)
    for axis, scheme in zip(axes, schemes, strict=False):
        group = relative[(relative["scheme"] == scheme) & (relative["baseline"] == baseline)]
        for (layer, trial), line in group.groupby(["layer", "trial"], dropna=False):
            trained = not pd.isna(trial)
            axis.plot(line["index"], line["relative"], color=shades[str(layer)], lw=1.3, ls="--" if trained else "-")
        axis.set(title=scheme, xlabel="index of the singular value", xscale="log", yscale="log", ylim=(least, 1.5))
        for ticks in (axis.xaxis, axis.yaxis):
            ticks.set_major_formatter("{x:g}")
            ticks.set_minor_formatter(NullFormatter())
    for axis in axes[len(schemes) :]:
        axis.set_visible(False)
    handles = [mpl.lines.Line2D([], [], color=shades[name], label=shortened(name, most=TICK)) for name in layers]
    if spectra["trial"].notna().any():
        handles.append(mpl.lines.Line2D([], [], color="0.3", ls="--", label="written back, then trained"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure
