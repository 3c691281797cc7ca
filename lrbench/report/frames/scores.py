"""What trials tell together: how well cheap scores predict, what a method dominates, what each cut costs a layer."""

from collections.abc import Mapping
from typing import Any

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from lrbench.lowrank.cuts import truncation_alone
from lrbench.report.frames.rivals import RIVALS

Floats = NDArray[np.float64]

SCORES: Mapping[str, str] = {
    "mac_ratio": "MAC ratio",
    "energy": "energy kept, mean of the layers cut",
    "weight_error": "weight error, mean of the layers cut",
    "output_error": "output error, mean of the layers cut",
    "accuracy_truncated": "accuracy after truncation",
    "accuracy_recalibrated": "accuracy after re-estimation",
}
"""Scores of a trial that need no finetuning, by column; the MAC ratio is what the others have to beat."""

FEWEST = 5
"""Trials that a rank correlation needs."""

RESAMPLES = 2000

BLOCK = 1_000_000
"""Values that resampling holds at a time."""


def score_correlations(done: pd.DataFrame, layers: pd.DataFrame, sensitivity: pd.DataFrame) -> pd.DataFrame:
    """How well each cheap score of a trial orders the finetuned accuracies: Spearman's rho.

    Args:
        done: of `done_trials`.
        layers: rows of `layers.csv`.
        sensitivity: rows of `sensitivity.csv`.

    Returns: one row for each group of rivals that was finetuned and each score that differs among its factorized
        trials: `trials`, `rho`, and its 95 % interval `rho_low`, `rho_high`, by a percentile bootstrap over trials.
    """
    cut = layers[layers["rank"].notna()].merge(done[["trial", "baseline"]], on="trial")
    known = cut.assign(output_error=_output_errors(cut, sensitivity))
    means = known.groupby("trial")[["energy", "weight_error", "output_error"]].agg(_mean_of_all)
    scored = done[(done["scheme"] != "dense") & (done["finetune_epochs"] > 0)].merge(
        means.reset_index(), on="trial", how="left"
    )
    rows = [
        {**dict(zip(RIVALS, key, strict=True)), "score": column, **correlation}
        for key, group in scored.groupby(RIVALS, sort=False)
        for column in SCORES
        if (correlation := rank_correlation(group, column, "accuracy_finetuned"))
    ]
    return pd.DataFrame(rows, columns=[*RIVALS, "score", "trials", "rho", "rho_low", "rho_high"])


def _mean_of_all(values: "pd.Series[float]") -> float:
    return float(values.mean(skipna=False))


def _output_errors(cut: pd.DataFrame, sensitivity: pd.DataFrame) -> list[float]:
    """What each cut layer's outputs lose when cut alone: interpolated between the ranks probed; rank 0 loses all."""
    place = ["baseline", "layer", "scheme", "truncation"]
    curves = {key: group.sort_values("rank") for key, group in sensitivity.groupby(place)}

    def error(row: Mapping[Any, Any]) -> float:
        truncation = truncation_alone(row["truncation"])
        curve = curves.get((row["baseline"], row["layer"], row["scheme"], truncation))
        if curve is None:
            return float("nan")
        return float(np.interp(row["rank"], [0, *curve["rank"]], [1.0, *curve["output_error"]]))

    return [error(row) for row in cut.to_dict("records")]


def rank_correlation(frame: pd.DataFrame, first: str, second: str) -> dict[str, float]:
    """Spearman's rho of two columns over the rows that have both; nothing when they are too few or one is constant.

    Returns: `trials`, `rho`, and its 95 % interval `rho_low`, `rho_high`, by a percentile bootstrap over rows.
    """
    known = frame[[first, second]].astype(float).dropna()
    if len(known) < FEWEST or (known.max() == known.min()).any():
        return {}
    x, y = known.to_numpy().T
    low, high = _bootstrap(x, y)
    return {"trials": len(known), "rho": float(_spearman(x, y)), "rho_low": low, "rho_high": high}


def _spearman(x: Floats, y: Floats) -> Floats:
    """Rank correlation along the last axis; NaN where either is constant."""
    centred = [(ranks - ranks.mean(-1, keepdims=True)) for ranks in (rankdata(x, axis=-1), rankdata(y, axis=-1))]
    a, b = centred
    with np.errstate(invalid="ignore"):
        rho: Floats = (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return rho


def _bootstrap(x: Floats, y: Floats) -> tuple[float, float]:
    """The 95 % percentile interval of the rank correlation; always the same for the same values."""
    random, block = np.random.default_rng(0), max(1, BLOCK // len(x))
    sizes = [min(block, RESAMPLES - start) for start in range(0, RESAMPLES, block)]
    blocks = (random.integers(len(x), size=(size, len(x))) for size in sizes)
    rhos = np.concatenate([_spearman(x[drawn], y[drawn]) for drawn in blocks])
    low, high = np.nanquantile(rhos, (0.025, 0.975))
    return float(low), float(high)


def hypervolumes(done: pd.DataFrame) -> pd.DataFrame:
    """What share of the plane of cost ratio (0..1) and accuracy (0..1) the trials of each method dominate.

    1 would be a model that costs nothing and never errs; the dense model itself dominates nothing. Only what costs
    less than dense counts. By moocore (López-Ibáñez et al.), reference point (1, 0).

    Returns: one row for each group of rivals, method and cost (`macs`, `params`): `trials`, `hypervolume`.
    """
    rows = []
    for key, group in done[done["scheme"] != "dense"].groupby([*RIVALS, "method"], sort=False):
        for cost, ratio in (("macs", "mac_ratio"), ("params", "param_ratio")):
            points = np.column_stack([group[ratio], 1 - group["accuracy_finetuned"]]).astype(float)
            covered = float(moocore.hypervolume(points, ref=[1.0, 1.0]))
            named = dict(zip([*RIVALS, "method"], key, strict=True))
            rows.append({**named, "cost": cost, "trials": len(group), "hypervolume": covered})
    return pd.DataFrame(rows, columns=[*RIVALS, "method", "cost", "trials", "hypervolume"])


def truncation_errors(spectra: pd.DataFrame) -> pd.DataFrame:
    """The relative error of each layer's weight at rank 1, 2, 4, ... by Eckart & Young (1936), from its spectrum.

    That is sqrt(sum of the dropped squared singular values / sum of all), the `weight_error` of a plain truncation.
    Of several baselines the first counts; layers trained after writing back do not.

    Args:
        spectra: rows of `spectra.csv`.

    Returns: one row a scheme, layer and rank below full: `baseline`, `scheme`, `layer`, `rank`, `weight_error`.
    """
    columns = ["baseline", "scheme", "layer", "rank", "weight_error"]
    dense = spectra[spectra["trial"].isna()]
    rows = []
    for (scheme, layer), group in dense[dense["baseline"].isin(dense["baseline"].iloc[:1])].groupby(
        ["scheme", "layer"], sort=False
    ):
        squares = group.sort_values("index")["singular_value"].to_numpy(float) ** 2
        dropped = np.sqrt(squares[::-1].cumsum()[::-1] / (squares.sum() or 1.0))
        powers = 2 ** np.arange(len(squares).bit_length())
        rows += [(group["baseline"].iloc[0], scheme, layer, r, dropped[r]) for r in powers[powers < len(squares)]]
    return pd.DataFrame(rows, columns=columns)


def learning_curves(epochs: pd.DataFrame, done: pd.DataFrame) -> pd.DataFrame:
    """Epochs beside the method of their trial; those of a baseline once, as method `dense`.

    Args:
        epochs: rows of `epochs.csv`.
        done: of `done_trials`.
    """
    named = epochs.merge(done[["trial", "baseline", "method", "layer_set", "rank_rule", "seed"]], on="trial")
    shared = named["stage"] == "baseline"
    once = named[shared].drop_duplicates(["baseline", "epoch"]).assign(method="dense", layer_set="none")
    own = named[~shared]
    return pd.concat([once.assign(curve=once["baseline"]), own.assign(curve=own["trial"])])
