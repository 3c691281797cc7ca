"""docs/imagenette.md."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.claims.claim import Claim, computed
from bench.claims.tables import (
    EPYC,
    USUAL,
    XEON,
    either_way,
    mean,
    percent,
    point,
    spec,
    table,
    timing,
    trials,
    where,
)
from lrbench.statistics.paired import CONFIDENCE


def claims() -> Iterator[Claim]:
    """What the sweep says, then the notebook."""
    usual = where(trials(), recipe=USUAL)
    dense = where(usual, scheme="dense", seed=0)
    yield computed(
        "{} % of {} test images right (an interval of {} points either way)",
        percent(dense, "accuracy_dense"),
        mean(dense, "samples"),
        either_way(mean(dense, "accuracy_dense"), int(mean(dense, "samples"))),
    )
    factorized = len(usual) - len(where(usual, scheme="dense"))
    yield computed("({} %). {} factorized trials", percent(dense, "accuracy_finetuned"), factorized)
    yield from bought()
    yield from misleading()
    yield from batch_norm(dense)
    yield from by_outputs()
    yield from written_back()
    yield from notebook()


def bought() -> Iterator[Claim]:
    """Accuracy for MACs and time."""
    late, third, tenth = point("late", "macs=0.2"), spatial("macs=0.33"), spatial("macs=0.1")
    time = timing(late)
    yield computed(
        "{} % of the MACs and {} % of the time ({}-{}, {} %) at {} %: not",
        percent(late, "mac_ratio"),
        100 * time["ratio"],
        time["ratio_low"],
        time["ratio_high"],
        100 * CONFIDENCE,
        percent(late, "accuracy_finetuned"),
    )
    yield computed(
        "at a third: {} % of the params, {} % of the MACs, {} % of the time at {} %",
        percent(third, "param_ratio"),
        percent(third, "mac_ratio"),
        100 * timing(third)["ratio"],
        percent(third, "accuracy_finetuned"),
    )
    time = timing(tenth)
    yield computed(
        "a third of the time ({}-{}) at {} %",
        time["ratio_low"],
        time["ratio_high"],
        percent(tenth, "accuracy_finetuned"),
    )


def spatial(rank_rule: str) -> pd.DataFrame:
    """Both seeds of a point."""
    return where(trials(), scheme="spatial", rank_rule=rank_rule)


def misleading() -> Iterator[Claim]:
    """MACs beside time."""
    early, least, late = point("early", "macs=0.75"), point("early", "macs=0.1"), point("late", "macs=0.1")
    times = (timing(early, machine) for machine in (EPYC, XEON))
    yield computed(
        "The early half at {} % of the model's MACs is *slower* than dense on one machine ({}, {}-{}) and no faster on "
        "another ({}, {}-{}); at {} % it still takes {} % of the time; the late half at {} % takes {} %",
        percent(early, "mac_ratio"),
        *(time[column] for time in times for column in ("ratio", "ratio_low", "ratio_high")),
        percent(least, "mac_ratio"),
        100 * timing(least)["ratio"],
        percent(late, "mac_ratio"),
        100 * timing(late)["ratio"],
    )
    weight, tucker = (point("all", "macs=0.5", scheme=scheme) for scheme in ("weight", "tucker2"))
    yield computed(
        "At equal MACs ({}) `weight` takes {} % of the time and `tucker2` {} %; eight images at a time, {} and {} %",
        mean(weight, "mac_ratio"),
        *(100 * timing(one, batch_size=size)["ratio"] for size in (1, 8) for one in (weight, tucker)),
    )


def batch_norm(dense: pd.DataFrame) -> Iterator[Claim]:
    """Re-estimation."""
    fifth = point("all", "macs=0.2")
    yield computed(
        "the network keeps {} %, and {} % once batch norm is re-estimated: one pass over {} images",
        percent(fifth, "accuracy_truncated"),
        percent(fifth, "accuracy_recalibrated"),
        spec("bench/sweeps/imagenette.toml")["calibration"]["images"],
    )
    yield computed("the *dense* model too, to {} %", percent(dense, "accuracy_recalibrated"))


def by_outputs() -> Iterator[Claim]:
    """The three truncations at a tenth of the MACs."""
    kinds = [point("all", "macs=0.1", truncation=kind) for kind in ("plain", "output", "sequential")]
    yield computed(
        "plain SVD keeps {} %, output truncation {} %, and `sequential`, which repairs layer after layer, {} %. "
        "An epoch of finetuning levels it to {}, {} and {} %",
        *(percent(kind, column) for column in ("accuracy_truncated", "accuracy_finetuned") for kind in kinds),
    )


def written_back() -> Iterator[Claim]:
    """Rank in name and by energy, and accuracy, of weights that were written back."""
    fifth, twentieth = (point("all", f"fraction={share}", scheme="writeback") for share in (0.2, 0.05))
    cut = table("imagenette/layers.csv.gz")
    cut = cut[cut["trial"].isin([*fifth["trial"], *twentieth["trial"]]) & (cut["max_rank"] == 512)]
    ranks = sorted(cut["numerical_rank"], reverse=True)
    full = ranks.count(512)
    yield computed(
        "five of eight layers have numerical rank {} again, the others {}, {} and {}", ranks[full - 1], *ranks[full:]
    )
    kept = [
        energy_rank("imagenette/spectra.csv.gz", trial["trial"].iloc[0], "layer4.1.conv2")
        for trial in (fifth, twentieth)
    ]
    yield computed("{} % of the energy stays in {} values (of 103 kept) and in {} (of 26)", 99, *kept)
    pairs = [(back, point("all", rule)) for back, rule in ((fifth, "fraction=0.2"), (twentieth, "fraction=0.05"))]
    yield computed(
        "as real factors ({} and {} %), at a twentieth it is more ({} and {} %)",
        *(percent(one, "accuracy_finetuned") for pair in pairs for one in pair),
    )


def energy_rank(spectra: str, trial: str, layer: str, share: float = 0.99) -> int:
    """How many singular values of a trained layer have this share of the energy."""
    squares = np.sort(where(table(spectra), trial=trial, layer=layer)["singular_value"].to_numpy())[::-1] ** 2
    return int(np.searchsorted(np.cumsum(squares) / squares.sum(), share) + 1)


def notebook() -> Iterator[Claim]:
    """Three ways to cut two layers of an untrained model."""
    names = {
        "dense": "untouched",
        "writeback": "written back, the notebook's way",
        "channel": "real factors (`channel`)",
    }
    ranks = table("seed/layers.csv")
    for scheme, name in names.items():
        trial = where(trials("seed"), scheme=scheme)
        yield computed(
            f"| {name} | {{}} | {{}} | {{}} | {{}} % | {{}} |",
            mean(trial, "params"),
            mean(trial, "macs"),
            seed_ratio(trial),
            percent(trial, "accuracy_finetuned"),
            mean(ranks, "numerical_rank", trial=trial["trial"].iloc[0], layer="layer1.0.conv1"),
        )
    factors, back = (where(trials("seed"), scheme=scheme) for scheme in ("channel", "writeback"))
    images = int(mean(factors, "samples"))
    yield computed("on {} test images, one seed: an interval of about ± {} points", images, either_way(0.65, images))
    yield computed(
        "at {} % fewer MACs (and {} % less time",
        100 - percent(factors, "mac_ratio"),
        100 * (1 - seed_ratio(factors)),
    )
    layers = ("layer1.0.conv1", "layer1.0.conv2")
    kept = (energy_rank("seed/spectra.csv", back["trial"].iloc[0], layer) for layer in layers)
    yield computed("{} % of the energy lies in {} and {} values", 99, *kept)


def seed_ratio(trial: pd.DataFrame) -> float:
    """Latency ratio of one image, contiguous."""
    ratios = table("seed/figures/latency_ratios.csv")
    return mean(ratios, "ratio", architecture=trial["architecture"].iloc[0], batch_size=1, memory_format="contiguous")
