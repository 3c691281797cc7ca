"""How often `lrbench history` marks a step in noise alone, and how often it finds a step of 10 %.

    python bench/study_history.py results/gate

Simulated: noise of some autocorrelation from run to run (`lag`), as it is or rounded to multiples of `rounding`
standard deviations; and noise of a standard deviation of `sd` (of log ratios) in which the last eight runs are 10 %
higher. Writes `history.csv`, a row for each kind of series: how many were `marked` (with a step in noise, else with one
within a run of the planted one), and `contrast_99`, what 99 of 100 contrasts stay below: that of noise of lag 0.5 is
what `lrbench.gate.steps.CRITICAL` must exceed. Takes about five minutes.
"""

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrbench.gate.steps import find_steps, fits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from noise import series  # noqa: E402 - of the tests

RUNS, LAGS, ROUNDINGS = (6, 7, 8, 12, 20, 30), (0.0, 0.25, 0.5), (0.0, 0.5, 1.0, 2.0)
BEFORE, AFTER, SDS = (8, 12, 22), 8, (0.015, 0.02, 0.025, 0.03)
CASES = 5_000


def noise(runs: int, lag: float, rounding: float, cases: int) -> dict[str, Any]:
    random, marked, contrasts = np.random.default_rng([runs, round(100 * lag), round(10 * rounding)]), 0, []
    for _ in range(cases):
        values = random.uniform(0, 10) + series(random, runs, lag=lag)
        if rounding:
            values = np.round(values / rounding) * rounding
        contrasts.append(max((contrast for contrast, _ in fits(values)), default=0.0))
        marked += bool(find_steps(values))
    found = {"cases": cases, "marked": marked, "contrast_99": float(np.quantile(contrasts, 0.99))}
    return {"series": "noise", "runs": runs, "lag": lag, "rounding": rounding, **found}


def planted(before: int, lag: float, sd: float) -> dict[str, Any]:
    random, marked = np.random.default_rng([before, round(100 * lag), round(1000 * sd)]), 0
    for _ in range(CASES):
        values = np.exp(sd * series(random, before + AFTER, lag=lag))
        values[before:] *= 1.1
        marked += any(abs(place - before) <= 1 for place in find_steps(values))
    return {"series": "step", "runs": before + AFTER, "lag": lag, "sd": sd, "cases": CASES, "marked": marked}


def rows() -> Iterator[dict[str, Any]]:
    for runs, lag, rounding in product(RUNS, LAGS, ROUNDINGS):
        yield noise(runs, lag, rounding, CASES if lag == max(LAGS) else CASES // 4)
    yield noise(60, 0.5, 0.0, CASES)
    yield noise(120, 0.5, 0.0, CASES // 4)
    for before, lag, sd in product(BEFORE, (0.0, 0.5), SDS):
        yield planted(before, lag, sd)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    table = []
    for row in rows():
        table.append(row)
        print(row, flush=True)
        pd.DataFrame(table).to_csv(folder / "history.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
