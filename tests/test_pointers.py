"""What documents and docstrings point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WRITTEN = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "lrbench").rglob("*.py")),
    *sorted((ROOT / "lrbench").rglob("*.html")),
    *sorted((ROOT / "bench").rglob("*.py")),
    *sorted((ROOT / "bench").rglob("*.toml")),
)

DOCUMENT = re.compile(r"(?<![\w/.:*-])[\w./-]+\.md\b")
SOURCE = re.compile(r"(?<![\w/.:-])(?:lrbench|bench|tests)/[\w/.-]+\.(?:py|toml)\b")
LINK = re.compile(r"\]\(([^)#:]+)[)#]")


def lost(text: str, beside: Path) -> list[str]:
    """Paths in a text that lead nowhere, from the file's own folder or from the root."""
    links = LINK.findall(text) if beside.suffix == ".md" else []
    named = [*DOCUMENT.findall(text), *SOURCE.findall(text), *links]
    return [one for one in named if not any((place / one).exists() for place in (beside.parent, ROOT))]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pointer_leads_to_a_file(path: Path) -> None:
    assert lost(path.read_text(encoding="utf-8"), path) == []


def test_a_pointer_that_leads_nowhere_is_seen() -> None:
    text = "see docs/absent.md, [here](gone/figure.png), `lrbench/absent.py`; not https://docs.ray.io/x.md or README.md"
    assert lost(text, ROOT / "README.md") == ["docs/absent.md", "lrbench/absent.py", "gone/figure.png"]
