"""The documents whose numbers are claims, each with the function that yields its claims."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from bench.claims import (
    budgets,
    ci,
    cluster,
    export,
    imagenette,
    latency,
    pages,
    readme,
    recommend,
    studies,
    truncation,
)
from bench.claims.claim import Claim

DOCUMENTS: Mapping[str, Callable[[], Iterator[Claim]]] = MappingProxyType(
    {
        "README.md": readme.claims,
        "results/README.md": studies.claims,
        "docs/budgets.md": budgets.claims,
        "docs/ci.md": ci.claims,
        "docs/cluster.md": cluster.claims,
        "docs/export.md": export.claims,
        "docs/imagenette.md": imagenette.claims,
        "docs/intervals.md": pages.intervals,
        "docs/latency.md": latency.claims,
        "docs/limits.md": readme.limits,
        "docs/methods.md": pages.methods,
        "docs/recommend.md": recommend.claims,
        "docs/training.md": pages.training,
        "docs/truncation.md": truncation.claims,
        "docs/words.md": pages.words,
    }
)

WRITTEN = frozenset({"docs/keys.md"})
"""Written from the code by `bench/write_tables.py`, and held to it by `tests/test_docs.py`."""
