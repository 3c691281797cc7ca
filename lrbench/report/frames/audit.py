"""What plans predicted, beside what was measured: MACs, params, latency, damage, the order of the plans."""

import pandas as pd

from lrbench.config.axes import AXES
from lrbench.report.frames.latency import INTERVAL, SETTING
from lrbench.report.frames.rivals import RIVALS
from lrbench.report.frames.scores import rank_correlation
from lrbench.results.records import MEASURED

BUDGET = [*RIVALS, "layer_set", "budget", "seed", "baseline_seed"]
"""What plans share that are ranked against one another."""


COLUMNS = [
    *("trial", "method", "layer_set", "rank_rule", "planner", "budget", "seed", "baseline_seed", *RIVALS),
    *("predicted_macs", "macs", "macs_equal", "predicted_params", "params", "params_equal"),
    *("environment", *AXES, "predicted_latency_ratio", *INTERVAL, "fit", "latency_error", "layers_timed"),
    *("scaled_ratio", "scaled_error"),
    *("predicted_damage", *(f"damage_{stage}" for stage in MEASURED), "loss"),
    *("ranked_by", "predicted_rank", "measured_rank", "correction"),
]


def audit(losses: pd.DataFrame, ratios: pd.DataFrame, layer_latency: pd.DataFrame, sums: pd.DataFrame) -> pd.DataFrame:
    """Each finished trial whose ranks were planned for a budget, in each setting its architecture was timed in.

    Args:
        losses: of `with_control`.
        ratios: of `latency_ratios`.
        layer_latency: rows of `layer_latency.csv`, from which latencies are predicted.
        sums: of `additivity`.

    Returns: the trial and its setting (empty when not timed), `planner` and `budget` (the rank rule's two parts),
        `predicted_*`, as the trial's record has it; `macs_equal`, `params_equal`; `ratio` with its 99 % interval and
        `fit`, `latency_error` (predicted over measured less 1), `layers_timed` (single layers were timed in this
        setting); `scaled_ratio` and `scaled_error`, what the layers of this setting predict, scaled by the other whole
        models timed in it; `damage_*`, what
        the dense control was more accurate, both at that one of `MEASURED`; `loss`,
        what it was at the stages that were kept; `predicted_rank` and `measured_rank` (1 is
        least damage; measured on the search split where all were judged on it, else on the test split: `ranked_by`),
        and `correction`, by how many places measuring moved the plan up.
    """
    plans = losses[losses["predicted_macs"].notna()]
    controls = losses.set_index("trial")
    parts = plans["rank_rule"].str.split(n=1)
    split = "search" if plans["accuracy_search"].notna().all() else "kept"
    named = plans.assign(
        planner=parts.str[0],
        budget=parts.str[1],
        macs_equal=plans["macs"] == plans["predicted_macs"],
        params_equal=plans["params"] == plans["predicted_params"],
        **{
            f"damage_{stage}": plans["control"].map(controls[f"accuracy_{stage}"]).astype(float)
            - plans[f"accuracy_{stage}"].astype(float)
            for stage in MEASURED
        },
        ranked_by="test" if split == "kept" else split,
    )
    groups = named.groupby(BUDGET, sort=False, dropna=False)
    predicted = groups["predicted_damage"].rank(method="min")
    measured = groups[f"accuracy_{split}"].rank(method="min", ascending=False)
    ranked = named.assign(predicted_rank=predicted, measured_rank=measured, correction=predicted - measured)
    timed = ratios[[*SETTING, "architecture", *INTERVAL, "fit"]]
    keys = ["architecture", "model", "image_size"]
    joined = ranked.merge(timed, on=keys, how="left", suffixes=("_trial", ""))
    scaled = sums[[*SETTING, "architecture", "scaled_ratio", "scaled_error"]]
    joined = joined.merge(scaled, on=[*SETTING, "architecture"], how="left")
    from_layers = set(layer_latency[SETTING].itertuples(index=False, name=None))
    return joined.assign(
        latency_error=joined["predicted_latency_ratio"].astype(float) / joined["ratio"].astype(float) - 1,
        layers_timed=[key in from_layers for key in joined[SETTING].itertuples(index=False, name=None)],
    )[COLUMNS]


AMONG = {"all": (), "budget": tuple(BUDGET)}
"""Among which plans a correlation ranks: all of a group of rivals, or those of one budget, layer set and seed."""


def audit_correlations(audited: pd.DataFrame) -> pd.DataFrame:
    """How well predicted damage orders the measured one: Spearman's rho among the plans of each group of rivals.

    Over all plans a budget says most: tight ones do damage. So plans are ranked within their budget too, where there
    are several.

    Args:
        audited: of `audit`.

    Returns: one row a group, stage at which at least five plans differ, and `among` (of `AMONG`): `trials`, `rho`, and
        its 95 % interval `rho_low`, `rho_high`, by a percentile bootstrap over plans.
    """
    rows = [
        {**dict(zip(RIVALS, key, strict=True)), "stage": stage, "among": among, **correlation}
        for key, group in audited.drop_duplicates("trial").groupby(RIVALS, sort=False)
        for stage in MEASURED
        for among, within in AMONG.items()
        if (correlation := rank_correlation(group, "predicted_damage", f"damage_{stage}", within=within))
    ]
    return pd.DataFrame(rows, columns=[*RIVALS, "stage", "among", "trials", "rho", "rho_low", "rho_high"])
