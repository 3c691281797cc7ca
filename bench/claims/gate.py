"""How often the gate is right: of results/gate, for two documents."""

import pandas as pd

from bench.claims.tables import percent, table, where


def alarms(noise: str, **columns: object) -> pd.Series:
    """The share of cases called worse without an excess, in percent, by the number of seeds."""
    rows = where(table("gate/accuracy.csv"), noise=noise, excess=0.0, **columns).set_index("seeds")
    return 100 * rows["worse"] / rows["cases"]


def found(excess: float, seeds: int) -> float:
    """The share of cases in which an excess is found with the noise measured, in percent."""
    row = where(table("gate/accuracy.csv"), noise="measured", excess=excess, seeds=seeds)
    return float((100 * row["worse"] / row["cases"]).iloc[0])


def stated_excess(seeds: int) -> float:
    """The excess, in points, that is said to be found in 9 of 10 runs with the noise measured."""
    return percent(table("gate/accuracy.csv"), "stated_excess", noise="measured", excess=0.0, seeds=seeds)


def marked(series: str) -> pd.DataFrame:
    """The simulated histories of up to 30 runs, with the share of cases that were `marked`, in percent."""
    rows = where(table("gate/history.csv"), series=series)
    rows = rows[rows["runs"] <= 30]
    return rows.assign(marked=100 * rows["marked"] / rows["cases"])


def steps(sd: float, lag: float = 0.0) -> list[float]:
    """The share of planted steps that was found, by the number of runs before it."""
    return list(where(marked("step"), sd=sd, lag=lag).sort_values("runs")["marked"])
