"""Which pages the site has, in order; README.md is the first."""

from collections.abc import Mapping
from types import MappingProxyType

NAV: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Tutorial": ("docs/quickstart",),
        "Guides": (
            "docs/checkpoint",
            "docs/data",
            "docs/loops",
            "docs/specs",
            "docs/budgets",
            "docs/recommend",
            "docs/export",
            "docs/cluster",
            "docs/ci",
            "docs/library",
            "docs/training",
            "docs/failures",
        ),
        "Concepts": (
            "docs/words",
            "docs/methods",
            "docs/truncation",
            "docs/splits",
            "docs/fronts",
            "docs/intervals",
            "docs/latency",
        ),
        "Reference": ("docs/made/commands", "docs/keys", "docs/made/columns", "docs/made/api"),
        "Results": ("docs/imagenette", "docs/gallery", "docs/numbers", "results/README"),
        "About": ("docs/limits", "docs/faq", "CONTRIBUTING", "docs/made/house", "CHANGELOG"),
    }
)
"""Pages by their heading in the side bar, as paths from the root without `.md`; docs/made/ is written from the code."""


def first_page(readme: str) -> str:
    """README.md with the side bar below it."""
    trees = (
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```"
        for caption, pages in NAV.items()
    )
    return "\n\n".join((readme, *trees)) + "\n"
