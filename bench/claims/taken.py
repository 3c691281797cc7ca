"""results/README.md: what `lrbench recommend` takes from each study."""

from collections.abc import Iterator

from bench.claims.claim import Claim, computed, stated
from bench.claims.tables import (
    DISTILLED,
    EPYC,
    XEON,
    Advised,
    advised,
    mean,
    percent,
    table,
    timing,
    trials,
    usually,
    where,
)


def claims() -> Iterator[Claim]:
    """A row of the table each."""
    surest = [100 * usually("recipes", recipe=recipe).surest for recipe in trials("recipes")["recipe"].unique()]
    yield computed("by any recipe ({} to {} %)", min(surest), max(surest))
    yield from before()
    yield from distilled()
    yield from of_costs()
    yield from usual()
    three = usually("truncation")
    yield computed("fraction=0.3: {} of the MACs ({} % sure)", three.taken["mac_ratio"], 100 * three.probability)
    factors = where(trials("seed"), scheme="channel")["architecture"].iloc[0]
    times = table("seed/figures/latency_ratios.csv")
    yield computed(
        "{} of the time, from one process",
        mean(times, "ratio", architecture=factors, batch_size=1, memory_format="contiguous"),
    )


def before() -> Iterator[Claim]:
    """What the page and `recommend` of an older commit said of the same tables."""
    for text in (
        "161fa7a9: 0.500 of the MACs, 0.532 of the time",
        "4c7b13e8: 0.250 of the MACs",
        "4c7b13e8, chosen on the test split: 0.250 of the MACs",
        "page: 0.371 of the MACs, 0.504 of the time",
        "the fewest MACs within a point 0.183",
    ):
        yield stated("measured", text, "lrbench recommend and lrbench report of commit 0f2d3cb on that study")


def begins(found: Advised) -> str:
    """The first eight letters of the trial that is taken."""
    return str(found.taken["trial"])[:8]


def distilled() -> Iterator[Claim]:
    """Among the finetuning that is best."""
    found = usually("imagenette", recipe=DISTILLED)
    yield computed(
        f"{begins(found)} ({{}} % sure, {{}} % if trained again): {{}} of the MACs, and {{}} and {{}} of the time on "
        "the two machines; {} points below dense",
        100 * found.probability,
        100 * found.retrained,
        found.taken["mac_ratio"],
        *(usually("imagenette", recipe=DISTILLED, environment=machine).taken["ratio"] for machine in (EPYC, XEON)),
        100 * found.taken["test_drop"],
    )
    fewest = advised("imagenette", {"max-drop": 0.03}, minimise="macs")
    yield computed(
        f"{begins(fewest)} ({{}} % sure): {{}} of the MACs; {{}} points below dense",
        100 * fewest.probability,
        fewest.taken["mac_ratio"],
        100 * fewest.taken["test_drop"],
    )


def of_costs() -> Iterator[Claim]:
    """With a limit on the time alone: the most accurate, and what it is tied with."""
    found = advised("imagenette", {"latency": 0.6})
    rivals = where(trials(), recipe=DISTILLED)
    best = where(rivals, trial="6cd91654b95f3c3d")
    yield computed(
        f"{begins(found)} ({{}} % on the search split), tied with the most accurate, 6cd91654 ({{}} %), of less loss "
        "and faster: {} in place of {}",
        100 * found.taken["accuracy"],
        percent(best, "accuracy_search"),
        found.taken["ratio"],
        timing(best, XEON)["ratio"],
    )


def usual() -> Iterator[Claim]:
    """Among the usual finetuning."""
    macs, here, there = (
        usually("imagenette"),
        usually("imagenette", environment=EPYC),
        usually("imagenette", environment=XEON),
    )
    yield computed(
        f"{begins(macs)}, the better of two seeds: {{}} of the MACs ({{}} % sure, {{}} % if trained again); {{}} and "
        "{} of the time",
        macs.taken["mac_ratio"],
        100 * macs.probability,
        100 * macs.retrained,
        here.taken["ratio"],
        there.taken["ratio"],
    )
