"""Which law predicts the damage of a cut: results/damage.

    python bench/study_damage.py results/damage

`laws.csv`: laws held against the probes of results/imagenette (one network: 19 layers, five methods), each probe or set
of probes predicted by the law fitted to all others; and two of them against its whole models, none of which they saw.
Which pairs differ significantly is told by `noise.csv` in that folder, of `bench/study_damage_noise.py`. Takes seconds.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrbench.report.frames.damage import NEAR, Law, damage_order, model_damages
from lrbench.report.frames.trials import name_methods
from lrbench.report.results import Results
from lrbench.statistics.damage import Damaged, fit_damage, left_out

Floats = NDArray[np.float64]


def blocks(probes: pd.DataFrame) -> Mapping[str, Floats]:
    """Parts of a law: what each layer, each method or all have, times a power of the log error or its root."""
    layer, method = (pd.get_dummies(probes[name]).to_numpy(float) for name in ("layer", "method"))
    x = np.log(probes["output_error"].to_numpy(float))[:, None]
    return {
        "scale of the layer": layer,
        "slope of the layer": layer * x,
        "square of the layer": layer * x**2,
        "square": x**2,
        "offset of the method": method,
    }


LAWS: Mapping[str, Sequence[str]] = {
    "power by layer (until now)": ("scale of the layer", "slope of the layer"),
    "power by layer, offset by method": ("scale of the layer", "slope of the layer", "offset of the method"),
    "quadratic by layer": ("scale of the layer", "slope of the layer", "square of the layer"),
    "quadratic by layer, offset by method": (
        *("scale of the layer", "slope of the layer", "square of the layer", "offset of the method"),
    ),
    "power by layer, one square, offset by method": (
        *("scale of the layer", "slope of the layer", "square", "offset of the method"),
    ),
}
"""Laws that are linear in the logarithm of the error, by their parts."""

CHOSEN = "error x exp(bend x root of the error), offset by method (chosen)"


def without(design: Floats, targets: Floats, together: Sequence[Sequence[int]]) -> list[Floats]:
    """Residuals of sets of rows from least squares on all others; the least penalty tells scales from offsets."""
    hat = design @ np.linalg.solve(design.T @ design + 1e-6 * np.eye(design.shape[1]), design.T)
    residuals = targets - hat @ targets

    def left(places: list[int]) -> Floats:
        others = np.eye(len(places)) - hat[np.ix_(places, places)]
        return np.asarray(np.linalg.solve(others, residuals[places]), np.float64)

    return [left(list(places)) for places in together]


def pairs_of(probes: pd.DataFrame) -> list[tuple[int, int]]:
    """Two methods on a layer at equal MACs."""
    layer, method, macs = (probes[name].to_numpy() for name in ("layer", "method", "macs"))
    return [
        (a, b)
        for a, b in combinations(range(len(probes)), 2)
        if layer[a] == layer[b] and method[a] != method[b] and abs(np.log(macs[a] / macs[b])) <= NEAR
    ]


def judge(
    probes: pd.DataFrame, leave: Callable[[Sequence[Sequence[int]]], list[Floats]], *, noise: float
) -> dict[str, float]:
    """How far a law is off, and how it orders, by what it says without those that it is asked for.

    `noise`: the standard error of the log ratio of two divergences.
    """
    logs, pairs = np.log(probes["divergence"].to_numpy(float)), pairs_of(probes)
    step = probes.groupby(["layer", "method"])["rank"].rank().astype(int)
    steps = [list(places) for places in probes.groupby(["layer", step]).indices.values()]
    measured = np.array([logs[a] - logs[b] for a, b in pairs])
    off = np.array([x - y for x, y in leave(pairs)])
    right, clear = np.sign(measured - off) == np.sign(measured), abs(measured) > 1.96 * noise
    return {
        "probes": len(probes),
        "rms": rms(leave([(i,) for i in range(len(probes))])),
        "rms_step": rms(leave(steps)),
        "pairs": len(pairs),
        "ordered": int(right.sum()),
        "significant": int(clear.sum()),
        "significant_ordered": int(right[clear].sum()),
    }


def rms(logs: list[Floats]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(logs) ** 2)))


def powers(probes: pd.DataFrame) -> Law:
    """The law until now: a power of the error for each layer."""
    fits = {
        layer: np.polyfit(np.log(group["output_error"]), np.log(group["divergence"]), 1)
        for layer, group in probes.groupby("layer")
    }
    return lambda layer, method, error: float(np.exp(np.polyval(fits[layer], np.log(error))))


def judge_models(results: Results, law: Law) -> dict[str, float]:
    models = model_damages(results.losses, results.layers, results.sensitivity, law)
    logs = np.log((models["measured"] / models["predicted"]).to_numpy(float))
    order = damage_order(models, results.losses, results.right).iloc[0]
    counts = {f"model_{name}": order[name] for name in ("pairs", "ordered", "significant", "significant_ordered")}
    return {"models": len(models), "model_sd": float(logs.std(ddof=1)), **counts}


def study(results: Results, *, noise: float) -> Iterator[dict[str, Any]]:
    rows = results.sensitivity
    probes = rows[rows["divergence"] > 0].assign(method=name_methods(rows)).reset_index(drop=True)
    parts, logs = blocks(probes), np.log(probes["divergence"].to_numpy(float))
    for name, names in LAWS.items():
        design = np.hstack([parts[part] for part in names])
        found = judge(probes, lambda together, design=design: without(design, logs, together), noise=noise)  # type: ignore[misc]
        models = judge_models(results, powers(probes)) if name == next(iter(LAWS)) else {}
        yield {"law": name, **found, **models}
    damaged = [
        Damaged(layer=row["layer"], method=row["method"], error=row["output_error"], damage=row["divergence"])
        for row in probes.to_dict("records")
    ]
    found = judge(probes, lambda together: left_out(damaged, together), noise=noise)
    yield {"law": CHOSEN, **found, **judge_models(results, fit_damage(damaged))}


def main(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    noise = float(pd.read_csv(target / "noise.csv")["error"].median())
    table = pd.DataFrame(study(Results(Path("results/imagenette")), noise=noise))
    table.to_csv(target / "laws.csv", index=False)
    print(table.to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
