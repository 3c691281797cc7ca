"""docs/budgets.md: the law of damage."""

from collections.abc import Iterator
from math import exp

import numpy as np
import pandas as pd

from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import frames, table, where
from lrbench.report.frames.damage import NEAR, judged_probes
from lrbench.report.frames.rivals import Row
from lrbench.statistics.damage import BAND, fit_damage

LAWS = {
    "power of the error for each layer (until now)": "power by layer (until now)",
    "quadratic for each layer, offset by method": "quadratic by layer, offset by method",
    "the law above": "error x exp(bend x root of the error), offset by method (chosen)",
}
"""Names of laws in the document, and in results/damage."""

SHARES = {"layer": "{} of {} layers ({} %)", "model": "{} of {} models ({} %)"}


def claims() -> Iterator[Claim]:
    """How the law was chosen, and how well it foretells."""
    (probes,) = judged_probes(frames("imagenette").sensitivity).values()
    offsets = fit_damage(probes).offsets
    yield computed(
        "At equal error `weight` does {} times the damage of `channel`, and `output` truncation {} times",
        exp(offsets["weight"] - offsets["channel"]),
        exp(offsets["channel output"] - offsets["channel"]),
    )
    yield computed("the {} probes of", len(probes))
    laws = {str(law["law"]): law for law in table("damage/laws.csv").to_dict("records")}
    for words, name in LAWS.items():
        yield from row(words, laws[name])
    yield computed("MACs differ by at most {} %", 100 * NEAR)
    yield stated("measured", "exceeds 1.96 standard errors", "bench/study_damage.py, NOISE")
    yield stated("measured", "on 947 images (0.068", "bench/study_damage.py, NOISE")
    yield from models(laws[LAWS["power of the error for each layer (until now)"]], laws[LAWS["the law above"]])
    yield from bands(table("imagenette/figures/damage_calibration.csv"))


def row(words: str, law: Row) -> Iterator[Claim]:
    """A row of the table of laws."""
    ordered, clear = law["ordered"] / law["pairs"], law["significant_ordered"] / law["significant"]
    yield computed(
        f"| {words} | {{}} | {{}} | {{}} of {{}} ({{}} %) | {{}} of {{}} ({{}} %) |",
        *(law[name] for name in ("rms", "rms_step", "ordered", "pairs")),
        100 * ordered,
        *(law[name] for name in ("significant_ordered", "significant")),
        100 * clear,
    )


def models(old: Row, new: Row) -> Iterator[Claim]:
    """Sums over the layers of whole models."""
    yield computed(
        "Of {} pairs of the study's {} models (plans and grid, before finetuning) whose MACs are equal and methods "
        "differ, sums by the power laws ordered {} right, this law {}",
        new["model_pairs"],
        new["models"],
        old["model_ordered"],
        new["model_ordered"],
    )
    clear = new["model_significant"]
    yield computed(
        "Of the {} that differ significantly in accuracy (paired by images) it was {} ({} %), and is {} ({} %)",
        clear,
        old["model_significant_ordered"],
        100 * old["model_significant_ordered"] / clear,
        new["model_significant_ordered"],
        100 * new["model_significant_ordered"] / clear,
    )


def bands(calibration: pd.DataFrame) -> Iterator[Claim]:
    """How often the band holds, and how far predictions are off."""
    yield computed("The band is meant to hold {} %", 100 * BAND)
    off = []
    for what, words in SHARES.items():
        group = where(calibration, what=what)
        inside = group["inside"].dropna().astype(bool)
        yield computed(words, inside.sum(), len(inside), 100 * inside.mean())
        logs = np.log(group["measured"] / group["predicted"])
        off.append(exp(float(np.sqrt((logs**2).mean()))))
    yield computed("A layer is off by a factor of {}, a model by {} (rms)", *off)
