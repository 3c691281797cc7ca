"""How well cheap scores order trials."""

import pandas as pd
from matplotlib.figure import Figure

from lrbench.report.figures.canvas import canvas, say_empty
from lrbench.report.frames.rivals import RIVALS, name_rivals
from lrbench.report.frames.scores import SCORES
from lrbench.report.results import Results


def info(results: Results) -> pd.DataFrame:
    """Rank correlations of scores with finetuned accuracy."""
    return results.score_correlations


def draw(correlations: pd.DataFrame) -> Figure:
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
        for row in group.to_dict("records"):
            spread = [[max(0.0, row["rho"] - row["rho_low"])], [max(0.0, row["rho_high"] - row["rho"])]]
            axis.errorbar(row["rho"], len(labels), xerr=spread, fmt="o", color="black", elinewidth=1.2)
            where = f"\n{name_rivals(row)}" if len(groups) > 1 else ""
            labels.append(f"{SCORES[row['score']]} ({row['trials']} trials){where}")
    axis.axvline(0, color="0.2", ls="--", lw=1)
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.invert_yaxis()
    return figure
