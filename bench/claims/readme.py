"""README.md and docs/limits.md."""

from collections.abc import Iterator

import pandas as pd

from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import EPYC, XEON, percent, point, ratios, spec, timing, where
from lrbench.statistics import paired, posterior


def claims() -> Iterator[Claim]:
    """From the start to what was found."""
    oldest = float(spec("pyproject.toml")["project"]["requires-python"].removeprefix(">="))
    yield computed("You need Python {} or newer", oldest)
    yield stated(
        "measured", "for the packages (3.3 GB)", "what pip downloads in `make sweep` of a fresh clone, commit 5edb554"
    )
    yield stated(
        "measured", "about 5 minutes on two idle cores", "271 s: `make sweep` in a fresh clone, commit 025cc4d"
    )
    yield computed("{} % of accuracy, {} % of latency", 100 * posterior.CONFIDENCE, 100 * paired.CONFIDENCE)
    yield stated("defined", "FLOPs = 2 x MACs", "a multiplication and an addition")
    early, late = point("early", "macs=0.75"), point("late", "macs=0.2")
    yield computed("the model takes {} % of the time", 100 * timing(late)["ratio"])
    yield computed(
        "cut a little ({} % of the model's MACs) it takes {} of the dense time on one machine, {} on another",
        percent(early, "mac_ratio"),
        timing(early, EPYC)["ratio"],
        timing(early, XEON)["ratio"],
    )
    fifth = point("all", "macs=0.2")
    yield computed(
        "one pass over {} images and lifts plain SVD, at a fifth of the layers' MACs, from {} to {} %",
        spec("bench/sweeps/imagenette.toml")["calibration"]["images"],
        percent(fifth, "accuracy_truncated"),
        percent(fifth, "accuracy_recalibrated"),
    )
    plain, sequential = (point("all", "macs=0.1", truncation=kind) for kind in ("plain", "sequential"))
    yield computed(
        "{} % (plain), {} % (plain, batch norm re-estimated), {} % (sequential)",
        percent(plain, "accuracy_truncated"),
        percent(plain, "accuracy_recalibrated"),
        percent(sequential, "accuracy_truncated"),
    )


def limits() -> Iterator[Claim]:
    """docs/limits.md."""
    oldest = float(spec("pyproject.toml")["project"]["requires-python"].removeprefix(">="))
    yield computed("Python {} or newer", oldest)
    yield computed("a median of {} % to either side from one session", 100 * one_occasion()["half_width"].median())


def one_occasion() -> pd.DataFrame:
    """The factorized models that were timed on one occasion."""
    return where(pd.concat([ratios("imagenette"), ratios("latency")]), occasions=1)
