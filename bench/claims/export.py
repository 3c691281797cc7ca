"""docs/export.md."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import mean, table, timing, where
from lrbench.results.occasions import estimate_timing, told
from lrbench.statistics.components import prior_of
from lrbench.statistics.paired import CONFIDENCE

RUNTIMES = {
    "PyTorch, eager (`lrbench.load`)": ("eager", "safetensors"),
    "torch.export": ("torch.export", "pt2"),
    "ONNX Runtime": ("onnxruntime", "onnx"),
}
"""As the document names them: the runtime and its artefact."""


def claims() -> Iterator[Claim]:
    """Checks and timings."""
    yield stated("setting", "within 1e-4 (or 1e-5 of the largest logit", "lrbench/export/artefacts.py and check.py")
    checks = table("export/checks.csv")
    yield computed("{} of {} test images right", mean(checks, "correct"), mean(checks, "samples"))
    yield computed("latency ratio, {} % |", 100 * CONFIDENCE)
    for said, (runtime, artefact) in RUNTIMES.items():
        row = where(table("export/timing.csv"), runtime=runtime)
        difference = mean(checks, "difference", artefact=artefact)
        yield computed(
            f"| {said} | {{}} ms | {{}} ms | {{}} ({{}}-{{}}) | {{}} | {{}} |",
            1000 * mean(row, "dense_latency_s"),
            1000 * mean(row, "latency_s"),
            *interval(runtime),
            mean(row, "control"),
            difference,
        )
    plan = timing("eb55d7fd9ae88fa4")
    yield computed(
        "the dense model takes {} ms and the plan {} ms ({} of it)",
        1000 * plan["dense_latency_s"],
        1000 * plan["latency_s"],
        plan["ratio"],
    )


def interval(runtime: str) -> tuple[float, float, float]:
    """The latency ratio and its interval, by the rule of today, from the raw rounds."""
    rounds = where(table("export/rounds.csv"), runtime=runtime)
    ratios = rounds.assign(log=np.log(rounds["latency_s"] / rounds["dense_latency_s"]))
    layouts: pd.Series = ratios.groupby(["process", "layout"])["log"].median()
    logs = [group.to_numpy() for _, group in layouts.groupby(level="process")]
    ratio = told(estimate_timing(logs, prior_of("cpu", 1))).ratio()
    return ratio.ratio, ratio.low, ratio.high
