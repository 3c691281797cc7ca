"""docs/cluster.md."""

from collections.abc import Iterator

from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import mean, percent, table, trials

COSTS = {
    "append records": "append records",
    "open the log again": "open the log again",
    "`lrbench plots`": "lrbench plots",
    "`lrbench check`": "lrbench check",
}


def claims() -> Iterator[Claim]:
    """What a trial costs, what many cost, and what a million would."""
    costs = table("cluster/costs.csv")
    for said, what in {
        "a trial of nothing, in process": "no-op trials, in process",
        "in a pool of two processes": "no-op trials, pool of 2",
        "on two Ray nodes of one CPU": "no-op trials, Ray, 2 nodes of 1 CPU",
    }.items():
        yield computed(f"| {said} | {{}} ms |", 1000 * mean(costs, "seconds_per_trial", what=what))
    sleeps = {"what": "1 s sleeps, Ray, 16 workers"}
    yield computed(
        "on 16 logical workers | {} s; {} s without any cost: {} % |",
        mean(costs, "seconds", **sleeps),
        mean(costs, "seconds", **sleeps) * mean(costs, "efficiency", **sleeps),
        percent(costs, "efficiency", **sleeps),
    )
    for said, what in COSTS.items():
        values = [
            mean(costs, column, what=what, trials=count) / unit
            for count in (10_000, 100_000)
            for column, unit in (("seconds", 1), ("peak_memory_bytes", 1e9))
        ]
        yield computed(f"| {said} | {{}} s | {{}} GB | {{}} s | {{}} GB |", *values)
    yield from a_million()
    bytes_of_all = 4 * trials()["dense_params"].iloc[0]
    yield computed("{} MB at most for a ResNet-18", bytes_of_all / 1e6)
    yield stated("defined", "a 1 Gbit/s line", "the example: 45 MB are 0.36 s on it")


def a_million() -> Iterator[Claim]:
    """Ten times what 100,000 cost."""
    costs = table("cluster/costs.csv")
    records, plots, check = (
        (
            10 * mean(costs, "seconds", what=what, trials=100_000) / 60,
            10 * mean(costs, "peak_memory_bytes", what=what, trials=100_000) / 1e9,
        )
        for what in ("append records", "lrbench plots", "lrbench check")
    )
    yield computed(
        "{} minutes of the driver's time for the records, {} minutes and {} GB for plots, {} minutes and {} GB "
        "for a check",
        records[0],
        *plots,
        *check,
    )
