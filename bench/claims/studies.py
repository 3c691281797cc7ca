"""results/README.md: machines, settings of the studies, and what each found."""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pandas as pd

from bench.claims import simulated, taken, zoo
from bench.claims.budgets import UNTRAINED, over_asked
from bench.claims.claim import Claim, computed, everywhere, stated
from bench.claims.tables import (
    EPYC,
    XEON,
    either_way,
    mean,
    percent,
    ratios,
    series_ratios,
    spec,
    table,
    trials,
    where,
)
from bench.study_imagenette import TIMED_AGAIN
from lrbench.config.recipes import Baseline
from lrbench.report.frames.damage import NEAR

COVERED = ("1 occasion", "2 occasions")


def claims() -> Iterator[Claim]:
    """In the order of the document, but for what stands in several studies."""
    yield stated("setting", "tables of 100 kB and more", "tests/test_published.py")
    yield stated("setting", "at most 25 MB, a new study 3 MB", "tests/test_published.py")
    yield everywhere("{} GB, shared", mean(table("imagenette/environments.csv"), "memory_bytes") / 1e9)
    for interval in ("95 % interval", "95 % bootstrap interval"):
        yield stated("defined", interval, "of an accuracy, a difference, a share, a correlation")
    yield stated("setting", "its 90 % interval", "BAND of lrbench/statistics/damage.py")
    yield computed("equal MACs (within {} %)", 100 * NEAR)
    for interval in ("99 % interval", "99 % intervals"):
        yield stated("defined", interval, "of a latency ratio")
    yield from chain(seed(), repeat(), imagenette(), again(), taken.claims(), simulated.claims(), suite(), zoo.claims())


def seed() -> Iterator[Claim]:
    """The notebook's experiment."""
    chosen = spec("bench/sweeps/seed.toml")["finetune"]
    yield computed("(lr {}, momentum {}, batch", chosen["lr"], chosen["momentum"])
    yield stated("cited", "64.79 %", "the notebook")
    minutes = trials("seed")["finetune_s"] / 60
    yield computed("Training ran for {} to {} minutes a trial", minutes.min(), minutes.max())


def repeat() -> Iterator[Claim]:
    """Occasions of one day."""
    rules = [float(rule.removeprefix("params=")) for rule in spec("bench/sweeps/repeat.toml")["sweep"]["ranks"]]
    yield computed("four of them at {} and {} % of the params", *(100 * share for share in sorted(rules)[:2]))
    started = pd.to_datetime(table("repeat/latency.csv.gz").groupby("session")["started"].first()).sort_values()
    pauses = started.diff().dt.total_seconds().nlargest(2).sort_index() / 60
    yield computed("{} and {} minutes lie between them", *pauses)
    rows = where(table("repeat/coverage.csv"), setting="all")
    new, old = ([where(rows, rule=rule, tested=tested) for tested in COVERED] for rule in ("components", "layouts"))
    yield computed(
        "of {} tests each, one occasion covers {} % (half width {} %), two cover {} % ({} %). `layouts` cover {} % ({} "
        "and {} %)",
        mean(new[0], "tests"),
        *(percent(row, column) for row in new for column in ("covered", "half_width")),
        percent(old[0], "covered"),
        *(percent(row, "half_width") for row in old),
    )
    earlier = where(table("imagenette/coverage.csv"), setting="all", rule="layouts")
    yield computed(
        "where `layouts` covered {} and {} %", *(percent(earlier, "covered", tested=tested) for tested in COVERED)
    )


def imagenette() -> Iterator[Claim]:
    """How the model was trained, and how certain its accuracy is."""
    chosen = spec("bench/sweeps/imagenette.toml")
    baseline = Baseline(**chosen["baseline"])
    yield computed(
        "one-cycle to {}, momentum {}, weight decay {}, label smoothing {},",
        baseline.lr,
        baseline.momentum,
        baseline.weight_decay,
        baseline.label_smoothing,
    )
    yield computed("(cosine from {})", chosen["finetune"]["lr"])
    images = int(mean(trials(), "samples"))
    yield computed("an interval of about {} points either way", either_way(mean(trials(), "accuracy_dense"), images))


def again() -> Iterator[Claim]:
    """What was timed twice, on both machines, or without being trained."""
    mixed, channel = (series_ratios(trial) for trial in ("eb55d7fd9ae88fa4", "4ce51cef2f233ceb"))
    yield computed(
        "{} in place of {} (`mixed sequential`, macs=0.25), {} in place of {} (`channel`", *mixed[::-1], *channel[::-1]
    )
    there = (series_ratios(trial, XEON) for trial in TIMED_AGAIN)
    named = [f"{{}} and {{}} ({kind}{trial[:8]})" for kind, trial in zip(("trial ", "", ""), TIMED_AGAIN, strict=True)]
    yield computed(", ".join(named), *chain.from_iterable(there))
    both = pd.concat([where(ratios("imagenette"), environment=machine, batch_size=1) for machine in (EPYC, XEON)])
    timed = both.pivot_table(index="architecture", columns="environment", values="ratio").dropna()
    higher = 100 * (timed[XEON] / timed[EPYC] - 1)
    yield computed(
        "correlate with {}; those of the second are higher by {} % on average, by {} % at most",
        np.corrcoef(timed[EPYC], timed[XEON])[0, 1],
        higher.mean(),
        higher.max(),
    )
    yield computed("Budgets of latency of {}, {}, {} and {} by each scheme", *UNTRAINED)
    off = 100 * over_asked()
    yield computed("less 1, has a median of {} %, from {} to {} %", off.median(), off.min(), off.max())


def suite() -> Iterator[Claim]:
    """How long `make test` takes."""
    runs = table("suite/runs.csv").set_index("run")["seconds"]
    yield computed("median {} s", runs.median())
    yield stated("measured", "about 2 minutes", "make test on two idle cores, commit 8456675")
    yield computed("Runs 4 and 5 ({} and {} s, above", runs[4], runs[5])
    yield stated("setting", "the 4 minutes that it may take", "the help of `make test`")
