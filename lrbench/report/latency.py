"""From raw rounds to ratios: whole models, single layers, and how well the second predict the first."""

from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from lrbench.results.columns.sessions import AXES
from lrbench.statistics.paired import Logs, estimate, is_fit, log_ratios, ratio_of, slope_through_origin

SETTING = ["environment", "model", "image_size", *AXES]
"""What two latencies must share to be compared."""

Key = tuple[Hashable, ...]

INTERVAL = ["ratio", "ratio_low", "ratio_high"]


def latency_ratios(latency: pd.DataFrame) -> pd.DataFrame:
    """Latency ratios to the dense model, by architecture and setting, from rows of `latency.csv`.

    Which timings count is told by `counted`. The architecture of the dense model shows the A/A control, of all timings.

    Returns: one row an architecture and setting: `ratio` with its 99 % interval `ratio_low`, `ratio_high` (see
        `statistics.ratio_of`), `fit` (the A/A control beside it holds), median `latency_s` and `dense_latency_s`,
        `images_per_s`, `peak_bytes`, `first_wall_s`, `rounds` and `processes`; `log_error` and `freedom` are the
        standard error of the log ratio and its degrees of freedom.
    """
    keys = [*SETTING, "architecture"]
    rows = []
    kept = counted(with_logs(latency), keys)
    fit = fitness(kept)
    for key, group in kept.groupby(keys, sort=False, dropna=False):
        known = dict(zip(keys, key, strict=True))
        timing = estimate(layout_logs(group))
        found = timing.ratio()
        rows.append(
            {
                **known,
                "control": bool(group["control"].any()),
                "fit": all(fit.get(series, False) for series in group["series"].unique()),
                **dict(zip(INTERVAL, (found.ratio, found.low, found.high), strict=True)),
                "latency_s": float(group["latency_s"].median()),
                "dense_latency_s": float(group["dense_latency_s"].median()),
                "images_per_s": float((group["batch_size"] / group["latency_s"]).median()),
                "peak_bytes": group["peak_bytes"].max(),
                "first_wall_s": float(group["first_wall_s"].median()),
                "rounds": len(group),
                "processes": group["session"].nunique(),
                "log_error": timing.error,
                "freedom": timing.freedom,
            }
        )
    columns = [*keys, "control", "fit", *INTERVAL, "latency_s", "dense_latency_s", "images_per_s", "peak_bytes"]
    return pd.DataFrame(rows, columns=[*columns, "first_wall_s", "rounds", "processes", "log_error", "freedom"])


def counted(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The rows that count, controls among them.

    Of a timing that was repeated because its A/A control was unfit the last attempt counts; of all timings of one thing
    those that are fit, or all when none is.
    """
    last = rows[rows["attempt"] == rows.groupby("series")["attempt"].transform("max")]
    fit = last["series"].map(fitness(last)).eq(True)
    some = fit.groupby([last[key] for key in keys], dropna=False).transform("any")
    return last[last["control"].astype(bool) | fit | ~some]


def with_logs(latency: pd.DataFrame) -> pd.DataFrame:
    """Rows of `latency.csv` with `log`, that of architecture / dense."""
    return latency.assign(log=log_ratios(latency["latency_s"], latency["dense_latency_s"]))


def layout_logs(rows: pd.DataFrame) -> list[Logs]:
    """log(model / dense) of one architecture or layer: the medians of each layout, a process each."""
    medians = rows.groupby(["session", "layout"], sort=False)["log"].median()
    return [one.to_numpy() for _, one in medians.groupby("session", sort=False)]


def fitness(rows: pd.DataFrame) -> dict[str, bool]:
    """By timing, whether its A/A control holds; what has no control is not among them."""
    return {
        str(series): is_fit(ratio_of(layout_logs(group)), within=float(group["control_within"].iloc[0]))
        for series, group in rows[rows["control"].astype(bool)].groupby("series")
    }


def layer_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Latency ratios of single layers, by shape, scheme, rank and setting, from rows of `layer_latency.csv`.

    Returns: one row each, with `ratio` and its interval, `fit`, `share` (rank over the break-even rank in MACs), the
        operators that ran, and arithmetic intensities in MACs a byte. Controls have no rank.
    """
    keys = [*SETTING, "shape", "scheme", "rank"]
    kept = counted(rows.assign(log=np.log(rows["ratio"].astype(float))), keys)
    fit = fitness(kept)
    found = []
    for key, group in kept.groupby(keys, sort=False, dropna=False):
        first, ratio = group.iloc[0], ratio_of(layout_logs(group))
        batch = first["batch_size"]
        found.append(
            {
                **dict(zip(keys, key, strict=True)),
                "layers": first["layers"],
                "fit": fit.get(first["series"], False),
                **dict(zip(INTERVAL, (ratio.ratio, ratio.low, ratio.high), strict=True)),
                "dense_latency_s": float(group["dense_latency_s"].median()),
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
    return pd.DataFrame(found, columns=[*columns, "backend", "dense_backend", "intensity", "dense_intensity", "rounds"])


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
    latency are, by how much more the other whole models of the setting save than such sums (`sweep.budget`).

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
    shapes = {(*key[:-2], name): key[-2] for key in curves for name in curves[key]["layers"].iloc[0].split()}
    cuts = architectures.drop_duplicates("architecture").set_index("architecture")["layers"].fillna("")
    rows = []
    for model in models[models["architecture"].isin(cuts[cuts != ""].index)].to_dict("records"):
        setting = tuple(model[key] for key in SETTING)
        parts = [_saving(cut, setting, shapes=shapes, curves=curves) for cut in cuts[model["architecture"]].split()]
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
    found = pd.DataFrame(rows, columns=columns)
    scaled = found.groupby(SETTING, dropna=False, group_keys=False)["ratio"].transform(
        lambda ratios: _scaled(found.loc[ratios.index])
    )
    return found.assign(scaled_ratio=scaled, scaled_error=scaled / found["ratio"] - 1)


def _scaled(points: pd.DataFrame) -> "pd.Series[float]":
    """Predicted ratios of one setting, each scaled by what the other models save."""
    foreseen, ratios = points["predicted_ratio"].to_numpy(float) - 1, points["ratio"].to_numpy(float)
    others = ~np.eye(len(points), dtype=bool) & points["fit"].to_numpy(bool)
    scales = [
        slope_through_origin(foreseen[mask], ratios[mask] - 1, weights=ratios[mask] ** -2) if mask.any() else np.nan
        for mask in others
    ]
    return pd.Series(1 + np.array(scales) * foreseen, index=points.index)


def _saving(
    cut: str, setting: Key, *, shapes: Mapping[Key, object], curves: Mapping[Key, pd.DataFrame]
) -> float | None:
    """Seconds that one cut layer adds to a call (mostly below 0); None when the layer table does not hold it."""
    name, scheme, rank = cut.rsplit(":", 2)
    curve = curves.get((*setting, str(shapes.get((*setting, name))), scheme))
    if curve is None:
        return None
    ratio = np.interp(float(rank), curve["rank"], curve["ratio"])
    return float((ratio - 1) * curve["dense_latency_s"].median())


def describe(setting: Iterable[tuple[Hashable, object]]) -> str:
    """A setting in words: `cpu, batch 1, threads 1, channels_last`; usual values are left out."""
    known = dict(setting)
    words = [f"{known['device']}", f"batch {known['batch_size']}", f"threads {known['threads']}"]
    words += [f"{known['memory_format']}"]
    words += [f"{known[key]}" for key, usual in (("dtype", "float32"), ("runtime", "eager")) if known[key] != usual]
    return ", ".join([*words, *(["batch norm folded"] if known["folded"] else [])])
