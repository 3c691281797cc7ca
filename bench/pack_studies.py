"""Make the published studies light before they are committed: results/ at most 25 MB, a new study at most 3 MB.

    python bench/pack_studies.py [results/NAME ...]

Packs logs and tables of 100 kB and more (`NAME.gz`; lrbench and pandas read them as they are), and removes SVGs and
pages that no document shows: `lrbench plots` and `lrbench report` make them anew. Without a folder it takes every one
in results/ that git does not ignore. Running it again changes nothing. Prints the size of each before and after.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lrbench.limits import in_words
from lrbench.results.publish import pack_folder

ROOT = Path(__file__).parents[1]
LEAST_BYTES = 100_000
DOCUMENTS = (ROOT / "README.md", ROOT / "results/README.md", *sorted((ROOT / "docs").glob("*.md")))
REBUILT = (".svg", ".html")


def studies() -> Iterator[Path]:
    """The folders in results/ that git does not ignore."""
    for folder in sorted(path for path in (ROOT / "results").iterdir() if path.is_dir()):
        if subprocess.run(["git", "check-ignore", "--quiet", folder], cwd=ROOT, check=False).returncode:
            yield folder


def unshown(folder: Path) -> Iterator[Path]:
    """Charts and pages of a study that can be made anew and that no document names."""
    shown = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    for path in sorted(folder.rglob("*")):
        if path.suffix in REBUILT and f"results/{path.relative_to(folder.parent).as_posix()}" not in shown:
            yield path


def size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(folders: Sequence[Path]) -> None:
    """Pack each folder, and say what that saved."""
    for folder in folders or list(studies()):
        before = size_bytes(folder)
        for path in unshown(folder.resolve()):
            path.unlink()
        pack_folder(folder, least_bytes=LEAST_BYTES)
        print(f"{folder.name}: {in_words(before)} -> {in_words(size_bytes(folder))}")
    print(f"results/ without what git ignores: {in_words(sum(map(size_bytes, studies())))}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
