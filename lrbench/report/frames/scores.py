"""What trials tell together: how well cheap scores predict, what each cut costs a layer, how trainings went."""

from collections.abc import Mapping, Sequence
from typing import Any

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

LEAST = 1e-12
"""Output error that counts as none."""

RESAMPLES, FEWEST_RESAMPLES, MOST_VALUES = 2000, 100, 500_000
"""How often is resampled; less often where trials times resamples are more than `MOST_VALUES`: of so many trials an
interval is narrow. Never less often than `FEWEST_RESAMPLES` times.
"""

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
    known = cut.assign(output_error=output_errors(cut, sensitivity))
    means = _means_of_all(known.groupby("trial")[["energy", "weight_error", "output_error"]])
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


def _means_of_all(groups: Any) -> pd.DataFrame:
    """By group the mean of each column; empty where a cell is."""
    means: pd.DataFrame = groups.mean()
    return means.where(groups.count().eq(groups.size(), axis=0))


def output_errors(cut: pd.DataFrame, sensitivity: pd.DataFrame) -> Floats:
    """What each cut layer's outputs lose when cut alone; rank 0 loses all.

    Interpolated between the ranks probed in the logarithm, since errors fall about exponentially with the rank.
    """
    place = ["baseline", "layer", "scheme", "truncation"]
    curves = {
        key: ([0, *group["rank"]], [0.0, *np.log(np.maximum(group["output_error"].to_numpy(float), LEAST))])
        for key, group in sensitivity.sort_values("rank").groupby(place)
    }

    errors, ranks = np.full(len(cut), np.nan), cut["rank"].to_numpy(float)
    alike: Mapping[Any, Any] = cut.groupby(place).indices
    for (baseline, layer, scheme, truncation), rows in alike.items():
        if curve := curves.get((baseline, layer, scheme, truncation_alone(str(truncation)))):
            errors[rows] = np.exp(np.interp(ranks[rows], *curve))
    return errors


def rank_correlation(frame: pd.DataFrame, first: str, second: str, *, within: Sequence[str] = ()) -> dict[str, float]:
    """Spearman's rho of two columns over the rows that have both; nothing when they are too few or one is constant.

    With `within`, rows are ranked among those that share these columns, and the deviations from the middle rank of all
    such groups are correlated together; nothing where all rows are of one group.

    Returns: `trials`, `rho`, and its 95 % interval `rho_low`, `rho_high`, by a percentile bootstrap over rows.
    """
    known = frame.dropna(subset=[first, second])
    groups = [group for _, group in known.groupby(list(within), sort=False, dropna=False)] if within else [known]
    strata = [group[[first, second]].to_numpy(float).T for group in groups if len(group) > 1]
    trials = sum(stratum.shape[1] for stratum in strata)
    if trials < FEWEST or (within and len(groups) < 2):
        return {}
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = float(_spearman(strata))
        if np.isnan(rho):
            return {}
        low, high = _bootstrap(strata)
    return {"trials": trials, "rho": rho, "rho_low": low, "rho_high": high}


def _spearman(strata: Sequence[Floats]) -> Floats:
    """Rank correlation of pairs (2, ..., N) along the last axis, ranked in each stratum; NaN where one is constant."""
    products, squares = 0.0, [0.0, 0.0]
    for stratum in strata:
        count = stratum.shape[-1]
        x, y = (2 * rankdata(stratum, axis=-1) - (count + 1)) / count  # exactly 0 where all are equal
        products = products + (x * y).sum(-1)
        squares = [squares[0] + (x**2).sum(-1), squares[1] + (y**2).sum(-1)]
    rho: Floats = products / np.sqrt(squares[0] * squares[1])
    return rho


def _bootstrap(strata: Sequence[Floats]) -> tuple[float, float]:
    """The 95 % percentile interval of the rank correlation; always the same for the same values."""
    count = sum(stratum.shape[1] for stratum in strata)
    random, block = np.random.default_rng(0), max(1, BLOCK // count)
    resamples = max(FEWEST_RESAMPLES, min(RESAMPLES, MOST_VALUES // count))
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]

    def drawn(stratum: Floats, size: int) -> Floats:
        return stratum[:, random.integers(stratum.shape[1], size=(size, stratum.shape[1]))]

    rhos = np.concatenate([_spearman([drawn(stratum, size) for stratum in strata]) for size in sizes])
    low, high = np.nanquantile(rhos, (0.025, 0.975))
    return float(low), float(high)


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
