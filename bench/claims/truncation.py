"""docs/truncation.md."""

from collections.abc import Iterator

from bench.claims.ci import seed_deviations
from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import mean, percent, trials, where

BOLD = (0.05, 0.1, 0.2, 0.3)
"""Shares at which `sequential` is printed bold."""


def claims() -> Iterator[Claim]:
    """The table, how far seeds scatter, and what is said of the tightest share."""
    cut = trials("truncation")
    yield computed("(dense: {} %)", percent(cut, "accuracy_dense", scheme="dense"))
    for share in (0.05, 0.1, 0.2, 0.3, 0.4, 0.6):
        rows = where(cut, rank_rule=f"fraction={share}")
        values = [
            percent(rows, f"accuracy_{stage}", truncation=truncation)
            for truncation in ("plain", "output", "sequential")
            for stage in ("truncated", "recalibrated")
        ]
        last = "| **{} → {} %** |" if share in BOLD else "| {} → {} % |"
        yield stated("setting", f"| {share} |", "ranks of bench/sweeps/truncation.toml")
        yield computed(f"| {share} | {{}} | {{}} → {{}} % | {{}} → {{}} % " + last, mean(rows, "mac_ratio"), *values)
    scatter = seed_deviations("accuracy_truncated")
    yield computed(
        "scatter by {} points (plain) and {} (output), standard deviation, and by {} (sequential)",
        scatter["0.05", "plain"],
        scatter["0.05", "output"],
        scatter["0.05", "sequential"],
    )
    tight = where(cut, rank_rule="fraction=0.05", truncation="sequential")
    yield computed(
        "at {} % of the MACs it keeps {} % without", percent(tight, "mac_ratio"), percent(tight, "accuracy_truncated")
    )
