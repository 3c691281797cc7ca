"""results/README.md: what was simulated, of intervals, of the gate and of recommendations."""

from collections.abc import Iterator
from statistics import fmean

import numpy as np

from bench.claims import gate
from bench.claims.calibration import KNOWN, OTHERS, overconfidence, splits
from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import USUAL, frames, table, trials, where
from bench.study_choices import LIMITS
from lrbench.gate.accuracy import FOUND
from lrbench.statistics.paired import CONFIDENCE
from lrbench.statistics.shrinkage import SLOPE

POINT = ["recipe", "scheme", "truncation", "layer_set", "rank_rule"]
TIGHT = "at most 2 points"


def claims() -> Iterator[Claim]:
    """Intervals, choices, `check`, `history`."""
    yield from intervals()
    yield from choices()
    yield from accuracy()
    yield from history()


def intervals() -> Iterator[Claim]:
    """Coverage where the truth is known."""
    yield stated("setting", "over 2,000 `folders` of 16", "bench/study_intervals.py")
    rows = table("intervals/coverage.csv")
    new, old = (100 * where(rows, rule=rule)["covered"] for rule in ("components", "layouts"))
    yield computed(
        "{} to {} % are covered by `components` in the {} scenarios, where {} % are stated; {} to {} % by `layouts`",
        new.min(),
        new.max(),
        len(new),
        100 * CONFIDENCE,
        old.min(),
        old.max(),
    )


def choices() -> Iterator[Claim]:
    """How much too sure `recommend` is."""
    yield computed("at limits of {} to {} points in quarters", 100 * LIMITS.min(), 100 * LIMITS.max())
    every, tight = overconfidence(KNOWN), overconfidence(KNOWN, limits=TIGHT)
    yield computed("On {} splits drawn from `imagenette`", splits())
    yield computed("with {} to {}, to {}, to {}, to {} and to 1 did so", 0.5, 0.6, 0.7, 0.8, 0.9)
    yield computed(
        "did so {}, {}, {}, {} and {} points less often than said; with limits of at most {} points {}, {}, {}, {} and "
        "{}.",
        *every,
        2,
        *tight,
    )
    yield stated("setting", "Wanted were 3 points", "asked of this study before it was made")
    both = overconfidence(KNOWN, "accuracy"), overconfidence(KNOWN, "accuracy", TIGHT)
    yield computed(
        "are {} to {} points too high, for limits within {} points of the dense model's true accuracy {} to {}:",
        min(both[0]),
        max(both[0]),
        2,
        min(both[1]),
        max(both[1]),
    )
    yield computed("for every study ({} in the logarithm)", SLOPE)
    yield computed("trials show {} after finetuning and {} before", slope("finetuned"), slope("recalibrated"))
    every, tight = overconfidence(OTHERS), overconfidence(OTHERS, limits=TIGHT)
    yield computed(
        "{}, {}, {} and {} points more often than said, and {} less in the last bin; with limits of at most {} points "
        "{}, {}, {} and {} more, {} less in the last",
        *(-over for over in every[:-1]),
        every[-1],
        2,
        *(-over for over in tight[:-1]),
        tight[-1],
    )


def slope(stage: str) -> float:
    """How the logarithm of the drop of factorized trials rises as that of their MACs falls, by least squares."""
    usual = where(trials(), recipe=USUAL)
    dense = where(usual, scheme="dense")[f"accuracy_{stage}"].mean()
    cut = usual[~usual["scheme"].isin(["dense", "writeback"])]
    cut = cut.assign(drop=dense - cut[f"accuracy_{stage}"])
    lost = cut[cut["drop"] > 0]
    return float(np.polyfit(-np.log(lost["mac_ratio"]), np.log(lost["drop"]), 1)[0])


def accuracy() -> Iterator[Claim]:
    """`regress` and `check`: what was run, and what was simulated from its noise."""
    yield stated("setting", "wait for 15 % of their own time", "bench/study_gate.py")
    runs = where(table("gate/runs.csv"), code="unchanged")
    low = runs["reason"].str.extract(r"\((\d\.\d+)-")[0].astype(float)
    yield computed("No lower bound of the {} verdicts on unchanged code exceeds {}", len(low), low.max())
    pairs = [pair for _, pair in trials().groupby(POINT) if len(pair) == 2]
    right = frames("imagenette").right
    differing = [np.mean(np.not_equal(*(right[trial, "finetuned"] for trial in pair["trial"]))) for pair in pairs]
    deviations = [pair["accuracy_finetuned"].var() for pair in pairs]
    yield computed(
        "({} points of two seeds: {} % of the images answered differently, {} points of accuracy",
        len(pairs),
        100 * np.mean(differing),
        100 * np.sqrt(np.mean(deviations)),
    )
    yield computed("it finds in {} of {} runs", 10 * FOUND, 10)
    measured, larger, four = (gate.alarms(noise) for noise in ("measured", "larger", "four times"))
    cases = table("gate/accuracy.csv")["cases"].max()
    yield computed(
        "in at most {} of {} cases with the noise measured, in at most {} % where all images of a run share {} points "
        "more (`larger`), in {} % (one seed) to {} % (six)",
        measured.max() / 100 * cases,
        cases,
        larger.max(),
        0.32,
        four[1],
        four[6],
    )
    rows = where(table("gate/accuracy.csv"), noise="measured")
    stated_ones = rows[~rows["excess"].isin([0.0, 0.015, 0.025])]
    shares = 100 * stated_ones["worse"] / stated_ones["cases"]
    yield computed(
        "{} points too much are found in {} % with one seed, {} in {} % with six; the excess stated in {} to {} %",
        2.5,
        gate.found(0.025, 1),
        1.5,
        gate.found(0.015, 6),
        shares.min(),
        shares.max(),
    )


def history() -> Iterator[Claim]:
    """`lrbench history`."""
    noise = gate.marked("noise")
    yield stated("setting", "on a `step` of 10 %", "bench/study_history.py")
    yield stated("defined", "99 of 100 stay below", "the column `contrast_99`")
    yield computed(
        "in noise of {} to {} runs at most {} % are marked (lag {}; {} % without)",
        noise["runs"].min(),
        noise["runs"].max(),
        noise["marked"].max(),
        noise["lag"].max(),
        where(noise, lag=0.0)["marked"].max(),
    )
    yield computed(
        "is found in {}, {} and {} % with `sd` {}, in {}, {} and {} % with {}; with lag {} in {}, {} and {} %, and {}, "
        "{} and {} %",
        *gate.steps(0.02),
        0.02,
        *gate.steps(0.03),
        0.03,
        0.5,
        *gate.steps(0.02, 0.5),
        *gate.steps(0.03, 0.5),
    )
    yield stated("setting", "2 % is assumed", "bench/study_history.py")
    runs = where(table("gate/runs.csv"), code="unchanged")
    of_workloads = [group.sort_values("run")["ratio"] for _, group in runs.groupby("workload")]
    deviations = [100 * series.std() for series in of_workloads]
    yield computed(
        "differ by {} % (standard deviation, median of the workloads; {} % at most), without autocorrelation ({})",
        float(np.median(deviations)),
        max(deviations),
        fmean(series.autocorr(1) for series in of_workloads),
    )
