"""The pages of the site and what they link, laid out as in the repository."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.site.nav import NAV, first_page
from bench.site.pages import PAGES

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#:\s]+)[)#]")


def texts() -> dict[str, str]:
    """Every page by its path from the root, without `.md`."""
    made = {f"docs/made/{name}": write for name, write in PAGES.items()}
    names = [name for pages in NAV.values() for name in pages]
    return {
        "index": first_page((ROOT / "README.md").read_text(encoding="utf-8")),
        **{name: made[name]() if name in made else (ROOT / f"{name}.md").read_text(encoding="utf-8") for name in names},
    }


def linked(pages: Mapping[str, str]) -> Iterator[Path]:
    """The files of the repository that pages link or show, and that are no pages."""
    for name, text in pages.items():
        for link in LINK.findall(text):
            path = (ROOT / name).parent.joinpath(link).resolve()
            if path.is_file() and path.relative_to(ROOT).with_suffix("").as_posix() not in pages:
                yield path.relative_to(ROOT)


def lay_out(folder: Path) -> None:
    """Write all of them into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = texts()
    for name, text in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    for path in set(linked(pages)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
