"""What the charts of the page show: a function for each, from a results folder to points with a `panel`."""

import pandas as pd

from lrbench.config.names import STAGES
from lrbench.report.frames.damage import WHAT
from lrbench.report.frames.latency import SETTING, describe
from lrbench.report.frames.rivals import RIVALS, name_rivals
from lrbench.report.frames.rows import rows_of
from lrbench.report.results import Results
from lrbench.results.records import MEASURED


def _by_setting(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with their setting in words as `panel`."""
    names = [describe(row.items()) + f" ({row['environment']})" for row in rows_of(frame, SETTING)]
    return frame.assign(panel=names)


def cut(results: Results) -> pd.DataFrame:
    """Whole models, each in each setting that it was timed in."""
    timed = results.timed_architectures
    return _by_setting(timed[timed["scheme"] != "dense"])


def stages(results: Results) -> pd.DataFrame:
    """Accuracies at each stage that is there, a row each."""
    trials = results.done[results.done["scheme"] != "dense"]
    parts = [
        trials.assign(panel=STAGES[stage], accuracy=100 * trials[f"accuracy_{stage}"].astype(float))
        for stage in MEASURED
    ]
    return pd.concat(parts).dropna(subset="accuracy")


def budgets(results: Results) -> pd.DataFrame:
    """Trials whose ranks a budget chose, by group of rivals."""
    outcomes = results.budgets
    names = [name_rivals(row) for row in rows_of(outcomes, RIVALS)]
    return outcomes.assign(panel=names, accuracy=100 * outcomes["accuracy_kept"], way=outcomes["allocation"])


def layers(results: Results) -> pd.DataFrame:
    """Single layers by rank, a panel a shape."""
    timed = results.layer_ratios[results.layer_ratios["rank"].notna()]
    return _by_setting(timed).assign(panel=timed["shape"])


def additivity(results: Results) -> pd.DataFrame:
    """Whole models as the sum of their layers predicts them."""
    return _by_setting(results.additivity).assign(series="whole models")


def damages(results: Results) -> pd.DataFrame:
    """Plans for a budget: predicted damage and points lost."""
    plans = results.audit.drop_duplicates("trial")
    return plans.assign(panel="all plans", lost=100 * plans["loss"])


def plan_latencies(results: Results) -> pd.DataFrame:
    """Plans for a budget: predicted and measured latency."""
    plans = results.audit
    return _by_setting(plans[plans["layers_timed"].astype(bool) & plans["ratio"].notna()])


def calibration(results: Results) -> pd.DataFrame:
    """Damage of layers and of models, predicted and measured."""
    known = results.damage_calibration
    shown = known[known["measured"].astype(float) > 0]
    return shown.assign(panel=shown["what"].map(WHAT))


def sensitivity(results: Results) -> pd.DataFrame:
    """What each layer loses when it alone is cut."""
    grid = results.sensitivity_grid
    return grid.assign(panel=grid["layer"])


def spectra(results: Results) -> pd.DataFrame:
    """What each rank costs each layer's weight."""
    errors = results.truncation_errors
    return errors.assign(panel=errors["layer"])


def epochs(results: Results) -> pd.DataFrame:
    """Mean training accuracy of each stage by epoch."""
    curves = results.epochs.assign(accuracy=100 * results.epochs["accuracy"].astype(float))
    means = curves.groupby(["stage", "epoch"], as_index=False, sort=False)["accuracy"].mean()
    several: pd.DataFrame = means[means.groupby("stage")["epoch"].transform("nunique") > 1]
    return several.assign(panel="all trainings", series=several["stage"])
