"""The published studies: light in a checkout, and each able to stand alone."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lrbench.results.columns import TABLES
from lrbench.results.files import packed
from lrbench.results.log import LOG

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "results/README.md", *sorted((ROOT / "docs").glob("*.md")))
MOST_BYTES, MOST_BYTES_OF_ONE = 25_000_000, 3_000_000
LARGE = {"imagenette", "latency"}
"""Studies from before a study had a limit."""


@pytest.fixture(scope="module")
def published() -> list[Path]:
    """What git keeps in results/, as it lies here."""
    listed = subprocess.run(["git", "ls-files", "-z", "results"], cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_studies_are_light(published: list[Path]) -> None:
    sizes = dict.fromkeys((path.relative_to(ROOT / "results").parts[0] for path in published), 0)
    for path in published:
        sizes[path.relative_to(ROOT / "results").parts[0]] += path.stat().st_size
    assert sum(sizes.values()) <= MOST_BYTES
    assert {name for name, size in sizes.items() if size > MOST_BYTES_OF_ONE} == LARGE


def test_large_logs_and_tables_are_packed_and_what_no_document_shows_is_rebuilt(published: list[Path]) -> None:
    names = {LOG, *(f"{table}.csv" for table in TABLES)}
    plain = [path for path in published if path.name in names and "figures" not in path.parts]
    assert [path for path in plain if path.stat().st_size >= 100_000] == []
    assert [path for path in plain if packed(path) in published] == [], "none is there twice"
    shown = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    rebuilt = [path.relative_to(ROOT).as_posix() for path in published if path.suffix in (".svg", ".html")]
    assert [name for name in rebuilt if name not in shown] == []


def test_a_published_study_stands_alone(published: list[Path], tmp_path: Path, lrbench) -> None:
    """Charts, page, advice and verdicts from what git keeps of a study, without unpacking it."""
    study = ROOT / "results/seed"
    for path in published:
        if study in path.parents:
            target = tmp_path / path.relative_to(study)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
    assert packed(tmp_path / LOG).exists()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for words in (
        ("plots", tmp_path),
        ("report", tmp_path),
        ("table", tmp_path),
        ("recommend", tmp_path, "--max-drop", 50),
        ("check", tmp_path, study),
        ("history", tmp_path, study, "--figure", "macs", "--out", tmp_path / "figures/history.svg"),
    ):
        result = lrbench(*words)
        assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "figures").glob("*.svg"))) > 5
    (tmp_path / "report.html").unlink()
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
