"""docs/budgets.md."""

from collections.abc import Iterator

import pandas as pd

from bench.claims import damage
from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import DISTILLED, EPYC, XEON, percent, table, timing, trials, where

BUDGETS = ("macs=0.5", "macs=0.33", "macs=0.25", "latency=0.7", "latency=0.5")
ROWS = (
    *((rule, "channel") for rule in ("global-energy", "uniform", "greedy", "minmax", "knapsack")),
    *(("knapsack", method) for method in ("channel sequential", "mixed sequential")),
)
STAGES = ("truncated", "recalibrated", "finetuned")
STUDY = "imagenette/figures"
UNTRAINED = (0.8, 0.65, 0.55, 0.45)
"""The budgets of latency for which nothing was trained."""


def claims() -> Iterator[Claim]:
    """The table, what is said of it, and how plans foretell what is measured."""
    yield stated("cited", "arXiv 2107.11442", "Liebenwein et al. 2021")
    outcomes = table(f"{STUDY}/budgets.csv")
    control = where(trials(), scheme="dense", recipe=DISTILLED)
    yield computed("(dense control {} %:", percent(control, "accuracy_finetuned"))
    for rule, method in ROWS:
        cells = [where(outcomes, allocation=rule, method=method, budget=budget) for budget in BUDGETS]
        accuracies = [percent(cell, f"accuracy_{stage}") for cell in cells for stage in STAGES]
        yield computed(f"| {rule} | {method} |" + " {}, {} → {} |" * len(cells), *accuracies)
    plain = where(outcomes, method="channel")
    best = plain[plain["allocation"].isin(["greedy", "minmax", "knapsack"])]
    ends = best.groupby(["budget", "allocation"])["accuracy_finetuned"].mean().groupby("budget")
    yield computed("end within {} points of one another", 100 * (ends.max() - ends.min()).max())
    yield from untrained(where(outcomes, method="mixed sequential", budget="macs=0.25"), control)
    yield from foretold()
    yield from only_timed()
    yield from damage.claims()


def untrained(tight: pd.DataFrame, control: pd.DataFrame) -> Iterator[Claim]:
    """What the tightest plan has before finetuning, beside the dense model at the same stages."""
    truncated, recalibrated = (
        (percent(tight, column), percent(control, column)) for column in ("accuracy_truncated", "accuracy_recalibrated")
    )
    yield computed(
        "at {} % of the time, loses {} points: it has {} %, and the dense model with its batch norm re-estimated "
        "likewise {} %. (Right after the cuts it has {} %, and the dense model as given {} %",
        100 * timing(tight["trial"].iloc[0])["ratio"],
        recalibrated[1] - recalibrated[0],
        *recalibrated,
        *truncated,
    )


def foretold() -> Iterator[Claim]:
    """What `lrbench audit` holds against one another: damage and accuracy, sums of layers and whole models."""
    audit = table(f"{STUDY}/audit.csv").drop_duplicates("trial")
    yield computed("MACs and params of all {} plans exactly", where(audit, macs_equal=True, params_equal=True).shape[0])
    rhos = table(f"{STUDY}/audit_correlations.csv")
    within, over = (
        [where(rhos, stage=stage, among=among).iloc[0] for stage in ("finetuned", "truncated")]
        for among in ("budget", "all")
    )
    yield stated("defined", "95 %", "of a correlation")
    yield computed(
        "rho with accuracy is {} (95 %: {} to {}), and {} ({} to {}) before; over all budgets together, where tight "
        "ones lose more by any rule, {} and {}",
        *(one[name] for one in within for name in ("rho", "rho_low", "rho_high")),
        *(one["rho"] for one in over),
    )
    planned = trials()[trials()["predicted_macs"].notna()]["architecture"]
    sums = table(f"{STUDY}/additivity.csv")
    here, there = (where(sums[sums["architecture"].isin(planned)], environment=machine) for machine in (EPYC, XEON))
    yield computed(
        "by {} % (median of the {} architectures) on the machine of the study and by {} % on a second one",
        100 * here["error"].median(),
        len(here),
        100 * there["error"].median(),
    )
    off = (100 * sums_there["scaled_error"].abs().median() for sums_there in (here, there))
    yield computed("the same sums are off by {} % and {} %", *off)


def over_asked() -> "pd.Series[float]":
    """Of the budgets of latency that were only timed, how much longer they take than was asked, as a share."""
    asked = table("imagenette/architectures.csv")
    asked = asked[asked["rank_rule"].isin(f"knapsack latency={share}" for share in UNTRAINED)]
    timed = asked.merge(where(table(f"{STUDY}/latency_ratios.csv"), environment=XEON), on="architecture")
    return timed["ratio"] / timed["rank_rule"].str.partition("=")[2].astype(float) - 1


def only_timed() -> Iterator[Claim]:
    """Budgets of latency that were only timed."""
    yield computed("further budgets ({} to {},", min(UNTRAINED), max(UNTRAINED))
    off = 100 * over_asked()
    yield computed(
        "they take {} % less time than was asked (median; from {} % less to {} % more)",
        -off.median(),
        -off.min(),
        off.max(),
    )
