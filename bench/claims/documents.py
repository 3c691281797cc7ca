"""The documents whose numbers are claims, each with the function that yields its claims."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from bench.claims import budgets, ci, cluster, export, imagenette, latency, readme, truncation
from bench.claims.claim import Claim

DOCUMENTS: Mapping[str, Callable[[], Iterator[Claim]]] = MappingProxyType(
    {
        "README.md": readme.claims,
        "docs/budgets.md": budgets.claims,
        "docs/ci.md": ci.claims,
        "docs/cluster.md": cluster.claims,
        "docs/export.md": export.claims,
        "docs/imagenette.md": imagenette.claims,
        "docs/latency.md": latency.claims,
        "docs/truncation.md": truncation.claims,
    }
)

WRITTEN = frozenset({"docs/keys.md"})
"""Written from the code by `bench/write_tables.py`, and held to it by `tests/test_docs.py`."""

NOT_YET = frozenset(
    {
        "results/README.md",
        *(
            f"docs/{name}.md"
            for name in (
                "budgets",
                "ci",
                "cluster",
                "export",
                "imagenette",
                "latency",
                "methods",
                "recommend",
                "training",
                "truncation",
                "words",
            )
        ),
    }
)
"""To come."""
