"""Figures of a whole study: truncation error by layer and rank, learning curves, cheap scores, hypervolumes."""

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lrbench.report.figures.canvas import canvas, colours_of, say_empty
from lrbench.report.frames.scores import SCORES
from lrbench.report.frames.standing import RIVALS, name_rivals


def error_figure(errors: pd.DataFrame) -> Figure:
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


def curves_figure(curves: pd.DataFrame) -> Figure:
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


def scores_figure(correlations: pd.DataFrame) -> Figure:
    """Spearman's rho of each cheap score with finetuned accuracy, with its interval.

    Args:
        correlations: of `score_correlations`.
    """
    groups = list(correlations.groupby(RIVALS, sort=False))
    figure, (axis,) = canvas(height=0.5 + 0.45 * max(4, len(SCORES) * len(groups)))
    axis.set(xlabel="Spearman's rho with finetuned accuracy, 95 % interval", xlim=(-1.05, 1.05))
    axis.set_title("How well cheap scores order the finetuned accuracies")
    if not groups:
        say_empty(axis, "no group of five finetuned trials that differ")
        return figure
    labels: list[str] = []
    for _, group in groups:
        for one in group.to_dict("records"):
            spread = [[max(0.0, one["rho"] - one["rho_low"])], [max(0.0, one["rho_high"] - one["rho"])]]
            axis.errorbar(one["rho"], len(labels), xerr=spread, fmt="o", color="black", elinewidth=1.2)
            where = f"\n{name_rivals(one)}" if len(groups) > 1 else ""
            labels.append(f"{SCORES[one['score']]} ({one['trials']} trials){where}")
    axis.axvline(0, color="0.2", ls="--", lw=1)
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.invert_yaxis()
    return figure


def hypervolume_figure(volumes: pd.DataFrame) -> Figure:
    """The share of cost ratio x accuracy that each method dominates, in MACs and in params.

    Args:
        volumes: of `hypervolumes`.
    """
    figure, (axis,) = canvas(height=1.6 + 0.35 * len(volumes.drop_duplicates([*RIVALS, "method"])))
    axis.set(xlabel="share of (cost ratio x accuracy) dominated", xlim=(0, 1), title="Hypervolume by method")
    if volumes.empty:
        say_empty(axis, "no finished trial")
        return figure
    several = len(volumes.drop_duplicates(RIVALS)) > 1
    where = [f"\n{name_rivals(one)}" if several else "" for one in volumes.to_dict("records")]
    named = volumes.assign(name=volumes["method"] + where)
    for cost, marker in (("macs", "o"), ("params", "s")):
        group = named[named["cost"] == cost]
        axis.plot(group["hypervolume"], group["name"], marker, mfc="none", label=cost.replace("macs", "MACs"))
    axis.margins(y=0.3)
    axis.invert_yaxis()
    axis.legend(loc="best", fontsize=9)
    return figure
