"""The site without building it: no page is lost, every link leads somewhere, nothing that the code says is missing."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer

import lrbench
from bench.site.drawings import FOLDER, drawing
from bench.site.nav import NAV
from bench.site.pages import PAGES
from bench.site.stage import ROOT, lay_out, texts
from lrbench.cli import app
from lrbench.lowrank.schemes import SCHEMES
from lrbench.report.figures.table import FIGURES
from lrbench.results.columns import TABLES

LINK = re.compile(r"(?<!`)\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    lay_out(folder)
    return folder


def anchors(page: Path) -> set[str]:
    """What a link may name within a page: its headings, as GitHub and Sphinx name them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def lost(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    links = [link for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))) if "://" not in link]
    split = {link: link.partition("#")[::2] for link in links}
    targets = {link: page.parent / name if name else page for link, (name, _) in split.items()}
    return [
        link
        for link, target in targets.items()
        if not target.is_file() or (split[link][1] and split[link][1] not in anchors(target))
    ]


def test_every_link_of_the_site_leads_to_a_page_a_file_or_a_heading(site: Path) -> None:
    pages = sorted(site.rglob("*.md"))
    assert len(pages) > 20
    assert {page.relative_to(site).as_posix(): lost(page) for page in pages if lost(page)} == {}


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One heading\n")
    page = tmp_path / "page.md"
    page.write_text("[a](there.md) [b](there.md#one-heading) [c](there.md#two) [d](gone.md) [e](https://x.org/y.md)")
    assert lost(page) == ["there.md#two", "gone.md"]


def test_every_document_is_in_the_side_bar_once() -> None:
    named = [page for pages in NAV.values() for page in pages]
    written = {f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")}
    assert sorted(named) == sorted(
        {*written, *(f"docs/made/{name}" for name in PAGES), "CONTRIBUTING", "CHANGELOG", "results/README"}
    )


def test_the_first_page_is_the_readme() -> None:
    first = texts()["index"]
    assert first.startswith((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [first.count(f":caption: {caption}\n") for caption in NAV] == [1] * len(NAV)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_drawing_of_a_scheme_is_what_its_layers_are(name: str) -> None:
    kept = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert kept == drawing(name), "the schemes have changed: python -m bench.site.drawings renews docs/schemes"
    assert ElementTree.fromstring(kept).tag.endswith("svg")
    assert f"](schemes/{name}.svg)" in (ROOT / "docs/methods.md").read_text(encoding="utf-8")


def test_the_gallery_shows_every_figure_below_its_question() -> None:
    sections = (ROOT / "docs/gallery.md").read_text(encoding="utf-8").split("\n## ")[1:]
    shown = [re.search(r"\?\n\n!\[(\w+)\]\((\S+)\)\n\n`(\w+)`: ", section) for section in sections]
    assert {match[1] for match in shown if match} == set(FIGURES)
    assert [match[0] for match in shown if not (match and match[1] == match[3] and f"/{match[1]}" in match[2])] == []


def test_pages_written_from_the_code_leave_nothing_out() -> None:
    group = typer.main.get_command(app)
    commands, columns, api, house = (PAGES[name]() for name in ("commands", "columns", "api", "house"))
    options = {name for command in group.commands.values() for param in command.params for name in param.opts}
    assert [name for name in group.commands if f"## `lrbench {name}`" not in commands] == []
    assert "..." not in commands.partition("\n## ")[0].replace("[ARGS]...", ""), "no first line is cut"
    assert [name for name in options if name.startswith("--") and f"`{name}" not in commands] == []
    assert [name for table in TABLES.values() for name in table.names if f"`{name}`" not in columns] == []
    assert [name for name in lrbench.__all__ if f":: lrbench.{name}\n" not in api] == []
    rooms = {path.parent.name for path in (ROOT / "lrbench").glob("*/__init__.py")}
    assert [room for room in rooms if f"## lrbench/{room}\n" not in house] == []
