"""How well damage is predicted: single layers and whole models, each by what is known without it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from lrbench.lowrank.cuts import name_method, truncation_alone
from lrbench.report.frames.pooling import Right, answers_of
from lrbench.report.frames.rivals import Row
from lrbench.report.frames.rows import rows_of
from lrbench.report.frames.scores import output_errors
from lrbench.report.frames.trials import name_methods
from lrbench.statistics.damage import Damaged, bands, fit_damage, left_out
from lrbench.statistics.posterior import drop_between

COLUMNS = [
    *("what", "baseline", "name", "method", "rank", "macs", "error", "stage"),
    *("predicted", "low", "high", "measured", "inside"),
]

WHAT = {"layer": "divergence of predictions [nats]", "model": "loss above the dense model's [nats]"}
"""What damage is measured of, and as what."""

Law = Callable[[str, str, float], float]

NEAR = 0.05
"""How far the MACs of two may lie apart, in the logarithm, to be called equal."""


def damage_calibration(sensitivity: pd.DataFrame, losses: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Predicted and measured damage: of each layer that was cut alone and judged, and of each model cut in such layers.

    A layer's is the divergence of predictions, predicted by the law fitted to all other probes. A model's is what its
    loss on the test split exceeds that of the dense control by, before finetuning (after re-estimating batch norm,
    where that was done). Predicted is the sum over its layers, times what the other models exceed theirs by.

    Args:
        sensitivity: rows of `sensitivity.csv`.
        losses: of `with_control`.
        layers: rows of `layers.csv`.

    Returns: one row for each: `what` (`layer`, `model`), `baseline`, `name` (of the layer, or the key of its trial),
        `method`, `macs`, `rank` and output `error` of a layer, `stage` of a model; `predicted` with its 90 % interval
        `low`, `high`, `measured`, in nats; `inside`: the interval holds it.
    """
    parts = []
    for baseline, rows in _judged(sensitivity).groupby("baseline", sort=False):
        probes = [_damaged(row) for row in rows.to_dict("records")]
        logs = np.concatenate(left_out(probes, [(i,) for i in range(len(probes))]))
        single = rows.assign(
            what="layer",
            name=rows["layer"],
            predicted=rows["divergence"].astype(float) / np.exp(logs),
            measured=rows["divergence"],
            error=rows["output_error"],
        )
        parts.append(with_bands(single.assign(method=name_methods(rows))))
        whole = model_damages(losses[losses["baseline"] == baseline], layers, sensitivity, fit_damage(probes))
        parts.append(with_bands(whole))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return (
        pd.concat([part.reindex(columns=COLUMNS).astype(object) for part in parts])
        .infer_objects()
        .reset_index(drop=True)
    )


def judged_probes(sensitivity: pd.DataFrame) -> dict[str, list[Damaged]]:
    """By baseline, its layers that were cut alone and judged, from rows of `sensitivity.csv`."""
    groups = _judged(sensitivity).groupby("baseline", sort=False)
    return {str(baseline): [_damaged(row) for row in rows.to_dict("records")] for baseline, rows in groups}


def _judged(sensitivity: pd.DataFrame) -> pd.DataFrame:
    return sensitivity[(sensitivity["divergence"] > 0) & (sensitivity["output_error"] > 0)]


def _damaged(row: Row) -> Damaged:
    method = name_method(row["scheme"], row["truncation"])
    return Damaged(layer=row["layer"], method=method, error=row["output_error"], damage=row["divergence"])


def model_damages(losses: pd.DataFrame, layers: pd.DataFrame, sensitivity: pd.DataFrame, law: Law) -> pd.DataFrame:
    """The models of one baseline whose cut layers were all judged, each once.

    Args:
        losses: of `with_control`, of this baseline.
        layers: rows of `layers.csv`.
        sensitivity: rows of `sensitivity.csv`.
        law: (layer, method, output error) -> damage; KeyError for a layer that it does not know.

    Returns: as `damage_calibration`, but `predicted` is the bare sum, without an interval.
    """
    stage = "recalibrated" if losses["loss_recalibrated"].notna().any() else "truncated"
    controls = losses.set_index("trial")[f"loss_{stage}"].astype(float)
    lost = losses[f"loss_{stage}"].astype(float) - losses["control"].map(controls).astype(float)
    known = losses.assign(what="model", name=losses["trial"], stage=stage, measured=lost)
    cut = layers[layers["rank"].notna()].merge(known[["trial", "baseline"]], on="trial")
    cut = cut.assign(output_error=output_errors(cut, sensitivity))
    alike = ["layer", "scheme", "truncation", "output_error"]
    once = cut[alike].drop_duplicates()
    cut = cut.merge(once.assign(damage=[_damage_of(row, law) for row in rows_of(once)]), on=alike)
    damages = cut.groupby("trial")["damage"]
    sums = damages.sum().where(damages.count() == damages.size())
    summed = known.assign(predicted=known["trial"].map(sums).astype(float)).dropna(subset=["predicted", "measured"])
    return summed.drop_duplicates(["architecture", "method", f"correct_{stage}"])  # the same until they are finetuned


def _damage_of(row: Row, law: Law) -> float:
    try:
        return law(row["layer"], name_method(row["scheme"], truncation_alone(row["truncation"])), row["output_error"])
    except KeyError:
        return float("nan")


def with_bands(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the interval of what is predicted, by the other rows; damage that is not above 0 is no guide."""
    measured, predicted = rows["measured"].to_numpy(float), rows["predicted"].to_numpy(float)
    logs = np.log(np.where(measured > 0, measured, np.nan) / predicted)
    centres, halves = bands(logs)
    middle = predicted * np.exp(np.where(np.isnan(centres), 0.0, centres))
    low, high = middle * np.exp(-halves), middle * np.exp(halves)
    inside = pd.Series((low <= measured) & (measured <= high), index=rows.index, dtype=object)
    return rows.assign(predicted=middle, low=low, high=high, inside=inside.mask(np.isnan(low), None))


def damage_order(calibration: pd.DataFrame, losses: pd.DataFrame, right: Right) -> pd.DataFrame:
    """How often, of two methods at equal MACs, the one that is predicted to damage less does.

    Pairs are one layer, or models of one baseline, by two methods, whose MACs differ by at most 5 %. The law that
    compares two cuts of a layer is fitted without both.

    Args:
        calibration: of `damage_calibration`.
        losses: of `with_control`.
        right: of `unpack_answers`.

    Returns: one row a baseline and `what`: `pairs`, how many are `ordered` right; of models how many pairs differ in
        accuracy by more than its paired 95 % interval (`significant`), and how many of these are ordered right.
    """
    trials: dict[str, Row] = {row["trial"]: row for row in rows_of(losses)}
    rows = []
    for (what, baseline), group in calibration.groupby(["what", "baseline"], sort=False):
        found = group.to_dict("records")
        pairs = list(_pairs(found))
        predicted = [_sign(found[a]["predicted"] - found[b]["predicted"]) for a, b in pairs]
        leads = [_lead(found[a], found[b], trials, right) if what == "model" else None for a, b in pairs]
        if what == "layer":
            predicted = _without_both(found, pairs)
        measured = [_sign(found[a]["measured"] - found[b]["measured"]) for a, b in pairs]
        clear = [sign == lead for sign, lead in zip(predicted, leads, strict=True) if lead]
        rows.append(
            {
                "what": what,
                "baseline": baseline,
                "pairs": len(pairs),
                "ordered": sum(a == b for a, b in zip(predicted, measured, strict=True)),
                "significant": len(clear) if what == "model" else None,
                "significant_ordered": sum(clear) if what == "model" else None,
            }
        )
    return pd.DataFrame(rows, columns=["what", "baseline", "pairs", "ordered", "significant", "significant_ordered"])


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    for a, b in combinations(range(len(rows)), 2):
        first, second = rows[a], rows[b]
        alike = first["what"] == "model" or first["name"] == second["name"]
        near = abs(np.log(first["macs"] / second["macs"])) <= NEAR
        if alike and near and first["method"] != second["method"]:
            yield a, b


def _without_both(rows: Sequence[Row], pairs: list[tuple[int, int]]) -> list[int]:
    """Which of two cuts of a layer is predicted to do more damage, by the law fitted to all others."""
    probes = [
        Damaged(layer=row["name"], method=row["method"], error=row["error"], damage=row["measured"]) for row in rows
    ]
    logs = left_out(probes, pairs)
    damages = [
        (rows[a]["measured"] / np.exp(x), rows[b]["measured"] / np.exp(y))
        for (a, b), (x, y) in zip(pairs, logs, strict=True)
    ]
    return [_sign(first - second) for first, second in damages]


def _sign(value: float) -> int:
    return int(value > 0) - int(value < 0)


def _lead(first: Row, second: Row, trials: Mapping[str, Row], right: Right) -> int:
    """1 when the first model answers fewer images rightly, -1 when the second does, 0 where that is within noise."""
    a, b = (answers_of([trials[row["name"]]], right, stage=row["stage"], split="test") for row in (second, first))
    low, high = drop_between(a, b).interval()
    return _sign(low) if low * high > 0 else 0
