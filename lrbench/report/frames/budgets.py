"""What each way of spending a budget is worth: accuracies of the models that budget rules chose."""

import pandas as pd

from lrbench.report.frames.rivals import RIVALS
from lrbench.results.records import MEASURED

OUTCOMES = [*RIVALS, "budget", "allocation", "method", "layer_set", "seed", "trial", "architecture", "mac_ratio"]


def is_budgeted(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials' ranks were chosen by a budget rule."""
    return trials["predicted_macs"].notna()


def budget_outcomes(losses: pd.DataFrame) -> pd.DataFrame:
    """Trials whose ranks a budget rule chose, with `budget` (`macs=0.5`), `allocation` (`knapsack`), accuracies.

    `accuracy_kept` is that of the stage that was kept, `accuracy_control` that of the dense control.

    Args:
        losses: of `with_control`.
    """
    planned = losses[is_budgeted(losses)].assign(accuracy_control=losses["accuracy_kept"] + losses["loss"])
    parts = planned["rank_rule"].str.extract(r"^(?P<allocation>\S+) (?P<budget>\S+=\S+)$")
    accuracies = [f"accuracy_{stage}" for stage in ("dense", "control", *MEASURED, "kept")]
    columns = [*OUTCOMES, "param_ratio", "predicted_damage", "predicted_latency_ratio", *accuracies]
    return planned.assign(**{str(name): parts[name] for name in parts}).dropna(subset="budget")[columns]
