"""docs/latency.md."""

import inspect
import json
from collections.abc import Iterator
from itertools import product
from math import sqrt
from statistics import fmean

import numpy as np
import pandas as pd

from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import EPYC, ROOT, XEON, mean, percent, ratios, series_ratios, table, where
from lrbench.config.sections import LatencyChoice
from lrbench.statistics.components import KNEE, PRIORS, is_outlier
from lrbench.statistics.paired import CONFIDENCE

SETTINGS = tuple(product((1, 2), ("contiguous", "channels_last"), (1, 8)))
"""Threads, memory format and batch of the table's columns."""

AGAIN = ("eb55d7fd9ae88fa4", "4ce51cef2f233ceb")
"""The plans that were timed once more beside one other model."""


def claims() -> Iterator[Claim]:
    """From the table to how often intervals hold."""
    yield from models()
    yield from sessions()
    yield from making()
    yield from knowing()
    yield from holding()


def models() -> Iterator[Claim]:
    """Whole models: fewer MACs beside less time."""
    timed = ratios("latency").merge(table("latency/architectures.csv"), on="architecture")
    timed = timed.assign(mac_ratio=timed["macs"] / timed["dense_macs"])
    for share, scheme in product((0.9, 0.5, 0.33), ("channel", "weight", "spatial", "tucker2")):
        rows = where(timed, rank_rule=f"macs={share}", scheme=scheme)
        cells = [
            mean(rows, "ratio", memory_format=memory, threads=threads, batch_size=batch)
            for threads, memory, batch in SETTINGS
        ]
        yield stated("setting", f"| {share} | {scheme} |", "ranks of bench/sweeps/latency.toml")
        yield computed(f"| {share} | {scheme} | {{}} |" + " {} |" * len(cells), mean(rows, "mac_ratio"), *cells)
    nearly, half = (where(timed, rank_rule=f"macs={share}") for share in (0.9, 0.5))
    yield computed(
        "{} of the {} models are surely slower than dense and {} surely faster",
        (nearly["ratio_low"] > 1).sum(),
        len(nearly),
        (nearly["ratio_high"] < 1).sum(),
    )
    tucker = where(half, scheme="tucker2")["ratio"]
    yield computed("`tucker2` takes {} of the time in one setting and {} in another", tucker.min(), tucker.max())
    yield computed(
        "the {} % intervals, of one occasion each, reach a median of {} % to either side, {} % at most",
        100 * CONFIDENCE,
        100 * timed["half_width"].median(),
        100 * timed["half_width"].max(),
    )


def sums(study: str, environment: str | None = None) -> pd.DataFrame:
    """Sums of layers held against whole models."""
    frame = table(f"{study}/figures/additivity.csv")
    return where(frame, environment=environment) if environment else frame


def sessions() -> Iterator[Claim]:
    """A model against its own copy, and beside a neighbour; layers against models."""
    yield computed("to a median of {} %.*", 100 * sums("latency")["error"].abs().median())
    designs = [where(table("latency/aa_sessions.csv"), design=design) for design in ("interleaved", "sequential")]
    held, scatter = zip(
        *((((rows["low"] <= 1) & (rows["high"] >= 1)).sum(), 100 * np.log(rows["ratio"]).std()) for rows in designs),
        strict=True,
    )
    yield computed(
        "of {} sessions of a model against its own copy, the {} % interval held 1 in {}, and the ratio scattered by "
        "{} %; timed one after the other, at as many calls, in {}, and by {} %",
        len(designs[0]),
        95,
        held[0],
        scatter[0],
        held[1],
        scatter[1],
    )
    calm, busy = (
        where(table("latency/repeatability.csv"), neighbour=kind).set_index("architecture").iloc[1:]
        for kind in ("none", "one busy core")
    )
    overlap = (calm["low"] <= busy["high"]) & (busy["low"] <= calm["high"])
    yield computed("{} of {} intervals overlap", overlap.sum(), len(overlap))


def making() -> Iterator[Claim]:
    """How a timing is made."""
    choice = LatencyChoice()
    yield computed(
        "when every {} % interval is within `latency.precision` ({} %)", 100 * CONFIDENCE, 100 * choice.precision
    )
    slower = [second / first - 1 for first, second in map(series_ratios, AGAIN)]
    yield computed("in place of seven came out {} % slower", 100 * fmean(slower))
    here, there, large = sums("imagenette", EPYC), sums("imagenette", XEON), sums("latency")
    yield computed(
        "by {} and {} % on two machines, medians of {} and {} models; at 224 px they are {} % too low)",
        100 * here["error"].median(),
        100 * there["error"].median(),
        len(here),
        len(there),
        -100 * large["error"].median(),
    )
    yield computed(
        "then they are off by {} and {} % at 64 px",
        *(100 * one["scaled_error"].abs().median() for one in (here, there)),
    )
    recorded = json.loads((ROOT / "bench/recorded/benchmarks.json").read_text(encoding="utf-8"))["benchmarks"]
    shares = [one["extra_info"]["bookkeeping_share"] for one in recorded if "bookkeeping_share" in one["extra_info"]]
    yield computed("Bookkeeping takes {} % of the calls", 100 * shares[0])


def knowing() -> Iterator[Claim]:
    """The priors."""
    one, several = PRIORS["one thread"], PRIORS["several threads"]
    control = KNEE * sqrt(PRIORS["control"].process.variance)
    for name, values in {
        "process to process": (sqrt(one.process.variance), sqrt(several.process.variance), control),
        "occasion to occasion": (sqrt(one.occasion.variance), sqrt(several.occasion.variance)),
    }.items():
        yield computed(f"| from {name} |" + " {} % |" * len(values), *(100 * value for value in values))
    yield computed("A log ratio below {} is moved as one of {}", KNEE, KNEE)
    limits = inspect.signature(is_outlier).parameters["confidence"].default
    yield computed("lies beyond the {} % limits", 100 * limits)


def holding() -> Iterator[Claim]:
    """Coverage."""
    yield computed("stated {} % should cover {} % of them", 100 * CONFIDENCE, 100 * CONFIDENCE)
    for study, named in {"imagenette": "13 architectures", "repeat": "12 architectures, three settings"}.items():
        rows = where(table(f"{study}/coverage.csv"), setting="all")
        values = [
            percent(rows, column, tested=tested, rule=rule)
            for tested in ("1 occasion", "2 occasions")
            for column in ("covered", "half_width")
            for rule in ("layouts", "components")
        ]
        cells = " {} % | {} % | {} % | {} % |"
        yield computed(f"{named} | one occasion |{cells} | | two occasions |{cells}", *values)
    simulated = 100 * where(table("intervals/coverage.csv"), rule="components")["covered"]
    yield computed("the truth is known, {} to {} % are covered", simulated.min(), simulated.max())
