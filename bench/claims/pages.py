"""docs/methods.md, docs/intervals.md, docs/training.md and docs/words.md: pages with few numbers."""

from collections.abc import Iterator

from bench.claims.claim import Claim, computed, everywhere, stated
from lrbench.statistics import paired, posterior

PAPERS = {
    "1505.06798": "Zhang et al. 2015",
    "1405.3866": "Jaderberg et al. 2014",
    "1511.06530": "Kim et al. 2016",
    "1306.0543": "Denil et al. 2013",
    "2007.02491": "Li et al. 2020",
    "2511.04494": "data-aware Tucker-2 and CP decompositions, 2025",
}

STEPS = (
    "| 32 images of 32 px | 0.82 | 0.92 | 0.93 |",
    "| 64 images of 64 px | 1.26 | 1.21 | 1.22 |",
    "| 32 images of 128 px | 1.55 | 1.68 | 1.67 |",
)
SEQUENTIAL = "ResNet-18 (20 layers) 1.5 s in place of 12.4, MobileNetV2 (35 layers) 2.5 s in place of 20.6"


def methods() -> Iterator[Claim]:
    """Papers, and an example."""
    for number, paper in PAPERS.items():
        yield stated("cited", f"arXiv {number}", paper)
    yield stated(
        "defined", "| `energy=0.9` | the least that keeps 90 %", "the rule: a share of the squared singular values"
    )


def intervals() -> Iterator[Claim]:
    """How wide intervals are meant to be."""
    yield everywhere("| {} % | th", 100 * posterior.CONFIDENCE)
    yield computed("| latency ratio | {} % |", 100 * paired.CONFIDENCE)


def training() -> Iterator[Claim]:
    """Timings that stand nowhere else."""
    for row in STEPS:
        yield stated("measured", row, "python bench/study_amp.py, commit f124111")
    yield stated(
        "measured", SEQUENTIAL, "both versions in one run on two cores, commit 308e3c7; its script was not kept"
    )


def words() -> Iterator[Claim]:
    """Intervals of the charts."""
    yield everywhere("the {} % interval of", 100 * posterior.CONFIDENCE)
    yield computed("with a {} % interval", 100 * paired.CONFIDENCE)
    yield stated("defined", "FLOPs = 2 x MACs", "a multiplication and an addition")
