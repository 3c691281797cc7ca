"""From raw rounds to ratios: whole models, single layers, and how well the second predict the first."""

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import pandas as pd

from lrbench.config.axes import AXES, in_words
from lrbench.lowrank.cuts import Cut, parse_cuts, parse_names
from lrbench.results.timings import added_s, counted_layers, counted_models, scale_of

SETTING = ["environment", "model", "image_size", *AXES]
"""What two latencies must share to be compared."""

Key = tuple[Hashable, ...]

INTERVAL = ["ratio", "ratio_low", "ratio_high"]


def latency_ratios(latency: pd.DataFrame) -> pd.DataFrame:
    """Latency ratios to the dense model, by architecture and setting, from rows of `latency.csv`.

    Which timings count is told in `results.timings`. The architecture of the dense model shows the A/A control, of all
    timings.

    Returns: one row an architecture and setting: `ratio` with its 99 % interval `ratio_low`, `ratio_high` (see
        `statistics.components`; none from a single process), `fit` (the A/A control beside it holds), median
        `latency_s` and `dense_latency_s`, `images_per_s`, `peak_bytes`, `first_wall_s`, `rounds`, and the `processes`
        and `occasions` that it stands on; `log_error` and `freedom` are the standard error of the log ratio and its
        degrees of freedom.
    """
    keys = [*SETTING, "architecture"]
    rows = []
    for counted in counted_models(latency, keys):
        group, timing = counted.rows, counted.pooled.estimate
        ratio = timing.ratio()
        rows.append(
            {
                **counted.known,
                "control": bool(group["control"].any()),
                "fit": counted.pooled.fit,
                **dict(zip(INTERVAL, (ratio.ratio, *ratio.ends), strict=True)),
                "latency_s": float(group["latency_s"].median()),
                "dense_latency_s": counted.pooled.dense_s,
                "images_per_s": float((group["batch_size"] / group["latency_s"]).median()),
                "peak_bytes": group["peak_bytes"].max(),
                "first_wall_s": float(group["first_wall_s"].median()),
                "rounds": len(group),
                "processes": timing.processes,
                "occasions": timing.occasions,
                "log_error": timing.error,
                "freedom": timing.freedom,
            }
        )
    columns = [*keys, "control", "fit", *INTERVAL, "latency_s", "dense_latency_s", "images_per_s", "peak_bytes"]
    columns += ["first_wall_s", "rounds", "processes", "occasions", "log_error", "freedom"]
    return pd.DataFrame(rows, columns=columns)


def layer_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Latency ratios of single layers, by shape, scheme, rank and setting, from rows of `layer_latency.csv`.

    Returns: one row each, with `ratio` and its interval, `fit`, `share` (rank over the break-even rank in MACs), the
        operators that ran, and arithmetic intensities in MACs a byte. Controls have no rank.
    """
    keys = [*SETTING, "shape", "scheme", "rank"]
    ratios = []
    for counted in counted_layers(rows, keys):
        group, ratio = counted.rows, counted.pooled.estimate.ratio()
        first = group.iloc[0]
        batch = first["batch_size"]
        ratios.append(
            {
                **counted.known,
                "layers": first["layers"],
                "fit": counted.pooled.fit,
                **dict(zip(INTERVAL, (ratio.ratio, *ratio.ends), strict=True)),
                "dense_latency_s": counted.pooled.dense_s,
                "mac_ratio": first["macs"] / first["dense_macs"],
                "breakeven_rank_macs": first["breakeven_rank_macs"],
                "share": first["rank"] / first["breakeven_rank_macs"],
                "backend": first["backend"],
                "dense_backend": first["dense_backend"],
                "intensity": first["macs"] * batch / first["traffic_bytes"],
                "dense_intensity": first["dense_macs"] * batch / first["dense_traffic_bytes"],
                "rounds": int(group["rounds"].sum()),
            }
        )
    columns = [*keys, "layers", "fit", *INTERVAL, "dense_latency_s", "mac_ratio", "breakeven_rank_macs", "share"]
    return pd.DataFrame(
        ratios, columns=[*columns, "backend", "dense_backend", "intensity", "dense_intensity", "rounds"]
    )


def breakeven(ratios: pd.DataFrame) -> pd.DataFrame:
    """Where each layer breaks even in latency, from `layer_ratios`.

    Returns: one row a setting, shape and scheme: `breakeven_rank_latency`, where the ratio first rises to 1 (linear
        between the ranks timed; empty when it never does), the highest rank that is surely faster, the lowest that is
        surely slower (by the intervals), the highest rank timed, and `breakeven_rank_macs`.
    """
    keys = [*SETTING, "shape", "scheme"]
    rows = []
    for key, group in ratios[ratios["rank"].notna()].groupby(keys, sort=False, dropna=False):
        ordered = group.sort_values("rank")
        faster, slower = ordered[ordered["ratio_high"] < 1], ordered[ordered["ratio_low"] > 1]
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "layers": ordered["layers"].iloc[0],
                "breakeven_rank_macs": ordered["breakeven_rank_macs"].iloc[0],
                "breakeven_rank_latency": _crossing(ordered["rank"].to_numpy(float), ordered["ratio"].to_numpy(float)),
                "highest_faster_rank": faster["rank"].max(),
                "lowest_slower_rank": slower["rank"].min(),
                "highest_rank_timed": ordered["rank"].max(),
            }
        )
    columns = [*keys, "layers", "breakeven_rank_macs", "breakeven_rank_latency", "highest_faster_rank"]
    return pd.DataFrame(rows, columns=[*columns, "lowest_slower_rank", "highest_rank_timed"])


def _crossing(ranks: np.ndarray, ratios: np.ndarray) -> float:
    """The rank at which the ratio first reaches 1; at the lowest rank when it does there already, NaN when never."""
    above = np.flatnonzero(ratios >= 1)
    if not len(above):
        return float("nan")
    i = int(above[0])
    return float(ranks[0] if i == 0 else np.interp(1.0, ratios[i - 1 : i + 1], ranks[i - 1 : i + 1]))


def additivity(architectures: pd.DataFrame, models: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Whole-model ratios predicted from the layer table, beside the measured ones.

    Predicted: 1 + the sum, over the layers cut, of (layer ratio - 1) x the layer's share of the dense model's time.
    Ratios between the ranks timed are interpolated, beyond them they are those of the nearest. Scaled: as budgets of
    latency are, by how much more the other whole models of the setting save than such sums (`results.timings`).

    Args:
        architectures: rows of `architectures.csv`.
        models: of `latency_ratios`.
        layers: of `layer_ratios`.

    Returns: one row an architecture and setting whose cut layers are all in the table: `ratio` with its interval,
        `predicted_ratio`, and `error`, predicted over measured less 1; `scaled_ratio` and `scaled_error` likewise,
        empty where no other model is known.
    """
    curves = {
        key: group.sort_values("rank")
        for key, group in layers[layers["rank"].notna()].groupby([*SETTING, "shape", "scheme"], dropna=False)
    }
    shapes = {(*key[:-2], name): key[-2] for key in curves for name in parse_names(" ".join(curves[key]["layers"]))}
    cuts = architectures.drop_duplicates("architecture").set_index("architecture")["layers"].fillna("")
    rows = []
    for model in models[models["architecture"].isin(cuts[cuts != ""].index)].to_dict("records"):
        setting = tuple(model[key] for key in SETTING)
        parts = [_saving(cut, setting, shapes=shapes, curves=curves) for cut in parse_cuts(cuts[model["architecture"]])]
        if None in parts:
            continue
        predicted = 1 + sum(part for part in parts if part is not None) / model["dense_latency_s"]
        rows.append(
            {
                **{key: model[key] for key in [*SETTING, "architecture", "fit", *INTERVAL]},
                "predicted_ratio": predicted,
                "error": predicted / model["ratio"] - 1,
            }
        )
    columns = [*SETTING, "architecture", "fit", *INTERVAL, "predicted_ratio", "error"]
    sums = pd.DataFrame(rows, columns=columns)
    scaled = sums.groupby(SETTING, dropna=False, group_keys=False)["ratio"].transform(
        lambda ratios: _scaled(sums.loc[ratios.index])
    )
    return sums.assign(scaled_ratio=scaled, scaled_error=scaled / sums["ratio"] - 1)


def _scaled(points: pd.DataFrame) -> "pd.Series[float]":
    """Predicted ratios of one setting, each scaled by what the other models save."""
    predicted, ratios = points["predicted_ratio"].to_numpy(float), points["ratio"].to_numpy(float)
    others = ~np.eye(len(points), dtype=bool) & points["fit"].to_numpy(bool)
    scales = [scale_of(predicted[mask], ratios[mask]) or 1.0 if mask.any() else np.nan for mask in others]
    return pd.Series(1 + np.array(scales) * (predicted - 1), index=points.index)


def _saving(
    cut: Cut, setting: Key, *, shapes: Mapping[Key, object], curves: Mapping[Key, pd.DataFrame]
) -> float | None:
    """Seconds that one cut layer adds to a call (mostly below 0); None when the layer table does not hold it."""
    curve = curves.get((*setting, str(shapes.get((*setting, cut.layer))), cut.scheme))
    if curve is None or cut.rank is None:
        return None
    ratio = float(np.interp(cut.rank, curve["rank"], curve["ratio"]))
    return added_s(ratio, curve["dense_latency_s"])


def describe(setting: Iterable[tuple[Hashable, object]]) -> str:
    """A setting in words: `cpu, batch 1, threads 1, channels_last`; usual values are left out."""
    return in_words(dict(setting))
